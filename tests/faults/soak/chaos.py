"""The faults, drawn by a seed: which comes next, whom it hits, how long it lasts."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Callable

import psutil
import psycopg
import redis

from benchmarks.processes import members
from benchmarks.stack import Stack

STOP_SECONDS = (5.0, 30.0)
STORM_SECONDS = (10.0, 30.0)
STORM = {"429": 0.1, "500": 0.1, "503": 0.05, "disconnect": 0.02, "garbage": 0.02}


class Chaos:
    """Injects one fault at a time and says what it did."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self._stack = stack
        self._chance = random.Random(seed)
        self._faults: list[Callable[[], str]] = [
            self._kill_worker,
            self._terminate_worker,
            self._kill_dispatcher,
            self._kill_web,
            self._empty_redis,
            self._kill_redis,
            self._crash_postgres,
            self._stop_worker,
            self._stop_redis,
            self._cut_postgres,
            self._cut_redis,
            self._storm,
        ]
        self._deck: list[Callable[[], str]] = []

    def strike(self) -> str:
        """The next fault, until it is over; every kind comes once before one comes again."""
        if not self._deck:
            self._deck = self._faults.copy()
            self._chance.shuffle(self._deck)
        return self._deck.pop()()

    def _process(self, kind: str) -> tuple[str, psutil.Process]:
        found = sorted(
            (member.name, member.process) for member in members(self._stack.launcher_pid) if member.kind == kind
        )
        return self._chance.choice(found)

    def _signal(self, kind: str, number: signal.Signals) -> str:
        name, process = self._process(kind)
        process.send_signal(number)
        return f"{name}: {number.name}"

    def _kill_worker(self) -> str:
        return self._signal("worker", signal.SIGKILL)

    def _terminate_worker(self) -> str:
        return self._signal("worker", signal.SIGTERM)

    def _kill_dispatcher(self) -> str:
        return self._signal("dispatcher", signal.SIGKILL)

    def _kill_web(self) -> str:
        return self._signal("web", signal.SIGKILL)

    def _kill_redis(self) -> str:
        return self._signal("redis", signal.SIGKILL)

    def _crash_postgres(self) -> str:
        """What ``pg_ctl stop -m immediate`` does."""
        return self._signal("postgres", signal.SIGQUIT)

    def _stop_worker(self) -> str:
        return self._stop("worker")

    def _stop_redis(self) -> str:
        return self._stop("redis")

    def _stop(self, kind: str) -> str:
        name, process = self._process(kind)
        seconds = self._chance.uniform(*STOP_SECONDS)
        process.suspend()
        time.sleep(seconds)
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()
        return f"{name}: SIGSTOP for {seconds:.0f} s"

    def _empty_redis(self) -> str:
        with redis.Redis.from_url(self._stack.environment()["REDIS_URL"]) as client:
            client.flushall()
        return "FLUSHALL"

    def _cut_redis(self) -> str:
        with redis.Redis.from_url(self._stack.environment()["REDIS_URL"]) as client:
            for kind in ("normal", "pubsub"):
                client.client_kill_filter(_type=kind, skipme=True)
        return "all connections to Redis cut"

    def _cut_postgres(self) -> str:
        with psycopg.connect(self._stack.environment()["DATABASE_URL"], autocommit=True) as connection:
            cut = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).rowcount
        return f"{cut} connections to Postgres cut"

    def _storm(self) -> str:
        seconds = self._chance.uniform(*STORM_SECONDS)
        self._stack.sandbox("PUT", "config", {"error_rates": STORM})
        time.sleep(seconds)
        self._stack.sandbox("PUT", "config", {"error_rates": {}})
        return f"storm of {seconds:.0f} s: {sum(STORM.values()):.0%} of all calls fail"

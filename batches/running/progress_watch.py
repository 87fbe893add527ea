"""Whether this worker makes progress, by the ledger. One that beats but does no work ends itself.

A supervisor starts a new one; outcomes at hand are recorded first, what had not started goes back at once. Only what a
new process can cure counts: while Postgres takes no write, or Redis does not answer, nothing is this worker's fault.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent
import psycopg
import redis
from celery import current_app
from django.conf import settings
from django.db import connection
from psycopg.types.json import Jsonb
from redis.backoff import NoBackoff
from redis.retry import Retry

from batches.running.runner import Runner
from batches.running.tally import Tally
from batches.running.watch import Watch
from batches.standstill import EXIT_CODE, Alarm
from batches.states import LANES
from providers.http.connections import close_idle_connections

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
LOOK_SECONDS = 5.0
LOOK_TIMEOUT_SECONDS = 10.0
WAITING_SECONDS = 5.0
"""Messages that were lost are sent again after three seconds; a lease that waits longer has one that nobody takes."""
LEAST_ALARM_SECONDS = 30.0
END_SECONDS = 30.0
"""Beyond the drain, for the last records and the goodbye."""

_LOOK = f"""
    WITH mine AS (UPDATE batches_worker SET figures = %(figures)s WHERE boot_id = %(boot_id)s RETURNING seen_at)
    SELECT COALESCE((SELECT seen_at > clock_timestamp() - interval '10 seconds' FROM mine), false),
           EXISTS (SELECT 1 FROM batches_lease
                    WHERE worker = '' AND lane = ANY(%(lanes)s) AND expires_at > now()
                      AND created_at < now() - interval '{WAITING_SECONDS} seconds'),
           EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """One look at the worker and at the ledger. Instants and durations are monotonic seconds.

    ``accepted``, ``recorded``: leases and items since the boot. ``moved_at``: when an item last came back.
    ``unrenewed_seconds``: how long a lease in hand has been invalid. ``beaten``: the heartbeat is fresh in the ledger.
    ``work_waits``: leases that it could accept wait for anybody. ``locks_wait``: somebody waits for a lock in Postgres.
    """

    at: float
    accepted: int
    recorded: int
    unrecorded: int
    in_flight: int
    has_room: bool
    moved_at: float
    longest_call_seconds: float
    unrenewed_seconds: float
    beaten: bool
    work_waits: bool
    locks_wait: bool


class Judge:
    """Decides over a series of sights, nothing else: what must hold for how long before a worker is called stuck."""

    def __init__(self, limit_seconds: float) -> None:
        self._limit = limit_seconds
        self._since: dict[str, float] = {}
        self._deaf: deque[Sight] = deque()
        self._last: Sight | None = None
        self._idle_at = 0.0

    def forget(self) -> None:
        """What was seen so far proves nothing: the servers were away, or this process was."""
        self._since.clear()
        self._deaf.clear()
        self._last = None

    def verdict(self, sight: Sight) -> str | None:
        """Why the worker is stuck; None while it is not, or may not be."""
        last = self._last
        if last is None or sight.at - last.at > 3 * LOOK_SECONDS:
            self.forget()
            last = sight
        self._last = sight
        if not sight.in_flight:
            self._idle_at = sight.at
        silent_seconds = sight.at - max(sight.moved_at, self._idle_at)
        reasons = {
            "its heartbeat does not reach the ledger": not sight.beaten,
            "leases in hand are not renewed": sight.unrenewed_seconds > 0 and not sight.locks_wait,
            "outcomes are not recorded": (
                sight.unrecorded > 0 and sight.recorded == last.recorded and not sight.locks_wait
            ),
            "its calls do not end": sight.in_flight > 0 and silent_seconds > 2 * sight.longest_call_seconds,
        }
        for reason, holds in reasons.items():
            if not holds:
                self._since.pop(reason, None)
            elif sight.at - self._since.setdefault(reason, sight.at) >= self._limit:
                return reason
        return "leases wait and it accepts none" if self._is_deaf(sight, last) else None

    def _is_deaf(self, sight: Sight, last: Sight) -> bool:
        """Half of the looks are enough: a lease that nobody accepts is replaced by a young one every twenty seconds."""
        if sight.accepted != last.accepted or not sight.has_room:
            self._deaf.clear()
        self._deaf.append(sight)
        while sight.at - self._deaf[0].at > self._limit + LOOK_SECONDS:
            self._deaf.popleft()
        waiting = sum(each.work_waits for each in self._deaf)
        return sight.at - self._deaf[0].at >= self._limit and 2 * waiting >= len(self._deaf)


class ProgressWatch:
    """Looks every five seconds, over connections of its own: those of the worker may be what is broken."""

    def __init__(self, watch: Watch, runner: Runner, stop: Callable[[], None], tally: Tally) -> None:
        limit = float(settings.STANDSTILL_SECONDS)
        self.messages = 0
        """Celery messages under way."""
        self._watch = watch
        self._runner = runner
        self._stop = stop
        self._tally = tally
        self._judge = Judge(limit)
        self._alarm = Alarm(max(LEAST_ALARM_SECONDS, limit))
        self._ledger: psycopg.Connection[Any] | None = None
        self._greenlets: list[gevent.Greenlet[..., None]] = []

    def start(self) -> None:
        """Begin to look."""
        self._alarm.start()
        self._greenlets = [gevent.spawn(self._beat), gevent.spawn(self._run)]

    def stop(self) -> None:
        """Look no more: the worker ends in order."""
        self._alarm.stop()
        gevent.killall([each for each in self._greenlets if each is not gevent.getcurrent()])
        self._disconnect()

    def figures(self) -> dict[str, Any]:
        """What operators and the dispatcher read of this worker."""
        lanes = heard_lanes()
        return {
            "accepted": self._watch.accepted,
            "recorded": self._watch.recorded_items,
            "unrecorded": self._watch.unrecorded,
            "in_flight": self._runner.in_flight,
            "messages": self.messages,
            "has_room": self._runner.has_room,
            "idle_seconds": round(time.monotonic() - self._watch.accepted_at),
            "tally": self._tally.as_figures(),
            "calls_per_second": self._tally.calls_per_second(),
            **({} if set(lanes) == set(LANES) else {"lanes": lanes}),
            **held_by_process(),
        }

    def _beat(self) -> None:
        while True:
            self._alarm.beat()
            gevent.sleep(BEAT_SECONDS)

    def _run(self) -> None:
        while True:
            gevent.sleep(LOOK_SECONDS)
            try:
                close_idle_connections()
                reason = self._look()
            except Exception:
                logger.exception("A look at the worker's own progress failed")
                continue
            if reason is not None:
                self._end(reason)

    def _look(self) -> str | None:
        try:
            with gevent.Timeout(LOOK_TIMEOUT_SECONDS):
                sight = self._sight()
        except (psycopg.Error, redis.RedisError, OSError, gevent.Timeout):
            self._judge.forget()
            self._disconnect()
            return None
        if self._runner.stopping.is_set():
            return None  # it takes no message on purpose, and its calls may be waited for as long as was set
        return self._judge.verdict(sight)

    def _sight(self) -> Sight:
        beaten, work_waits, locks_wait = self._ask_ledger()
        if work_waits:
            _redis().ping()  # without Redis no message can come
        return Sight(
            at=time.monotonic(),
            accepted=self._watch.accepted,
            recorded=self._watch.recorded_items,
            unrecorded=self._watch.unrecorded,
            in_flight=self._runner.in_flight,
            has_room=self._runner.has_room,
            moved_at=self._watch.moved_at,
            longest_call_seconds=self._watch.longest_call_seconds,
            unrenewed_seconds=self._watch.seconds_unrenewed(),
            beaten=beaten,
            work_waits=work_waits,
            locks_wait=locks_wait,
        )

    def _ask_ledger(self) -> tuple[bool, bool, bool]:
        """Writes the figures, so that a Postgres that takes no write proves nothing against the worker."""
        if self._ledger is None or self._ledger.closed:
            self._ledger = connect()
        parameters = {"figures": Jsonb(self.figures()), "boot_id": self._watch.boot_id, "lanes": heard_lanes()}
        row = self._ledger.execute(_LOOK, parameters).fetchone()
        assert row is not None  # noqa: S101 - a SELECT without FROM has one row
        beaten, work_waits, locks_wait = row
        return beaten, work_waits, locks_wait

    def _disconnect(self) -> None:
        if self._ledger is not None:
            with suppress(psycopg.Error):
                self._ledger.close()
            self._ledger = None

    def _end(self, reason: str) -> None:
        """Finish what can be finished, within bounds that no greenlet guards."""
        figures = {name: figure for name, figure in self.figures().items() if name != "tally"}
        logger.critical(
            "Worker %s makes no progress: %s. It ends itself; figures: %s", self._watch.boot_id, reason, figures
        )
        self._alarm.end_within(float(settings.WORKER_DRAIN_SECONDS) + END_SECONDS)
        try:
            self._stop()
        except Exception:
            logger.exception("The stuck worker did not stop in order")
        finally:
            os._exit(EXIT_CODE)


def connect() -> psycopg.Connection[Any]:
    """A connection to the ledger beside Django's pool."""
    parameters = connection.get_connection_params()
    for name in ("cursor_factory", "context"):  # Django's own
        parameters.pop(name, None)
    return psycopg.connect(**parameters, autocommit=True)


def _redis() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 1), protocol=2
    )


def heard_lanes() -> Sequence[str]:
    """The lanes whose messages this worker takes: all of them, unless it was started for some (``--queues``)."""
    consumed = current_app.amqp.queues.consume_from
    return [lane for lane in LANES if lane in consumed]


def held_by_process() -> dict[str, int]:
    """Memory in MiB and open files, where the system tells."""
    process = Path("/proc/self")
    try:
        pages = int((process / "statm").read_text().split()[1])
        return {
            "memory_mb": pages * os.sysconf("SC_PAGE_SIZE") >> 20,
            "files": sum(1 for _ in (process / "fd").iterdir()),
        }
    except OSError:
        return {}

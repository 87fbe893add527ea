"""The engine's parts in this process, on the real Postgres and Redis."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import hypothesis
import pytest
from django.db import connection

from batches.dispatching import dispatcher
from batches.dispatching.dispatcher import Dispatcher
from batches.dispatching.leader import LOCK_KEY
from batches.dispatching.publish import Publication
from batches.limits import Limit
from batches.running import runner, watch
from batches.running.engine import Engine
from tests.engine.dispatching import Messages
from tests.engine.scripted import ONCE_ONLY, REPEATABLE, OnceOnly, Repeatable, Script, entry, script

quick = hypothesis.settings(deadline=None, max_examples=60)
"""For properties: on a busy machine a single example may take long."""


@pytest.fixture(autouse=True)
def scripted(settings: Any) -> Iterator[Script]:
    """The operation and the providers of these tests, and nothing of what an earlier test told them."""
    settings.OPERATIONS = {"scripted": f"{script.__module__}.Scripted"}
    settings.PROVIDERS = {REPEATABLE: entry(Repeatable), ONCE_ONLY: entry(OnceOnly)}
    script.reset()
    yield script
    script.reset()


@pytest.fixture
def limit_name() -> Callable[[], str]:
    """Names of limits that no other test uses."""
    return lambda: f"test:{secrets.token_hex(8)}"


@pytest.fixture
def new_limit(limit_name: Callable[[], str]) -> Callable[..., Limit]:
    """A limit of its own of so many permits a second."""

    def make(per_second: float, **fields: Any) -> Limit:
        return Limit(limit_name(), per_second, **fields)

    return make


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Let the greenlets run until it holds."""
    with gevent.Timeout(seconds, AssertionError("it never came true")):
        while not condition():
            gevent.sleep(0.005)


@pytest.fixture
def engine(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A started engine of little capacity that looks and renews often."""
    settings.WORKER_CAPACITY = {"ai": 10, "sms": 10, "data": 2}
    settings.WORKER_DRAIN_SECONDS = 0.1
    monkeypatch.setattr(watch, "WATCH_SECONDS", 0.02)
    monkeypatch.setattr(watch, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(runner, "DEADLINE_GRACE_SECONDS", 0.05)
    running = Engine()
    running.start()
    until(lambda: not running.watch.is_stale)
    yield running
    running.stop()


@pytest.fixture
def messages() -> Messages:
    return Messages()


_LEADERS = "FROM pg_locks WHERE locktype = 'advisory' AND objid = %s"


def somebody_leads() -> bool:
    """Whether a session still has the lock: Postgres ends one when it notices, not when it is told."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS (SELECT 1 {_LEADERS})", [LOCK_KEY])
        return bool(cursor.fetchone()[0])


def end_leadership() -> None:
    """Greenlets of a test share one connection: one that closed it may have handed the lock to the pool."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock_all()")
        cursor.execute(f"SELECT pg_terminate_backend(pid) {_LEADERS} AND pid <> pg_backend_pid()", [LOCK_KEY])


@pytest.fixture
def running(messages: Messages, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatcher]:
    """A dispatcher whose duties are due at every tick, and that nobody keeps from leading."""
    for name in ("UPKEEP_SECONDS", "RESCUE_SECONDS", "STEADY_SECONDS"):
        monkeypatch.setattr(dispatcher, name, 0.0)
    made = Dispatcher(Publication(messages))  # type: ignore[arg-type]
    until(lambda: not somebody_leads())
    yield made
    made._leadership.lose()
    end_leadership()

"""The duties of a dispatcher: one works, and none of its duties keeps another from being done."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from types import ModuleType

import pytest
from django.db import DataError, OperationalError, connection
from django.utils import timezone

from batches import loading
from batches.dispatching import dispatcher, rescue, settle
from batches.dispatching.dispatcher import Dispatcher
from batches.dispatching.leader import LOCK_KEY
from batches.models import Worker
from tests.engine.dispatching import Messages, leased, worker
from tests.engine.ledger import accepted, expire, items, new_batch, statuses

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_standby_does_nothing(running: Dispatcher, messages: Messages) -> None:
    worker(ai=100)
    batch = new_batch(5)
    leader = connection.copy()
    try:
        with leader.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK_KEY])
        assert running.tick() == dispatcher.STANDBY_SECONDS
        assert (leased(batch), messages.sent) == (0, [])
    finally:
        leader.connection.close()
        leader.close()
    running.tick()
    assert leased(batch) == 5


def test_a_round_rescues_starts_sweeps_and_settles(running: Dispatcher, messages: Messages) -> None:
    dead = new_batch(2)
    expire(accepted(dead).id)
    scheduled = new_batch(1, status="pending", scheduled_at=timezone.now())
    cancelled = new_batch(2, status="cancelled")
    empty = new_batch(0)
    running.tick()
    for batch in (scheduled, cancelled, empty):
        batch.refresh_from_db()
    assert statuses(dead) == ["pending"] * 2
    assert (scheduled.status, cancelled.cancelled, empty.status) == ("running", 2, "completed")
    assert cancelled.settled_at is not None


def test_nothing_is_rescued_before_the_leader_is_steady(running: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "STEADY_SECONDS", 15.0)
    dead = new_batch(2)
    expire(accepted(dead).id)
    running.tick()
    assert statuses(dead) == ["running"] * 2


@pytest.mark.parametrize("error", [LookupError("unknown operation"), DataError("an odd row")])
@pytest.mark.parametrize(
    ("place", "duty"),
    [(settle, "settle"), (settle, "start_scheduled"), (rescue, "rescue"), (loading, "load_chunk")],
)
def test_a_duty_that_fails_keeps_no_other_from_being_done(
    running: Dispatcher, monkeypatch: pytest.MonkeyPatch, place: ModuleType, duty: str, error: Exception
) -> None:
    tries = []

    def failing() -> None:
        tries.append(1)
        raise error

    monkeypatch.setattr(place, duty, failing)
    worker(ai=10)
    batch, cancelled = new_batch(5), new_batch(2, status="cancelled")
    running.tick()
    running.tick()
    assert leased(batch) == 5
    assert statuses(cancelled) == ["cancelled"] * 2
    assert len(tries) == 1


def test_a_duty_that_the_database_failed_ends_the_leadership(
    running: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing() -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(settle, "settle", failing)
    with pytest.raises(OperationalError):
        running.tick()


def test_workers_that_were_killed_long_ago_are_forgotten(running: Dispatcher) -> None:
    for ago in (0, 60, 7200):
        worker(ai=1)
        Worker.objects.filter(seen_at__gt=timezone.now() - timedelta(seconds=1)).update(
            seen_at=timezone.now() - timedelta(seconds=ago + 2)
        )
    running.tick()
    assert Worker.objects.filter(role="worker").count() == 2


def test_a_dispatcher_ends_when_it_is_told_to(running: Dispatcher) -> None:
    worker(ai=10)
    batch = new_batch(2)

    def run() -> None:
        running.run()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 10
    while not leased(batch) and time.monotonic() < deadline:
        time.sleep(0.01)
    running.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert [item.status for item in items(batch)] == ["running"] * 2
    assert not Worker.objects.filter(role="dispatcher").exists()

"""Slots, committed starts, and what happens to a call that is not ready at its slot."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import gevent
import pytest
import redis
from django.db import OperationalError
from django.utils import timezone
from redis.backoff import NoBackoff
from redis.retry import Retry as RedisRetry

from batches import limits
from batches.models import Batch, Item
from batches.operations.base import Attempt
from batches.outcomes import Outcome
from batches.running import departures, leases
from batches.running.engine import Engine
from providers.departure import depart
from tests.engine.conftest import until
from tests.engine.ledger import assert_counters, items, new_batch, statuses
from tests.engine.scripted import (
    ONCE_ONLY,
    REPEATABLE,
    OnceByTheDoor,
    OnceOnly,
    Repeatable,
    RepeatableByTheDoor,
    Script,
    entry,
    succeed,
)
from tests.engine.worker import ONCE, finish, run

pytestmark = pytest.mark.django_db(transaction=True)


def limited(
    settings: Any, monkeypatch: pytest.MonkeyPatch, adapter: type[Repeatable] = OnceOnly, **ceilings: Any
) -> None:
    """A provider gets limits; Redis knows nothing of them yet, and a new one starts at once.

    On a busy machine slots are missed; here that is no reason to give an item up.
    """
    alias = REPEATABLE if adapter.idempotent else ONCE_ONLY
    settings.PROVIDERS = {**settings.PROVIDERS, alias: entry(adapter, **ceilings)}
    settings.REDIS_PREFIX = f"test-{time.monotonic_ns()}"
    monkeypatch.setattr(limits, "fresh_delay", lambda limit, horizon: 0.0)
    monkeypatch.setattr(departures, "MOST_MISSED_SLOTS", 1_000)
    monkeypatch.setattr(departures, "PATIENCE_SECONDS", 60.0)


class Leaving:
    """A call by the HTTP door: so many seconds to connect, then its departure; keeps when each left."""

    def __init__(self, connect_seconds: float = 0.0) -> None:
        self.connect_seconds = connect_seconds
        self.left: list[float] = []

    def __call__(self, attempt: Attempt) -> Outcome:
        gevent.sleep(self.connect_seconds)
        assert depart()
        self.left.append(time.monotonic())
        return succeed(attempt)

    def assert_spaced(self, interval: float) -> None:
        tolerance = max(departures.SLOT_TOLERANCE_SECONDS, interval / 2)
        closest = min(later - earlier for earlier, later in pairwise(self.left))
        assert closest >= interval - tolerance


def test_a_start_is_committed_before_the_call(
    engine: Engine, scripted: Script, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(settings, monkeypatch, sms_per_second={"normal": 20.0})
    seen: list[tuple[bool, str]] = []

    def act(attempt: Attempt) -> Outcome:
        item = Item.objects.get(pk=attempt.item_id)
        seen.append((item.started_at is not None, str(item.attempt_id)))
        return succeed(attempt)

    scripted.act = act
    batch = new_batch(5, **ONCE)
    finish(engine, batch, size=1)
    assert seen == [(True, call.reference) for call in scripted.calls]
    assert_counters(batch, succeeded=5)


@pytest.mark.parametrize("adapter", [OnceOnly, OnceByTheDoor])
def test_calls_keep_their_slots(
    engine: Engine, scripted: Script, settings: Any, monkeypatch: pytest.MonkeyPatch, adapter: type[Repeatable]
) -> None:
    limited(settings, monkeypatch, adapter, sms_per_second={"normal": 20.0})
    called: list[float] = []

    def act(attempt: Attempt) -> Outcome:
        depart()
        called.append(time.monotonic())
        return succeed(attempt)

    scripted.act = act
    finish(engine, new_batch(8, **ONCE), size=1)
    assert called[-1] - called[0] >= 7 / 20 - departures.SLOT_TOLERANCE_SECONDS


def granted(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The slots that calls reserve on their way, as they are given."""
    slots: list[float] = []

    def reserving(*arguments: Any, **options: Any) -> limits.Reservation:
        reservation = limits.reserve(*arguments, **options)
        slots.extend(reservation.slots)
        return reservation

    monkeypatch.setattr(departures, "reserve", reserving)
    return slots


def test_a_slow_handshake_costs_no_slot_and_makes_nothing_late(
    engine: Engine, scripted: Script, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(settings, monkeypatch, OnceByTheDoor, sms_per_second={"normal": 10.0})
    monkeypatch.setattr(departures, "SLOT_TOLERANCE_SECONDS", 0.5)  # a busy machine is not as late as the handshake
    slots = granted(monkeypatch)
    scripted.act = leaving = Leaving(connect_seconds=0.7)
    batch = new_batch(8, **ONCE)
    finish(engine, batch, size=1)
    assert_counters(batch, succeeded=8)
    assert len(slots) == len(leaving.left) == 8


def test_a_repeatable_call_that_missed_its_slot_takes_another(
    engine: Engine, scripted: Script, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(settings, monkeypatch, RepeatableByTheDoor, requests_per_minute=600.0)
    slots = granted(monkeypatch)
    scripted.act = leaving = Leaving(connect_seconds=0.3)  # the first three slots pass meanwhile
    batch = new_batch(6)
    finish(engine, batch)
    assert_counters(batch, succeeded=6)
    assert len(slots) >= 3
    leaving.assert_spaced(0.1)


def test_the_wait_for_a_slot_is_not_the_providers_time(
    engine: Engine, scripted: Script, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(settings, monkeypatch, OnceByTheDoor, sms_per_second={"normal": 2.0})
    scripted.act = Leaving()
    batch = new_batch(3, timeout_ms=100, **ONCE)
    finish(engine, batch, size=1)
    assert_counters(batch, succeeded=3)
    assert max(item.duration_ms or 0 for item in items(batch)) < 100


def test_a_slot_of_which_nobody_knows_when_it_was_is_not_used(
    engine: Engine, scripted: Script, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process was stopped between Redis's answer and its own reading of it: the slot has long passed."""
    limited(settings, monkeypatch, OnceByTheDoor, sms_per_second={"normal": 20.0})
    scripted.act = leaving = Leaving()
    stopped: list[float] = []

    def reserving(*arguments: Any, **options: Any) -> limits.Reservation:
        reservation = limits.reserve(*arguments, **options)
        if stopped:
            return reservation
        stopped.append(time.monotonic())
        return replace(reservation, uncertain_seconds=1.0)

    monkeypatch.setattr(departures, "reserve", reserving)
    batch = new_batch(1, **ONCE)
    finish(engine, batch)
    assert_counters(batch, succeeded=1)
    assert leaving.left[0] - stopped[0] >= 0.05 - departures.SLOT_TOLERANCE_SECONDS
    assert len(scripted.calls) == 1


@pytest.mark.parametrize("adapter", [OnceByTheDoor, RepeatableByTheDoor])
def test_a_worker_that_misses_every_slot_leaves_them_to_others(
    engine: Engine, scripted: Script, settings: Any, monkeypatch: pytest.MonkeyPatch, adapter: type[Repeatable]
) -> None:
    limited(settings, monkeypatch, adapter, sms_per_second={"normal": 50.0}, requests_per_minute=3000.0)
    monkeypatch.setattr(departures, "SLOT_TOLERANCE_SECONDS", -0.01)
    monkeypatch.setattr(departures, "LARGEST_TOLERANCE_SECONDS", -0.01)
    monkeypatch.setattr(departures, "MOST_MISSED_SLOTS", 5)
    scripted.act = leaving = Leaving()
    batch = new_batch(1, **({} if adapter.idempotent else ONCE))
    finish(engine, batch)
    assert leaving.left == []
    (item,) = items(batch)
    assert (item.status, item.started_at, item.attempts) == ("pending", None, 0)
    assert item.due_at > timezone.now()


def hang(attempt: Attempt) -> Outcome:
    gevent.sleep(60)
    raise AssertionError("the deadline ends it")


def stumble(attempt: Attempt) -> Outcome:
    raise ValueError("before anything was sent")


@pytest.mark.parametrize(("act", "status"), [(hang, "pending"), (stumble, "failed")])
def test_what_fails_before_its_first_byte_is_never_in_doubt(
    engine: Engine, scripted: Script, settings: Any, act: Any, status: str
) -> None:
    settings.PROVIDERS = {ONCE_ONLY: entry(OnceByTheDoor)}
    scripted.act = act
    batch = new_batch(1, timeout_ms=50, **ONCE)
    finish(engine, batch)
    (item,) = items(batch)
    assert (item.status, item.started_at, item.attempts) == (status, None, 1)


def test_a_call_that_is_abandoned_before_its_first_byte_was_not_made(
    engine: Engine, scripted: Script, settings: Any
) -> None:
    settings.PROVIDERS = {ONCE_ONLY: entry(OnceByTheDoor)}
    scripted.act = hang
    batch = new_batch(1, **ONCE)
    run(engine, batch)
    until(lambda: scripted.calls)
    engine.stop()
    (item,) = items(batch)
    assert (item.status, item.started_at, item.attempts, item.attempt_id) == ("pending", None, 0, None)


def slow_marks(monkeypatch: pytest.MonkeyPatch, seconds: float, number: int = 1_000) -> list[int]:
    """The database is so slow for the first so many committed starts; returns a list that grows with them."""
    mark = leases.mark_started
    marks: list[int] = []

    def marking(item_id: int, lease_id: int, attempt_id: Any) -> bool:
        marks.append(item_id)
        if len(marks) <= number:
            gevent.sleep(seconds)
        return mark(item_id, lease_id, attempt_id)

    monkeypatch.setattr(leases, "mark_started", marking)
    return marks


@pytest.mark.parametrize("adapter", [OnceOnly, OnceByTheDoor])
def test_a_start_that_took_too_long_gives_its_slot_up_and_takes_another(
    engine: Engine, scripted: Script, settings: Any, monkeypatch: pytest.MonkeyPatch, adapter: type[Repeatable]
) -> None:
    limited(settings, monkeypatch, adapter, sms_per_second={"normal": 20.0})
    marks = slow_marks(monkeypatch, 0.25, number=1)
    batch = new_batch(1, **ONCE)
    scripted.act = Leaving() if adapter.departs else succeed
    finish(engine, batch)
    assert len(marks) >= 2
    assert len(scripted.calls) == 1
    assert_counters(batch, succeeded=1)
    assert items(batch)[0].started_at is not None


def test_a_database_slower_than_the_usual_lead_burns_one_slot_and_no_other(
    engine: Engine, scripted: Script, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From then on starts are committed before a slot is reserved."""
    limited(settings, monkeypatch, OnceByTheDoor, sms_per_second={"normal": 5.0})
    monkeypatch.setattr(departures, "SLOT_TOLERANCE_SECONDS", 0.5)  # a busy machine is not as late as this database
    marks = slow_marks(monkeypatch, 0.7)
    scripted.act = Leaving()
    finish(engine, new_batch(1, **ONCE))
    assert len(marks) == 2
    finish(engine, new_batch(5, **ONCE), size=1)
    assert len(marks) == 2 + 5
    assert len(scripted.calls) == 1 + 5


@pytest.mark.parametrize("moment", ["before the mark", "after the mark"])
def test_a_message_of_a_batch_cancelled_at_the_last_moment_is_not_sent(
    engine: Engine, scripted: Script, settings: Any, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    limited(settings, monkeypatch, sms_per_second={"normal": 20.0})
    mark = leases.mark_started

    def marking(item_id: int, lease_id: int, attempt_id: Any) -> bool:
        if moment == "before the mark":
            Batch.objects.update(status="cancelled", completed_at=timezone.now())
        marked = mark(item_id, lease_id, attempt_id)
        if moment == "after the mark":
            Batch.objects.update(status="cancelled", completed_at=timezone.now())
            gevent.sleep(0.05)
        return marked

    monkeypatch.setattr(leases, "mark_started", marking)
    batch = new_batch(1, **ONCE)
    finish(engine, batch)
    assert scripted.calls == []
    (item,) = items(batch)
    assert (item.status, item.started_at, item.attempts) == ("pending", None, 0)


def test_a_mark_that_fails_sends_nothing(engine: Engine, scripted: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> bool:
        raise OperationalError("gone")

    monkeypatch.setattr(leases, "mark_started", gone)
    batch = new_batch(1, **ONCE)
    finish(engine, batch)
    assert scripted.calls == []
    assert statuses(batch) == ["pending"]


def test_without_redis_nothing_limited_is_called_and_nothing_is_spent(
    engine: Engine, scripted: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed_port = redis.Redis(host="127.0.0.1", port=1, retry=RedisRetry(NoBackoff(), 0))
    monkeypatch.setattr(limits, "redis_client", lambda: closed_port)
    batch, free = new_batch(3, rate_limit=600.0), new_batch(2)
    run(engine, batch)
    finish(engine, free)
    assert [call.item_id for call in scripted.calls] == [item.pk for item in items(free)]
    assert statuses(batch) == ["pending"] * 3
    assert set(Item.objects.filter(batch=batch).values_list("attempts", flat=True)) == {0}
    assert min(item.due_at for item in items(batch)) > timezone.now() + timedelta(seconds=0.5)


def test_items_without_a_slot_within_the_horizon_come_back_when_theirs_is_near(
    engine: Engine, scripted: Script, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "fresh_delay", lambda limit, horizon: 0.0)
    batch = new_batch(10, rate_limit=120.0)
    finish(engine, batch)
    assert len(scripted.calls) == 3  # at 0, 0.5 and 1 second
    waits = sorted((item.due_at - timezone.now()).total_seconds() for item in items(batch) if item.status == "pending")
    assert len(waits) == 7
    assert waits[-1] - waits[0] == pytest.approx(3.0, abs=0.2)

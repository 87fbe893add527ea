"""Who gets slots when there are not enough: priorities, shared limits, and a dispatcher that stands still."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

from batches.dispatching.allotment import Allotment
from batches.dispatching.leader import LOCK_KEY, Leadership
from batches.dispatching.window import Runnable, Window
from batches.models import Item, Worker
from batches.running.recorder import write
from tests.engine.ledger import accepted, changes, new_batch


def runnable(number: int, priority: str, **fields: object) -> Runnable:
    values = {"owner_id": 1, "channel": "ai", "provider": "", "concurrency": None, "rate_limit": None}
    return Runnable(id=number, priority=priority, unfinished=100_000, **{**values, **fields})  # type: ignore[arg-type]


def window(*batches: Runnable, leased: dict[tuple[str, str], int] | None = None) -> Window:
    return Window(batches, {"ai": 1000}, 2, {}, leased or {}, {}, {})


def test_endless_urgency_leaves_a_tenth_to_the_others() -> None:
    full = window(runnable(1, "high"), runnable(2, "normal"), leased={("ai", "high"): 1100})

    shares, _ = Allotment().shares(full, time.monotonic())

    assert 1 not in shares
    assert shares[2] == 100  # 1,200 slots, a tenth of them kept, 1,100 taken by high


def test_urgency_alone_may_have_everything() -> None:
    shares, _ = Allotment().shares(window(runnable(1, "high")), time.monotonic())

    assert shares == {1: 1200}


def test_batches_of_all_priorities_share_the_pace_of_one_limit(
    settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from batches.dispatching import allotment
    from batches.limits import Limit

    monkeypatch.setattr(allotment, "_limits", lambda _: (Limit("requests:shared", 20.0),))
    decided = Allotment()
    batches = window(runnable(1, "high"), runnable(2, "normal"), runnable(3, "low"))
    now = time.monotonic()
    decided.shares(batches, now)

    shares, _ = decided.shares(batches, now + 10.0)  # half a second's worth: ten permits

    assert sum(shares.values()) == 10
    assert shares == {1: 10}, "the most urgent first"


def test_no_more_of_a_limit_waits_in_the_queue_than_workers_will_take_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow workers would find only expired leases: measured as 0.3 messages a second where 8 were allowed."""
    from batches.dispatching import allotment
    from batches.limits import Limit

    monkeypatch.setattr(allotment, "_limits", lambda _: (Limit("sms:shared", 8.0),))
    decided = Allotment()
    now = time.monotonic()
    decided.shares(window(runnable(1, "high")), now)

    def given(*unaccepted: int) -> int:
        batches = window(runnable(1, "high"), runnable(2, "high"))
        crowded = replace(batches, unaccepted_by_batch=dict(enumerate(unaccepted, start=1)))
        return sum(decided.shares(crowded, now + 10.0)[0].values())

    assert given(0, 0) == 4  # half a second's worth: what the pace allows
    assert given(7, 5) == 4  # two seconds' worth may wait
    assert given(7, 8) == 1
    assert given(16, 16) == 0


@pytest.mark.django_db(transaction=True)
def test_an_attempt_that_came_back_clears_the_item_of_suspicion() -> None:
    batch = new_batch(1)
    Item.objects.update(deaths=1)

    write(changes(accepted(batch), "pending", attempts=1))

    assert Item.objects.get().deaths == 0


@pytest.mark.django_db(transaction=True)
def test_a_snooze_says_nothing_about_suspicion() -> None:
    batch = new_batch(1)
    Item.objects.update(deaths=1)

    write(changes(accepted(batch), "pending", attempts=0))

    assert Item.objects.get().deaths == 1


@contextmanager
def another_leader() -> Iterator[BaseDatabaseWrapper]:
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK_KEY])
        yield other
    finally:
        if other.connection is not None:
            other.connection.close()
        other.close()


@pytest.mark.django_db(transaction=True)
def test_a_leader_that_fell_silent_is_deposed_by_a_standby() -> None:
    standby = Leadership()
    with another_leader():
        assert not standby.hold()
        Worker.objects.create(boot_id="standby", role="dispatcher", hostname="here", process_id=1, capacity={})

        assert standby.depose_silent()

        deadline = time.monotonic() + 5
        while not standby.hold():
            assert time.monotonic() < deadline, "the lock was not set free"
            time.sleep(0.05)
    standby.lose()


@pytest.mark.django_db(transaction=True)
def test_a_leader_that_is_heard_of_stays() -> None:
    standby = Leadership()
    with another_leader():
        Worker.objects.create(boot_id="l", role="dispatcher", hostname="here", process_id=1, capacity={"leader": 1})

        assert not standby.depose_silent()
        assert not standby.hold()

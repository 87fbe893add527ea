"""How much is handed out at once: the capacity of the workers, and the shares of priorities, owners and accounts."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from batches.dispatching.dispatcher import Dispatcher
from batches.dispatching.window import Window
from batches.models import Batch, Item, ProviderAccount, Worker
from batches.states import Channel
from tests.engine.dispatching import leased, worker
from tests.engine.ledger import new_batch
from tests.engine.scripted import ONCE_ONLY, REPEATABLE, Repeatable, entry

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_window_is_a_little_more_than_the_capacity(running: Dispatcher) -> None:
    worker(ai=60)
    worker(ai=40)
    batch = new_batch(500, priority="high")
    running.tick()
    assert leased(batch) == 120
    running.tick()
    assert leased(batch) == 120


def test_normal_and_low_leave_room_for_high(running: Dispatcher) -> None:
    worker(ai=100)
    normal = new_batch(500)
    running.tick()
    assert leased(normal) == 96
    high = new_batch(500, priority="high")
    running.tick()
    assert (leased(normal), leased(high)) == (96, 24)


def test_low_is_slow_beside_normal_but_never_starved(running: Dispatcher) -> None:
    worker(ai=100)
    low, normal = new_batch(500, priority="low"), new_batch(500)
    running.tick()
    assert leased(low) == 20
    assert leased(normal) == 76


def test_low_alone_has_all_that_is_ordinary(running: Dispatcher) -> None:
    worker(ai=100)
    low = new_batch(500, priority="low")
    running.tick()
    assert leased(low) == 96


def test_owners_share_alike_whatever_they_submit(running: Dispatcher) -> None:
    worker(ai=100)
    many = [new_batch(100, owner="alice") for _ in range(4)]
    one = new_batch(100, owner="bob")
    running.tick()
    assert [leased(batch) for batch in many] == [12] * 4
    assert leased(one) == 48


def test_a_channel_is_no_room_for_another(running: Dispatcher) -> None:
    worker(ai=10)
    batch = new_batch(5, channel="sms", provider=ONCE_ONLY)
    running.tick()
    assert leased(batch) == 0


def test_without_a_worker_nothing_is_claimed(running: Dispatcher) -> None:
    worker(ai=10)
    Worker.objects.update(seen_at=timezone.now() - timedelta(seconds=11))
    batch = new_batch(5)
    running.tick()
    assert leased(batch) == 0


def test_a_batch_has_no_more_under_way_than_its_concurrency(running: Dispatcher) -> None:
    worker(ai=100)
    batch = new_batch(50, concurrency=3)
    for _ in range(3):
        running.tick()
    assert leased(batch) == 3


def test_an_account_has_no_more_in_flight_than_it_may(running: Dispatcher, settings: Any) -> None:
    settings.PROVIDERS = {REPEATABLE: entry(Repeatable, max_in_flight=7)}
    worker(ai=100)
    batches = [new_batch(50), new_batch(50, priority="high"), new_batch(50, owner="bob")]
    for _ in range(3):
        running.tick()
    assert sum(leased(batch) for batch in batches) == 7


def test_a_closed_account_claims_nothing(running: Dispatcher) -> None:
    ProviderAccount.objects.create(alias=REPEATABLE, closed_until=timezone.now() + timedelta(seconds=30))
    worker(ai=100)
    closed, other = new_batch(10), new_batch(10, provider="another")
    running.tick()
    assert (leased(closed), leased(other)) == (0, 10)


def test_an_account_that_reopens_starts_slowly(running: Dispatcher) -> None:
    worker(ai=1000)
    batch = new_batch(200, priority="high")
    ProviderAccount.objects.create(alias=REPEATABLE, closed_until=timezone.now())
    running.tick()
    assert 8 <= leased(batch) < 32  # doubled each second: not two seconds have passed
    ProviderAccount.objects.update(closed_until=timezone.now() - timedelta(seconds=2))
    running.tick()
    assert 32 <= leased(batch) < 128


def test_a_batch_with_nothing_due_leaves_its_share_to_others(running: Dispatcher) -> None:
    worker(ai=100)
    waiting, busy = new_batch(100, owner="alice"), new_batch(100, owner="bob")
    Item.objects.filter(batch=waiting).update(due_at=timezone.now() + timedelta(hours=1))
    running.tick()
    running.tick()
    assert leased(busy) == 96


def test_what_ended_is_forgotten(running: Dispatcher) -> None:
    worker(ai=100)
    batch = new_batch(3)
    running.tick()
    assert running._allotment._last_served
    Batch.objects.filter(pk=batch.pk).update(status="paused")
    running._allotment.forget_ended(empty_window(), time.monotonic())
    assert not running._allotment._last_served
    assert not running._allotment._nothing_due_until


def empty_window() -> Window:
    return Window((), dict.fromkeys(Channel.values, 0), 0, {}, {}, {}, {})

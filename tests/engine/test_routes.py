"""How items are cut into leases, and which lane these travel."""

from __future__ import annotations

import time
from typing import Any

import pytest

from batches.dispatching import claim
from batches.dispatching.dispatcher import Dispatcher
from batches.dispatching.pace import AHEAD
from batches.models import Item, Lease
from tests.engine.dispatching import Messages, leased, worker
from tests.engine.ledger import new_batch, statuses
from tests.engine.scripted import ONCE_ONLY, REPEATABLE, OnceOnly, Repeatable, entry

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_open_lane_has_few_big_leases_and_every_worker_some(running: Dispatcher, messages: Messages) -> None:
    worker(ai=1000)
    worker(ai=1000)
    new_batch(1000, priority="high")
    running.tick()
    sizes = list(Lease.objects.values_list("size", flat=True))
    assert set(sizes) == {claim.LEASE_SIZE}
    new_batch(8)
    running.tick()
    assert list(Lease.objects.filter(lane="ai.normal").values_list("size", flat=True)) == [2] * 4
    assert {lane for _, lane in messages.sent} == {"ai.high", "ai.normal"}


def test_many_batches_together_need_no_small_leases(running: Dispatcher) -> None:
    worker(ai=1000)
    worker(ai=1000)
    for _ in range(20):
        new_batch(10)
    running.tick()
    assert list(Lease.objects.values_list("size", flat=True)) == [10] * 20


def test_what_was_given_back_is_the_first_to_go_out_again(running: Dispatcher, messages: Messages) -> None:
    worker(ai=50)
    batch = new_batch(500, priority="high")
    messages.broken = True
    running.tick()
    messages.broken = False
    running._publication._closed_until = 0.0
    running.tick()
    assert statuses(batch)[:60] == ["running"] * 60


def test_a_limited_lane_has_leases_of_one(running: Dispatcher, settings: Any) -> None:
    settings.PROVIDERS = {ONCE_ONLY: entry(OnceOnly, sms_per_second={"normal": 5.0})}
    worker(sms=100)
    batch = new_batch(50, channel="sms", provider=ONCE_ONLY)
    began = time.monotonic()
    for _ in range(3):
        running.tick()
    assert set(Lease.objects.values_list("size", flat=True)) == {1}
    assert 1 <= leased(batch) <= paced(5.0, began)


def paced(per_second: float, began: float) -> float:
    """What may have been handed out since then: what the limit admits, not whole batches."""
    return 1 + per_second * AHEAD * (time.monotonic() - began) + 1


def test_batches_that_share_a_limit_share_its_pace(running: Dispatcher, settings: Any) -> None:
    settings.PROVIDERS = {REPEATABLE: entry(Repeatable, requests_per_minute=1200.0)}
    worker(ai=1000)
    batches = [new_batch(500, owner=name) for name in ("alice", "bob", "carol")]
    began = time.monotonic()
    for _ in range(5):
        running.tick()
        time.sleep(0.1)
    numbers = [leased(batch) for batch in batches]
    assert sum(numbers) <= paced(20.0, began)
    assert min(numbers) >= 1


def test_suspects_travel_the_solo_lane(running: Dispatcher, messages: Messages) -> None:
    worker(ai=100)
    new_batch(5)
    Item.objects.filter(position=1).update(deaths=3)
    running.tick()
    assert sorted(Lease.objects.values_list("lane", "size")) == [("ai.normal", 2), ("ai.normal", 2), ("solo", 1)]
    assert len(messages.sent) == 3

"""What a batch spent is what its items cost, to the last ten-billionth, whatever happened to them on the way."""

from __future__ import annotations

import random
import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from batches import services
from batches.dispatching import rescue
from batches.figures import Figures
from batches.models import Batch, Item
from batches.outcomes import Fault, Retry, Succeeded
from batches.running.changes import change_of
from batches.running.recorder import write
from providers.base import ErrorCategory
from providers.prices import MOST_COST, PARTS
from tests.engine.ledger import accepted, assert_counters, change, changes, expire, held, items, new_batch
from tests.engine.scripted import ONCE_ONLY, REPEATABLE, OnceOnly, Repeatable, entry

pytestmark = pytest.mark.django_db(transaction=True)

FAULT = Fault(ErrorCategory.CONTENT, "invalid_answer", "No form.")
PRICES = {
    "input_per_million": "0.0375",
    "output_per_million": "1.1",
    "economy_input_per_million": "0.01875",
    "economy_output_per_million": "0.55",
    "per_segment": "0.00831",
    "currency": "USD",
    "as_of": "2026-11-21",
}


@pytest.fixture(autouse=True)
def priced(settings: Settings) -> None:
    settings.PROVIDERS = {
        REPEATABLE: {**entry(Repeatable), "prices": PRICES},
        ONCE_ONLY: {**entry(OnceOnly), "prices": PRICES},
        "free-text": entry(Repeatable),
    }


def due(batch: Batch) -> None:
    Item.objects.filter(batch=batch, status="pending").update(due_at=timezone.now())


def counted(batch: Batch) -> Decimal:
    """What the histograms say."""
    costs = Figures.of(batch).costs
    return Decimal(costs.get("spent", 0) + costs.get("spent:simulated", 0)) / PARTS


def test_a_cost_is_of_the_prices_of_its_moment(settings: Settings) -> None:
    used = {"input_tokens": 3, "output_tokens": 7}
    assert change_of(Succeeded({}), held(), used=used).cost == Decimal("0.0000078125").quantize(Decimal("1E-10"))
    settings.PROVIDERS = {REPEATABLE: {**entry(Repeatable), "prices": {**PRICES, "input_per_million": 1}}}
    assert change_of(Succeeded({}), held(), used=used).cost == Decimal("0.0000107")
    economy = {"economy_input_tokens": 4, "economy_output_tokens": 10}
    assert change_of(Retry(FAULT), held(), used=economy).cost == Decimal("0.000005575")


def test_what_has_no_price_costs_nothing_that_is_known() -> None:
    assert change_of(Succeeded({}), held()).cost is None
    assert change_of(Succeeded({}), held(), used={"images": 3}).cost is None


def test_an_odd_answer_does_not_end_the_sum_of_all(settings: Settings) -> None:
    dear = {**PRICES, "per_segment": "1e30"}
    settings.PROVIDERS = {REPEATABLE: {**entry(Repeatable), "prices": dear}}
    absurd = change_of(Succeeded({}), held(), used={"segments": 10**12})
    assert absurd.cost == MOST_COST
    batch = new_batch(2)
    lease = accepted(batch)
    Batch.objects.filter(pk=batch.pk).update(spent=Decimal("9999999998.5"))
    Item.objects.filter(pk=lease.items[0].id).update(cost=Decimal("9999999998.5"))
    write([change(lease, item, used={"segments": 10**12}, cost=MOST_COST) for item in lease.items])
    batch.refresh_from_db()
    assert batch.spent == items(batch)[0].cost == 10**10 - 1
    assert Figures.of(batch).costs["spent"] == 2_000_000 * PARTS


def test_retries_add_up(settings: Settings) -> None:
    batch = new_batch(3)
    random.seed(7)
    expected: dict[int, Decimal] = {}
    for last in (False, False, True):
        due(batch)
        lease = accepted(batch)
        group = []
        for item in lease.items:
            used = {"input_tokens": random.randrange(1, 5_000), "output_tokens": random.randrange(900)}
            cost = change_of(Succeeded({}), held(), used=used).cost
            assert cost is not None
            expected[item.id] = expected.get(item.id, Decimal(0)) + cost
            group.append(change(lease, item, "succeeded" if last else "pending", used=used, cost=cost))
        write(group)
    assert {item.pk: item.cost for item in items(batch)} == expected
    assert_counters(batch, succeeded=3)
    assert batch.spent == sum(expected.values()) == counted(batch)
    assert {tuple(sorted(item.used)) for item in items(batch)} == {("input_tokens", "output_tokens")}


def test_units_add_up_and_those_of_the_sandbox_stay_apart() -> None:
    batch = new_batch(1)
    for simulated, used in ((True, {"input_tokens": 5}), (False, {"input_tokens": 7, "output_tokens": 1}), (False, {})):
        due(batch)
        lease = accepted(batch)
        write(changes(lease, "pending", used=used, simulated=simulated, cost=Decimal(1) if used else None))
    (item,) = items(batch)
    assert item.used == {"simulated:input_tokens": 5, "input_tokens": 7, "output_tokens": 1}
    assert_counters(batch)
    assert batch.spent == item.cost == 2
    assert Figures.of(batch).costs == {"spent": PARTS, "spent:simulated": PARTS}


def test_the_last_provider_is_named() -> None:
    batch = new_batch(2)
    lease = accepted(batch)
    write([change(lease, item, "pending", provider=f"provider-{item.key}") for item in lease.items])
    assert [item.provider for item in items(batch)] == ["provider-item-0", "provider-item-1"]
    due(batch)
    write(changes(accepted(batch), "pending", provider="never-called", attempts=0, fault=None))
    assert [item.provider for item in items(batch)] == ["provider-item-0", "provider-item-1"]
    due(batch)
    billed: dict[str, Any] = {"attempts": 0, "fault": None, "used": {"input_tokens": 1}, "cost": Decimal(1)}
    write(changes(accepted(batch), "pending", provider="answered", **billed))
    assert [item.provider for item in items(batch)] == ["answered", "answered"]


def test_a_group_that_is_written_again_costs_once() -> None:
    batch = new_batch(2)
    group = changes(accepted(batch), used={"segments": 2}, cost=Decimal("0.01662"))
    write(group)
    write(group)
    assert_counters(batch, succeeded=2)
    assert batch.spent == counted(batch) == Decimal("0.03324")


def test_a_late_truth_costs_once() -> None:
    batch = new_batch(2, provider=ONCE_ONLY)
    late = accepted(batch)
    attempt_ids = [uuid.uuid4(), uuid.uuid4()]
    for item, attempt_id in zip(items(batch), attempt_ids, strict=True):
        Item.objects.filter(pk=item.pk).update(started_at=timezone.now(), attempt_id=attempt_id)
    expire(late.id)
    rescue.rescue()
    assert_counters(batch, unknown=2)
    billed: dict[str, Any] = {"idempotent": False, "used": {"segments": 3}, "cost": Decimal("0.02493")}
    group = [
        change(late, late.items[0], attempt_id=attempt_ids[0], provider=ONCE_ONLY, **billed),
        change(late, late.items[1], attempt_id=uuid.uuid4(), provider=ONCE_ONLY, **billed),
    ]
    write(group)
    write(group)
    assert_counters(batch, succeeded=1, unknown=1)
    assert batch.spent == counted(batch) == Decimal("0.02493")
    told = items(batch)[0]
    assert (told.provider, told.used, told.cost) == (ONCE_ONLY, {"segments": 3}, Decimal("0.02493"))


def test_what_a_lost_lease_says_costs_nothing_here() -> None:
    batch = new_batch(1)
    lost = accepted(batch)
    expire(lost.id)
    rescue.rescue()
    due(batch)
    again = accepted(batch, worker="worker-2")
    write(changes(lost, used={"input_tokens": 9}, cost=Decimal(9)))
    write(changes(again, used={"input_tokens": 1}, cost=Decimal(1)))
    assert_counters(batch, succeeded=1)
    assert batch.spent == counted(batch) == 1


def test_what_runs_again_on_request_adds_to_what_it_cost() -> None:
    batch = new_batch(2)
    write(changes(accepted(batch), "failed", used={"input_tokens": 9}, cost=Decimal("0.5")))
    services.retry_failed(batch, actor_id=None)
    write(changes(accepted(batch), used={"input_tokens": 9}, cost=Decimal("0.5")))
    assert_counters(batch, succeeded=2)
    assert batch.spent == counted(batch) == 2
    assert [item.used for item in items(batch)] == [{"input_tokens": 18}] * 2


def test_calls_without_a_price_are_counted() -> None:
    batch = new_batch(2)
    write(changes(accepted(batch), used={"input_tokens": 9}))
    assert_counters(batch, succeeded=2)
    assert Figures.of(batch).costs == {"unpriced": 2}

"""Budgets: no call begins once one is spent, whoever died; the owner is told once, and more money makes it go on."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import gevent
import pytest
from django.utils import timezone
from pytest_django import Settings

from batches import services
from batches.dispatching import rescue, settle
from batches.dispatching.dispatcher import Dispatcher
from batches.models import AuditEntry, Batch, Item, Notification, ProviderAccount
from batches.money import budgets
from batches.money.budgets import ENOUGH_KNOWN, MOST_ROOM, Budget
from batches.operations import Attempt
from batches.outcomes import Outcome, Succeeded
from batches.problems import Conflict, InvalidInput
from batches.running.engine import Engine
from batches.running.recorder import write
from tests.engine.conftest import until
from tests.engine.dispatching import Messages, leased, worker
from tests.engine.ledger import accepted, assert_counters, change, changes, expire, lease, new_batch
from tests.engine.scripted import ONCE_ONLY, REPEATABLE, OnceOnly, Repeatable, Script, entry

pytestmark = pytest.mark.django_db(transaction=True)

CENT = Decimal("0.01")
PRICES = {"input_per_million": 10, "currency": "USD", "as_of": "2026-11-21"}
ONE_CENT = {"input_tokens": 1_000}


@pytest.fixture(autouse=True)
def priced(settings: Settings) -> None:
    settings.PROVIDERS = {
        REPEATABLE: {**entry(Repeatable), "prices": PRICES},
        ONCE_ONLY: entry(OnceOnly),
    }


def budget(**fields: Any) -> Budget:
    values: dict[str, Any] = {"max_cost": 1, "spent": 0, "item_cost": CENT, "succeeded": 0, "leased": 0} | fields
    amounts = {name: Decimal(values[name]) for name in COSTS}
    return Budget(1, **amounts, succeeded=values["succeeded"], leased=values["leased"])


COSTS = ("max_cost", "spent", "item_cost")


@pytest.mark.parametrize(
    ("fields", "room"),
    [
        ({}, 100),
        ({"leased": 60}, 40),
        ({"leased": 200}, 0),
        # Reckoned by what items cost once enough of them have; by the higher of both until then.
        ({"spent": "0.02", "succeeded": ENOUGH_KNOWN}, 980),
        ({"spent": "0.02", "succeeded": ENOUGH_KNOWN - 1}, 98),
        ({"spent": "0.2", "succeeded": 10, "item_cost": "0.001"}, 40),
        # What failed and was paid for belongs to what an item costs.
        ({"spent": "0.5", "succeeded": 25, "leased": 5}, 20),
        # One alone shows what it really costs where the highest guess is more than what there is.
        ({"item_cost": 7}, 1),
        ({"item_cost": 7, "leased": 1}, 0),
        ({"item_cost": 7, "spent": "0.3", "succeeded": 2}, 1),
        ({"item_cost": 7, "spent": "0.6", "succeeded": 1}, 0),
        # The last call that fits, and the first that does not.
        ({"spent": "0.95", "succeeded": 19, "item_cost": "0.05"}, 1),
        ({"spent": "0.96", "succeeded": 24}, 1),
        ({"spent": "0.97", "succeeded": 24}, 0),
        ({"spent": 1, "succeeded": 50}, 0),
        ({"spent": 2, "succeeded": 50}, 0),
        # Nothing costs anything.
        ({"item_cost": 0}, MOST_ROOM),
        ({"item_cost": 0, "spent": 1}, 0),
    ],
)
def test_room(fields: dict[str, Any], room: int) -> None:
    assert budget(**fields).room == room


def test_the_outcome_that_spends_the_rest_pauses_its_batch() -> None:
    batch = new_batch(5, max_cost=Decimal("0.02"))
    held = accepted(batch)
    group = [change(held, item, used=ONE_CENT, cost=CENT) for item in held.items[:2]]
    (facts,) = write(group)
    write(group)
    batch.refresh_from_db()
    assert (facts.status, batch.status, batch.held_for, batch.spent) == ("paused", "paused", "budget", 2 * CENT)
    (told,) = Notification.objects.filter(owner=batch.owner)
    assert (told.kind, told.batch_id) == ("budget_spent", batch.pk)
    assert (told.details["spent"], told.details["maxCost"], told.details["left"]) == (
        "0.0200000000",
        "0.0200000000",
        3,
    )
    (entry_,) = AuditEntry.objects.filter(batch=batch)
    assert (entry_.action, entry_.actor, entry_.details["reason"]) == ("pause", None, "budget")
    # What was in flight is recorded, and tells nobody again.
    write([change(held, item, used=ONE_CENT, cost=CENT) for item in held.items[2:4]])
    assert_counters(batch, succeeded=4)
    assert (batch.status, Notification.objects.count()) == ("paused", 1)


def test_a_batch_that_is_done_with_its_budget_is_done() -> None:
    batch = new_batch(2, max_cost=2 * CENT)
    write(changes(accepted(batch), used=ONE_CENT, cost=CENT))
    batch.refresh_from_db()
    assert (batch.status, batch.held_for) == ("running", "")
    assert [facts.status for facts in settle.settle()] == ["completed"]


def test_a_batch_whose_last_calls_end_after_its_pause_is_done() -> None:
    batch = new_batch(3, max_cost=CENT)
    held = accepted(batch)
    write([change(held, held.items[0], used=ONE_CENT, cost=CENT)])
    batch.refresh_from_db()
    assert batch.status == "paused"
    write([change(held, item, used=ONE_CENT, cost=CENT) for item in held.items[1:]])
    assert [facts.status for facts in settle.settle()] == ["completed"]


def test_a_retry_that_was_paid_for_counts() -> None:
    batch = new_batch(3, max_cost=CENT)
    held = accepted(batch)
    write([change(held, held.items[0], "pending", used=ONE_CENT, cost=CENT)])
    batch.refresh_from_db()
    assert (batch.status, batch.held_for) == ("paused", "budget")


def test_no_more_is_leased_than_the_budget_pays_for(running: Dispatcher) -> None:
    worker(ai=1_000)
    batch = new_batch(500, max_cost=Decimal("0.30"), item_cost=CENT)
    free = new_batch(50)
    running.tick()
    assert (leased(batch), leased(free)) == (30, 50)
    running.tick()
    assert leased(batch) == 30


def test_a_probe_is_paid_for_as_others_are(running: Dispatcher) -> None:
    worker(ai=1_000)
    ProviderAccount.objects.create(alias=REPEATABLE, opened_at=timezone.now(), opened_for="no_credit")
    held_back = new_batch(10, max_cost=CENT, item_cost=CENT, spent=CENT / 2, succeeded=1)
    lease(held_back, 1)  # it is in flight, so the batch is not held, and nothing is left for another call
    running.tick()
    assert leased(held_back) == 1
    services.change(held_back, {"max_cost": Decimal(1)}, actor_id=None)
    running.tick()
    assert leased(held_back) == 2


def test_suspects_are_paid_for_as_others_are(running: Dispatcher) -> None:
    worker(ai=1_000)
    batch = new_batch(10, max_cost=4 * CENT, item_cost=CENT)
    Item.objects.filter(batch=batch).update(deaths=2)
    running.tick()
    assert leased(batch) == 4
    running.tick()
    assert leased(batch) == 4


def test_what_was_leased_to_the_dead_is_not_in_flight_any_more(running: Dispatcher) -> None:
    worker(ai=1_000)
    batch = new_batch(500, max_cost=Decimal("0.30"), item_cost=CENT)
    running.tick()
    expire(*lease_ids(batch))
    rescue.rescue()
    assert leased(batch) == 0
    running.tick()
    assert leased(batch) == 30


def lease_ids(batch: Batch) -> list[int]:
    return [int(one) for one in batch.leases.values_list("pk", flat=True)]


def test_a_budget_that_pays_for_no_further_call_holds_the_batch(running: Dispatcher) -> None:
    worker(ai=1_000)
    batch = new_batch(40, max_cost=Decimal("0.255"), item_cost=CENT)
    held = accepted(batch, 25)
    write(changes(held, used=ONE_CENT, cost=CENT))
    assert budgets.rooms() == {batch.pk: 0}
    running.tick()
    batch.refresh_from_db()
    assert (batch.status, batch.held_for, batch.spent) == ("paused", "budget", Decimal("0.25"))
    assert Notification.objects.get().details["left"] == 15
    running.tick()
    assert Notification.objects.count() == 1
    with pytest.raises(Conflict, match="needs a higher maxCost"):
        services.resume(batch, actor_id=None)
    assert services.resume(batch, actor_id=None, max_cost=Decimal("0.26")).status == "running"


def test_a_batch_in_flight_is_not_held_yet() -> None:
    batch = new_batch(40, max_cost=Decimal("0.3"), item_cost=CENT)
    accepted(batch, 30)
    assert budgets.rooms() == {batch.pk: 0}
    assert budgets.hold_spent() == []


def test_a_budget_raised_meanwhile_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = new_batch(40, max_cost=CENT, spent=CENT, succeeded=1, item_cost=CENT)
    before = budgets.budgets()
    services.change(batch, {"max_cost": Decimal(1)}, actor_id=None)
    monkeypatch.setattr(budgets, "budgets", lambda: before)
    assert budgets.hold_spent() == []
    batch.refresh_from_db()
    assert batch.status == "running"


def test_only_more_money_makes_it_go_on() -> None:
    batch = new_batch(5, max_cost=2 * CENT, item_cost=CENT)
    held = accepted(batch, 2)
    write(changes(held, used=ONE_CENT, cost=CENT))
    batch.refresh_from_db()
    with pytest.raises(Conflict, match="needs a higher maxCost"):
        services.resume(batch, actor_id=None)
    with pytest.raises(Conflict, match="needs a higher maxCost"):
        services.resume(batch, actor_id=None, max_cost=CENT)
    services.resume(batch, actor_id=None, max_cost=4 * CENT)
    assert (batch.status, batch.held_for, batch.max_cost) == ("running", "", 4 * CENT)
    write(changes(accepted(batch, 2), used=ONE_CENT, cost=CENT))
    batch.refresh_from_db()
    assert (batch.status, Notification.objects.count()) == ("paused", 2)
    services.change(batch, {"max_cost": None}, actor_id=None)
    services.resume(batch, actor_id=None)
    write(changes(accepted(batch), used=ONE_CENT, cost=CENT))
    assert_counters(batch, succeeded=5)


def test_a_budget_for_what_has_no_price_is_refused() -> None:
    batch = new_batch(5, provider=ONCE_ONLY)
    with pytest.raises(InvalidInput):
        services.change(batch, {"max_cost": CENT}, actor_id=None)
    batch.refresh_from_db()
    assert batch.max_cost is None


def test_a_whole_run_stays_within_what_is_in_flight(
    engine: Engine, running: Dispatcher, messages: Messages, scripted: Script
) -> None:
    """Ten workers' places, and items that cost ten times what was guessed: no call begins after the last cent."""

    def act(attempt: Attempt) -> Outcome:
        gevent.sleep(0.02)
        attempt.used["input_tokens"] += 1_000
        return Succeeded({})

    scripted.act = act
    worker(ai=10)
    batch = new_batch(300, max_cost=Decimal("0.25"), item_cost=CENT / 10)
    seen = 0

    def held() -> bool:
        nonlocal seen
        running.tick()
        for lease_id, _ in messages.sent[seen:]:
            gevent.spawn(engine.runner.run_lease, lease_id)
        seen = len(messages.sent)
        batch.refresh_from_db()
        return batch.status == "paused" and not batch.leases.exists()

    until(held)
    calls = len(scripted.calls)
    assert_counters(batch, succeeded=calls)
    assert Decimal("0.25") <= batch.spent <= Decimal("0.25") + 20 * CENT
    assert batch.spent == calls * CENT
    services.resume(batch, actor_id=None, max_cost=Decimal(100))
    Item.objects.filter(batch=batch, status="pending").update(due_at=timezone.now())

    def done() -> bool:
        held()
        return batch.succeeded == 300

    until(done, 20.0)
    assert_counters(batch, succeeded=300)
    assert batch.spent == 300 * CENT

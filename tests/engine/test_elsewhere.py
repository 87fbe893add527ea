"""Messages that surely were not sent go to another provider: who is asked next, and that nobody gets two."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import gevent
import pytest
from django.db.models import Sum
from django.utils import timezone

from batches.dispatching import claim
from batches.dispatching.allotment import Allotment
from batches.dispatching.dispatcher import Dispatcher
from batches.dispatching.elsewhere import Elsewhere
from batches.dispatching.rescue import rescue
from batches.dispatching.window import read_window
from batches.models import Batch, Item, ItemError, Lease, ProviderAccount
from batches.operations.base import Attempt
from batches.outcomes import Fault, Outcome, Rejected, Retry, Snooze, Succeeded, Unknown
from batches.running import leases, recorder
from batches.running.account_statements import Accounts
from batches.running.changes import Change, Held, change_of
from batches.running.elsewhere import elsewhere
from batches.running.engine import Engine
from batches.running.leases import LeasedItem
from batches.services import retry_failed
from providers.base import ErrorCategory, ProviderError
from tests.engine.conftest import until
from tests.engine.dispatching import leased, worker
from tests.engine.ledger import PATIENT, assert_counters, expire, held, items, new_batch
from tests.engine.scripted import ONCE_ONLY, REPEATABLE, OnceOnly, Script, entry, fail, succeed, take, too_many

pytestmark = pytest.mark.django_db(transaction=True)

SECOND, THIRD = "second", "third"
CHAIN = (ONCE_ONLY, SECOND, THIRD)
BUSY = Fault(ErrorCategory.RATE_LIMIT, "http_429", "Too many.", elsewhere=True)
NO_ROUTE = Fault(ErrorCategory.INVALID_REQUEST, "21408", "Not this region.", elsewhere=True)
NO_NUMBER = Fault(ErrorCategory.INVALID_REQUEST, "21211", "No number.")

Act = Callable[[Attempt], Outcome]

not_reached = fail(ErrorCategory.NETWORK, surely_not_sent=True)
WRONG_KEY = fail(ErrorCategory.AUTHENTICATION, permanent=True, surely_not_sent=True)


@pytest.fixture(autouse=True)
def _providers(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PROVIDERS = {**settings.PROVIDERS, SECOND: entry(OnceOnly), THIRD: entry(OnceOnly)}
    monkeypatch.setattr(recorder, "accounts", Accounts())


def messages(number: int = 1, **fields: Any) -> Batch:
    """A campaign that may switch to the second and the third provider."""
    may = {"when_unavailable": "switch", "fallbacks": [SECOND, THIRD]}
    return new_batch(number, **{"provider": ONCE_ONLY, "channel": "sms", **may, **fields})


def no_route(attempt: Attempt) -> Outcome:
    raise ProviderError(
        "No route.",
        category=ErrorCategory.INVALID_REQUEST,
        code="no_route",
        permanent=True,
        surely_not_sent=True,
        of_provider=True,
    )


def answering(**acts: Act) -> Act:
    """What each provider answers, by alias; a dash is written as an underscore."""
    return lambda attempt: acts[attempt.provider.alias.replace("-", "_")](attempt)


def dispatch() -> list[int]:
    """What a dispatcher leases now of what goes with its batch, and of what goes elsewhere."""
    worker(sms=100)
    allotment, now = Allotment(), time.monotonic()
    found = [*Elsewhere(allotment).claim(read_window(), now)]
    shares, routes = allotment.shares(read_window(), now)
    if shares:
        found += claim.claim(shares, routes).leases
    return [lease_id for lease_id, _ in found]


def run_due(engine: Engine) -> None:
    """Hand out what is due, and wait until it is recorded."""
    for lease_id in dispatch():
        gevent.spawn(engine.runner.run_lease, lease_id)
    until(lambda: not Lease.objects.exists())


def called(scripted: Script) -> list[str]:
    return [call.provider.alias for call in scripted.calls]


def only(batch: Batch) -> Item:
    (item,) = items(batch)
    return item


# --- Who is asked next: pure ---


def mine_of(by: str, *, refused_by: tuple[str, ...] = (), retries: int | None = None) -> Held:
    item = LeasedItem(1, "key", {}, 0, 0, 0.0, refused_by=refused_by)
    return replace(held(item, idempotent=False, policy=replace(PATIENT, max_retries=retries)), provider=by)


def after(answer: Outcome, *, by: str = ONCE_ONLY, shut: str = "", **facts: Any) -> Change:
    mine = mine_of(by, **facts)
    change = change_of(answer, mine, attempt_id=uuid.uuid4())
    return elsewhere(change, answer, mine, CHAIN, lambda alias: alias != shut)


@pytest.mark.parametrize("answer", [Retry(BUSY), Rejected(NO_ROUTE)])
@pytest.mark.parametrize(("by", "to"), [(ONCE_ONLY, SECOND), (SECOND, THIRD)])
def test_the_next_of_the_chain_is_asked_at_once_and_no_retry_is_spent(answer: Outcome, by: str, to: str) -> None:
    change = after(answer, by=by, retries=0)
    assert (change.status, change.detour, change.delay_seconds) == ("pending", to, 0.0)
    assert (change.attempts, change.failures, change.waited_ms) == (1, 0, 0)


@pytest.mark.parametrize("answer", [Rejected(NO_NUMBER), Retry(NO_NUMBER), Unknown(BUSY), Succeeded({})])
def test_what_another_provider_would_not_do_better_stays(answer: Outcome) -> None:
    assert after(answer).detour is None


def test_behind_the_last_one_it_waits_and_begins_anew() -> None:
    change = after(Retry(BUSY), by=THIRD)
    assert (change.status, change.detour) == ("pending", "")
    assert change.delay_seconds > 0


@pytest.mark.parametrize(("attempts", "longest"), [(2, 1.0), (5, 2.0), (8, 4.0)])
def test_each_round_waits_as_one_attempt_does_elsewhere(attempts: int, longest: float) -> None:
    mine = mine_of(THIRD)
    mine = replace(mine, item=replace(mine.item, attempts=attempts))
    answer = Retry(BUSY)
    change = elsewhere(change_of(answer, mine), answer, mine, CHAIN, lambda alias: True)
    assert longest / 2 <= change.delay_seconds <= longest
    assert change.waited_ms == round(change.delay_seconds * 1000)


def test_who_refused_for_good_is_not_asked_again() -> None:
    change = after(Rejected(NO_ROUTE), by=THIRD, refused_by=(ONCE_ONLY,), retries=0)
    assert (change.status, change.detour, change.failures) == ("pending", SECOND, 0)
    assert change.refused_by == (ONCE_ONLY, THIRD)
    assert change.delay_seconds > 0


def test_refused_by_all_for_good_it_fails() -> None:
    change = after(Rejected(NO_ROUTE), by=THIRD, refused_by=(ONCE_ONLY, SECOND))
    assert (change.status, change.fault) == ("failed", NO_ROUTE)


def test_an_account_that_takes_no_calls_is_passed_over() -> None:
    assert after(Retry(BUSY), shut=SECOND).detour == THIRD


def test_the_last_one_that_may_take_it_is_waited_for() -> None:
    change = after(Rejected(NO_ROUTE), by=SECOND, refused_by=(ONCE_ONLY,), shut=THIRD, retries=0)
    assert (change.status, change.detour) == ("pending", THIRD)


def test_a_round_that_ends_in_failures_spends_the_retries() -> None:
    fault = Fault(ErrorCategory.NETWORK, "connection_failed", "Not reached.", elsewhere=True)
    assert after(Retry(fault), by=THIRD, retries=0).status == "failed"


def test_an_item_that_waits_for_its_account_goes_on_at_once() -> None:
    fault = Fault(ErrorCategory.BUDGET, "no_credit", "No credit.", elsewhere=True)
    mine = mine_of(ONCE_ONLY)
    change = replace(change_of(Snooze(2.0), mine), fault=fault)
    change = elsewhere(change, Snooze(2.0), mine, CHAIN, lambda alias: True)
    assert (change.detour, change.delay_seconds, change.attempts, change.refused_by) == (SECOND, 0.0, 0, ())


# --- Through the engine and the ledger ---


@pytest.mark.parametrize("act", [no_route, too_many(None), not_reached, WRONG_KEY])
def test_what_surely_was_not_sent_is_sent_once_by_the_next_one(engine: Engine, scripted: Script, act: Act) -> None:
    scripted.act = answering(once_only=act, second=succeed)
    batch = messages()
    run_due(engine)
    item = only(batch)
    assert (item.status, item.detour, item.started_at) == ("pending", SECOND, None)
    run_due(engine)
    assert called(scripted) == [ONCE_ONLY, SECOND]
    assert_counters(batch, succeeded=1)
    assert only(batch).provider == SECOND
    assert ItemError.objects.get().provider == ONCE_ONLY


@pytest.mark.parametrize(
    ("act", "status"),
    [
        (fail(ErrorCategory.TIMEOUT), "unknown"),
        (fail(ErrorCategory.SERVER), "unknown"),
        (take(60), "unknown"),
        (fail(ErrorCategory.INVALID_REQUEST, permanent=True, surely_not_sent=True), "failed"),
        (fail(ErrorCategory.CONTENT, permanent=True, surely_not_sent=True), "failed"),
    ],
)
def test_what_may_have_left_and_what_is_the_recipients_goes_nowhere(
    engine: Engine, scripted: Script, act: Act, status: str
) -> None:
    scripted.act = act
    batch = messages(timeout_ms=50)
    run_due(engine)
    assert (only(batch).status, only(batch).detour) == (status, "")
    run_due(engine)
    assert called(scripted) == [ONCE_ONLY]
    assert_counters(batch, **{status: 1})


@pytest.mark.parametrize("fields", [{"when_unavailable": "wait"}, {"fallbacks": []}])
def test_a_batch_that_may_not_switch_waits(engine: Engine, scripted: Script, fields: dict[str, Any]) -> None:
    scripted.act = too_many(None)
    batch = messages(**fields)
    run_due(engine)
    item = only(batch)
    assert (item.status, item.detour) == ("pending", "")
    assert item.due_at > timezone.now()


def test_calls_that_may_be_repeated_wait_for_their_own_provider(engine: Engine, scripted: Script) -> None:
    scripted.act = too_many(None)
    batch = messages(provider=REPEATABLE, channel="ai")
    worker(ai=10)
    run_due(engine)
    assert only(batch).detour == ""


def test_a_chain_that_has_no_route_fails_with_what_the_last_one_said(engine: Engine, scripted: Script) -> None:
    scripted.act = no_route
    batch = messages()
    for _ in CHAIN:
        run_due(engine)
    assert called(scripted) == list(CHAIN)
    assert_counters(batch, failed=1)
    assert ItemError.objects.values_list("provider", "code", "count").get() == (CHAIN[-1], "no_route", len(CHAIN))
    retry_failed(batch, actor_id=None)
    scripted.act = succeed
    run_due(engine)
    assert called(scripted)[3:] == [ONCE_ONLY], "tried anew from the start"
    assert_counters(batch, succeeded=1)


def test_a_round_goes_through_the_chain_once_and_then_waits(engine: Engine, scripted: Script) -> None:
    scripted.act = not_reached
    batch = messages(max_retries=1)
    for _ in CHAIN:
        run_due(engine)
    item = only(batch)
    assert (item.status, item.attempts, item.failures, item.detour) == ("pending", 3, 1, "")
    assert item.due_at > timezone.now()
    for _ in CHAIN:
        Item.objects.update(due_at=timezone.now())
        run_due(engine)
    assert called(scripted) == [*CHAIN, *CHAIN]
    assert_counters(batch, failed=1)


def test_a_worker_that_dies_before_the_call_leaves_it_on_its_way(engine: Engine, scripted: Script) -> None:
    scripted.act = answering(once_only=no_route, second=succeed)
    batch = messages()
    run_due(engine)
    (lease_id,) = dispatch()
    expire(lease_id)
    rescue()
    assert (only(batch).status, only(batch).detour) == ("pending", SECOND)
    run_due(engine)
    assert called(scripted) == [ONCE_ONLY, SECOND]
    assert_counters(batch, succeeded=1)


def test_a_worker_that_dies_in_the_second_call_leaves_it_in_doubt(engine: Engine, scripted: Script) -> None:
    scripted.act = no_route
    batch = messages()
    run_due(engine)
    (lease_id,) = dispatch()
    taken = leases.accept(lease_id, "somebody")
    assert taken is not None
    assert (taken.provider, taken.items[0].refused_by) == (SECOND, (ONCE_ONLY,))
    assert leases.mark_started(taken.items[0].id, lease_id, uuid.uuid4())
    expire(lease_id)
    rescue()
    assert (only(batch).status, only(batch).provider) == ("unknown", SECOND)
    run_due(engine)
    assert called(scripted) == [ONCE_ONLY]


# --- The dispatcher ---


def on_detour(batch: Batch, alias: str = SECOND, **fields: Any) -> None:
    Item.objects.filter(batch=batch).update(detour=alias, **fields)


def test_each_item_goes_to_its_own_provider(running: Dispatcher) -> None:
    worker(sms=100)
    batch = messages(6)
    Item.objects.filter(batch=batch, position__lt=2).update(detour=SECOND)
    Item.objects.filter(batch=batch, position=2).update(detour=THIRD)
    until(lambda: running.tick() is not None and leased(batch) == 6)
    leases_of = Lease.objects.values_list("provider").annotate(Sum("remaining"))
    assert dict(leases_of) == {ONCE_ONLY: 3, SECOND: 2, THIRD: 1}


def test_the_limits_of_the_account_it_goes_to_hold(running: Dispatcher, settings: Any) -> None:
    settings.PROVIDERS = {**settings.PROVIDERS, SECOND: entry(OnceOnly, max_in_flight=3)}
    worker(sms=100)
    batch = messages(10)
    on_detour(batch)
    for _ in range(3):
        running.tick()
    assert leased(batch) == 3


def test_a_budget_and_a_concurrency_hold_for_both_ways_together(running: Dispatcher) -> None:
    worker(sms=100)
    batch = messages(10, concurrency=4)
    Item.objects.filter(batch=batch, position__lt=5).update(detour=SECOND)
    for _ in range(3):
        running.tick()
    assert leased(batch) == 4


def shut(alias: str) -> None:
    ProviderAccount.objects.create(alias=alias, closed_until=timezone.now() + timedelta(seconds=60))


def test_where_the_second_one_is_shut_it_goes_on_to_the_third(running: Dispatcher) -> None:
    worker(sms=100)
    batch = messages(3)
    on_detour(batch)
    shut(SECOND)
    for _ in range(2):
        running.tick()
    assert set(Lease.objects.values_list("provider", flat=True)) == {THIRD}
    assert leased(batch) == 3


def test_refused_for_good_by_the_others_it_waits_for_the_one_that_is_shut(running: Dispatcher) -> None:
    worker(sms=100)
    batch = messages(3)
    on_detour(batch, refused_by=[ONCE_ONLY])
    shut(SECOND)
    for _ in range(2):
        running.tick()
    assert leased(batch) == 0
    ProviderAccount.objects.update(closed_until=timezone.now() - timedelta(seconds=60))
    running.tick()
    assert set(Lease.objects.values_list("provider", flat=True)) == {SECOND}


def test_a_fallback_that_was_taken_out_of_the_settings_keeps_nothing(running: Dispatcher, settings: Any) -> None:
    worker(sms=100)
    batch = messages(3)
    on_detour(batch, refused_by=[ONCE_ONLY])
    settings.PROVIDERS = {alias: each for alias, each in settings.PROVIDERS.items() if alias != SECOND}
    for _ in range(2):
        running.tick()
    assert set(Lease.objects.values_list("provider", flat=True)) == {ONCE_ONLY}
    assert leased(batch) == 3


def test_suspects_keep_their_way(running: Dispatcher) -> None:
    worker(sms=100)
    batch = messages(1)
    on_detour(batch, deaths=2)
    running.tick()
    assert Lease.objects.get().provider == SECOND

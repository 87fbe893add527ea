"""An account that refuses everybody: its items wait, switch or fail, probes find out when it works again."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import gevent
import pytest
from django.db.models import Sum
from django.utils import timezone

from batches.dispatching import claim, probes
from batches.dispatching.allotment import Allotment
from batches.dispatching.detours import with_detours
from batches.dispatching.dispatcher import Dispatcher
from batches.dispatching.probes import claim_probes
from batches.dispatching.window import read_window
from batches.models import Batch, Item, ItemError, Lease, ProviderAccount
from batches.outcomes import Fault
from batches.running import recorder
from batches.running.account_statements import Accounts
from batches.running.engine import Engine
from providers.base import ErrorCategory
from tests.engine.conftest import until
from tests.engine.dispatching import leased, worker
from tests.engine.ledger import accepted, assert_counters, change, items, new_batch, statuses
from tests.engine.scripted import ONCE_ONLY, REPEATABLE, Repeatable, Script, entry, fail, succeed, take
from tests.engine.worker import finish, run

pytestmark = pytest.mark.django_db(transaction=True)

OTHER = "other"
WRONG_KEY = fail(ErrorCategory.AUTHENTICATION, permanent=True, surely_not_sent=True)


@pytest.fixture(autouse=True)
def _accounts(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PROVIDERS = {**settings.PROVIDERS, OTHER: entry(Repeatable)}
    monkeypatch.setattr(recorder, "accounts", Accounts())


def opened(seconds_ago: float = 20.0, *, probe_in: float = 0.0, **fields: Any) -> ProviderAccount:
    """An account whose breaker is open."""
    now = timezone.now()
    return ProviderAccount.objects.create(
        alias=REPEATABLE,
        opened_at=now - timedelta(seconds=seconds_ago),
        opened_for="authentication (invalid_api_key)",
        probe_at=now + timedelta(seconds=probe_in),
        **fields,
    )


def dispatch() -> list[int]:
    """What a dispatcher leases now, without one: its session does not live beside an engine in this thread."""
    worker(ai=100)
    leases = [*claim_probes(read_window())]
    shares, routes = Allotment().shares(with_detours(read_window()), time.monotonic())
    if shares:
        leases += claim.claim(shares, routes).leases
    return [lease_id for lease_id, _ in leases]


def switching(number: int = 5, **fields: Any) -> Batch:
    return new_batch(number, **{"when_unavailable": "switch", "fallbacks": [ONCE_ONLY, OTHER], **fields})


@pytest.mark.parametrize("provider", [REPEATABLE, ONCE_ONLY])
@pytest.mark.parametrize("category", [ErrorCategory.AUTHENTICATION, ErrorCategory.BUDGET])
def test_items_wait_for_an_account_that_refuses_everybody(
    engine: Engine, scripted: Script, provider: str, category: ErrorCategory
) -> None:
    scripted.act = fail(category, permanent=True, surely_not_sent=True)
    batch = new_batch(40, provider=provider)
    finish(engine, batch, size=40)
    assert statuses(batch) == ["pending"] * 40
    assert {(item.attempts, item.failures, item.started_at) for item in items(batch)} == {(0, 0, None)}
    assert len(scripted.calls) <= 20, "it went on calling"
    assert set(ItemError.objects.values_list("code", "count")) == {(f"{category}_error", 1)}
    account = ProviderAccount.objects.get()
    assert (account.alias, account.opened_for) == (provider, f"{category} ({category}_error)")
    assert account.opened_at is not None
    assert account.probe_at is not None
    assert_counters(batch)


def test_one_item_that_is_refused_among_good_ones_fails_alone(engine: Engine, scripted: Script) -> None:
    scripted.act = lambda attempt: WRONG_KEY(attempt) if attempt.key == "item-3" else succeed(attempt)
    batch = new_batch(10)
    finish(engine, batch, size=1)
    assert statuses(batch).count("succeeded") == 9
    Item.objects.filter(status="pending").update(due_at=timezone.now())
    finish(engine, new_batch(1))
    finish(engine, batch)
    assert_counters(batch, succeeded=9, failed=1)
    assert not ProviderAccount.objects.filter(opened_at__isnull=False).exists()


def test_a_batch_that_shall_fail_fails_as_ever(engine: Engine, scripted: Script) -> None:
    scripted.act = WRONG_KEY
    batch = new_batch(30, when_unavailable="fail")
    finish(engine, batch, size=5)
    assert_counters(batch, failed=30)
    assert ProviderAccount.objects.filter(opened_at__isnull=False).exists()
    later = new_batch(3, when_unavailable="fail")
    leases = dispatch()
    assert leased(later) == 3
    for lease_id in leases:
        gevent.spawn(engine.runner.run_lease, lease_id).get()
    until(lambda: not Lease.objects.exists())
    assert_counters(later, failed=3)


def test_nothing_starts_once_it_is_open(engine: Engine, scripted: Script) -> None:
    opened()
    until(lambda: engine.watch.is_open(REPEATABLE))
    batch = new_batch(5)
    finish(engine, batch)
    assert scripted.calls == []
    assert statuses(batch) == ["pending"] * 5


def test_a_probe_goes_out_when_it_is_due_and_one_at_a_time(running: Dispatcher) -> None:
    worker(ai=100)
    batch = new_batch(5)
    account = opened(60.0, probe_in=30.0)
    running.tick()
    assert leased(batch) == 0
    ProviderAccount.objects.update(probe_at=timezone.now())
    for _ in range(3):
        running.tick()
        assert leased(batch) == 1
    assert Lease.objects.get().probe
    account.refresh_from_db()
    assert account.probe_at is not None
    assert 50 < (account.probe_at - timezone.now()).total_seconds() <= 61, "as long as it is open, again"
    ProviderAccount.objects.update(probe_at=timezone.now())
    running.tick()
    assert leased(batch) == 1, "the first one is still out"


@pytest.mark.parametrize(("open_for", "shortest", "longest"), [(1.0, 14, 15), (100.0, 98, 101), (100_000.0, 298, 300)])
def test_the_waits_between_probes_grow(running: Dispatcher, open_for: float, shortest: int, longest: int) -> None:
    worker(ai=100)
    new_batch(1)
    account = opened(open_for)
    running.tick()
    account.refresh_from_db()
    assert account.probe_at is not None
    assert shortest <= (account.probe_at - timezone.now()).total_seconds() <= longest
    assert probes.LONGEST_SECONDS == 300


def test_a_probe_that_succeeds_closes_it_and_the_account_starts_slowly(engine: Engine, scripted: Script) -> None:
    batch = new_batch(20)
    opened()
    until(lambda: engine.watch.is_open(REPEATABLE))
    (probe,) = dispatch()
    gevent.spawn(engine.runner.run_lease, probe).get()
    until(lambda: not Lease.objects.exists())
    assert len(scripted.calls) == 1
    assert_counters(batch, succeeded=1)
    account = ProviderAccount.objects.get()
    assert (account.opened_at, account.opened_for, account.probe_at) == (None, "", None)
    dispatch()
    assert 8 <= leased(batch) < 16


@pytest.mark.parametrize("category", [ErrorCategory.INVALID_REQUEST, ErrorCategory.CONTENT])
def test_an_answer_that_is_about_the_item_alone_closes_it_as_well(
    engine: Engine, scripted: Script, category: ErrorCategory
) -> None:
    scripted.act = fail(category, permanent=True)
    new_batch(1)
    opened()
    (probe,) = dispatch()
    gevent.spawn(engine.runner.run_lease, probe).get()
    until(lambda: not Lease.objects.exists())
    assert ProviderAccount.objects.get().opened_at is None


def test_a_probe_that_fails_leaves_it_open_and_costs_its_item_nothing(engine: Engine, scripted: Script) -> None:
    scripted.act = WRONG_KEY
    batch = new_batch(2)
    opened()
    until(lambda: engine.watch.is_open(REPEATABLE))
    (probe,) = dispatch()
    first = Item.objects.get(lease_id=probe)
    gevent.spawn(engine.runner.run_lease, probe).get()
    until(lambda: not Lease.objects.exists())
    assert len(scripted.calls) == 1
    assert [(item.status, item.attempts) for item in items(batch)] == [("pending", 0)] * 2
    assert ProviderAccount.objects.get().opened_at is not None
    ProviderAccount.objects.update(probe_at=timezone.now())
    (probe,) = dispatch()
    assert Item.objects.get(lease_id=probe) != first, "the next probe is another item"


def test_an_answer_to_a_call_from_before_does_not_close_it(engine: Engine, scripted: Script) -> None:
    scripted.act = take(0.3)
    batch = new_batch(1)
    run(engine, batch)
    until(lambda: scripted.calls)
    opened(0.0)
    until(lambda: engine.watch.is_open(REPEATABLE))
    until(lambda: not Lease.objects.exists())
    assert_counters(batch, succeeded=1)
    assert ProviderAccount.objects.get().opened_at is not None


def test_a_batch_that_may_switch_goes_to_the_first_fallback_that_is_available(engine: Engine, scripted: Script) -> None:
    opened(probe_in=60.0)
    waiting, batch = new_batch(3), switching()
    leases = dispatch()
    assert (leased(waiting), leased(batch)) == (0, 5)
    assert set(Lease.objects.values_list("provider", flat=True)) == {ONCE_ONLY}
    for lease_id in leases:
        gevent.spawn(engine.runner.run_lease, lease_id).get()
    until(lambda: not Lease.objects.exists())
    assert_counters(batch, succeeded=5)
    assert {call.provider.alias for call in scripted.calls} == {ONCE_ONLY}
    assert {item.provider for item in items(batch)} == {ONCE_ONLY}


def test_fallbacks_that_are_shut_themselves_are_passed_over(running: Dispatcher) -> None:
    worker(ai=100)
    opened(probe_in=60.0)
    ProviderAccount.objects.create(alias=ONCE_ONLY, closed_until=timezone.now() + timedelta(seconds=30))
    batch = switching()
    running.tick()
    assert leased(batch) == 5
    assert set(Lease.objects.values_list("provider", flat=True)) == {OTHER}


def test_the_entry_of_a_provider_may_name_its_fallbacks(running: Dispatcher, settings: Any) -> None:
    settings.PROVIDERS = {**settings.PROVIDERS, REPEATABLE: {**entry(Repeatable), "fallbacks": [OTHER]}}
    worker(ai=100)
    opened(probe_in=60.0)
    batch = switching(fallbacks=[])
    running.tick()
    assert set(Lease.objects.values_list("provider", flat=True)) == {OTHER}
    assert leased(batch) == 5


@pytest.mark.parametrize(("seconds", "switches"), [(1.5, False), (30.0, True)])
def test_a_short_429_is_waited_for_and_a_long_one_is_not(running: Dispatcher, seconds: float, switches: bool) -> None:
    worker(ai=100)
    ProviderAccount.objects.create(alias=REPEATABLE, closed_until=timezone.now() + timedelta(seconds=seconds))
    batch = switching()
    running.tick()
    assert leased(batch) == (5 if switches else 0)


def test_one_that_switches_still_probes_its_own(running: Dispatcher) -> None:
    worker(ai=100)
    opened()
    batch = switching()
    running.tick()
    assert leased(batch) == 5
    sizes = Lease.objects.values("provider").annotate(items=Sum("remaining")).values_list("provider", "items")
    assert dict(sizes) == {REPEATABLE: 1, ONCE_ONLY: 4}


def test_suspects_do_not_go_to_an_open_account(running: Dispatcher) -> None:
    worker(ai=100)
    opened(probe_in=60.0)
    new_batch(3)
    Item.objects.update(deaths=2)
    running.tick()
    assert not Lease.objects.exists()


def test_lasting_trouble_is_written_down_and_a_second_report_changes_nothing() -> None:
    taken = accepted(new_batch(2))
    fault = Fault(ErrorCategory.SERVER, "http_503", "No.")
    for place, (words, item) in enumerate(zip(("overload (http_503)", "other"), taken.items, strict=True)):
        recorder.write([change(taken, item, "pending", fault=fault, opens_account=words)])
        account = ProviderAccount.objects.get()
        assert account.opened_for == "overload (http_503)", place

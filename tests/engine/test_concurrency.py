"""Calls in flight per account: cut on overload, raised on success, and no bound where nothing ever spoke for one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from batches.dispatching.dispatcher import Dispatcher
from batches.models import Lease, ProviderAccount
from batches.outcomes import Fault
from batches.provider_accounts.account_states import known_accounts, read_states
from batches.running import recorder
from batches.running.account_statements import FORGOTTEN_SECONDS, Accounts, tally
from batches.running.leases import AcceptedLease
from providers.base import ErrorCategory
from tests.engine.dispatching import leased, worker
from tests.engine.ledger import accepted, change, new_batch
from tests.engine.scripted import REPEATABLE, Repeatable, entry

pytestmark = pytest.mark.django_db(transaction=True)

LIMITED = Fault(ErrorCategory.RATE_LIMIT, "http_429", "Later.")
OVERLOADED = Fault(ErrorCategory.SERVER, "overloaded_error", "Later.")
BROKEN = Fault(ErrorCategory.SERVER, "http_500", "Broken.")


@pytest.fixture(autouse=True)
def accounts(monkeypatch: pytest.MonkeyPatch) -> Accounts:
    """What the recorder remembers; nothing of earlier tests."""
    made = Accounts()
    monkeypatch.setattr(recorder, "accounts", made)
    known_accounts.replace({})
    return made


def look() -> None:
    """Read what is known of the accounts, as a worker does twice a second."""
    with connection.cursor() as cursor:
        known_accounts.replace(read_states(cursor))


def concurrency() -> float | None:
    account = ProviderAccount.objects.filter(alias=REPEATABLE).first()
    return None if account is None else account.concurrency


def write(lease: AcceptedLease, first: int, last: int, fault: Fault | None = None, **fields: Any) -> None:
    status = "succeeded" if fault is None else "pending"
    given = {"fault": fault} if fault else {}
    recorder.write([change(lease, item, status, **given, **fields) for item in lease.items[first:last]])


@pytest.mark.parametrize("fault", [LIMITED, OVERLOADED])
def test_the_first_overload_makes_a_bound_of_three_quarters_of_what_was_in_flight(fault: Fault) -> None:
    lease = accepted(new_batch(40))
    write(lease, 0, 1, fault)
    assert concurrency() == 30.0


def test_unaccepted_leases_are_not_in_flight() -> None:
    lease = accepted(new_batch(20))
    accepted(new_batch(100), size=100)
    Lease.objects.exclude(pk=lease.id).update(worker="")
    write(lease, 0, 1, LIMITED)
    assert concurrency() == 15.0


def test_it_is_cut_once_for_the_calls_of_a_moment(accounts: Accounts) -> None:
    lease = accepted(new_batch(40))
    write(lease, 0, 1, LIMITED)
    write(lease, 1, 20, LIMITED)
    accounts.cut_at.clear()  # as another worker would
    write(lease, 20, 30, LIMITED)
    assert concurrency() == 30.0

    ProviderAccount.objects.update(cut_at=timezone.now() - timedelta(seconds=5))
    accounts.cut_at.clear()
    write(lease, 30, 31, LIMITED, duration_ms=20_000)  # it had begun before the cut
    assert concurrency() == 30.0
    accounts.cut_at.clear()
    write(lease, 31, 32, LIMITED)
    assert concurrency() == pytest.approx(0.75 * 9)


def test_the_bound_is_never_below_one(accounts: Accounts) -> None:
    lease = accepted(new_batch(1))
    write(lease, 0, 1, LIMITED)
    assert concurrency() == 1.0


def test_good_answers_raise_it_step_by_step_and_failures_stop_that(accounts: Accounts) -> None:
    lease = accepted(new_batch(40))
    ProviderAccount.objects.create(alias=REPEATABLE, concurrency=10.0, cut_at=timezone.now() - timedelta(seconds=5))
    look()
    write(lease, 0, 10)
    assert concurrency() == pytest.approx(11.0)  # one more for as many answers as there may be calls
    accounts.raised_at.clear()
    write(lease, 10, 15, BROKEN)
    write(lease, 15, 20)
    assert concurrency() == pytest.approx(11.0)

    ProviderAccount.objects.update(concurrency=1_000.0)
    accounts.raised_at.clear()
    accounts.good.clear()
    write(lease, 20, 30)
    assert concurrency() == pytest.approx(1_000.5)  # a twentieth for a thousand answers


def test_a_bound_that_nothing_spoke_for_lately_is_forgotten() -> None:
    lease = accepted(new_batch(2))
    long_ago = timezone.now() - timedelta(seconds=FORGOTTEN_SECONDS + 1)
    ProviderAccount.objects.create(alias=REPEATABLE, concurrency=10.0, cut_at=long_ago)
    look()
    write(lease, 0, 1)
    assert concurrency() is None


def test_an_account_that_answers_well_costs_no_statement() -> None:
    lease = accepted(new_batch(4))
    write(lease, 0, 1)
    with CaptureQueriesContext(connection) as queries:
        write(lease, 1, 2)
    assert not [query for query in queries if "provideraccount" in query["sql"]]


def test_the_dispatcher_keeps_to_the_bound(running: Dispatcher) -> None:
    worker(ai=100)
    ProviderAccount.objects.create(alias=REPEATABLE, concurrency=12.7, cut_at=timezone.now())
    first, second = new_batch(50), new_batch(50)
    for _ in range(2):
        running.tick()
        assert leased(first) + leased(second) == 12


class Talkative(Repeatable):
    names_limits = True


def test_few_calls_make_the_acquaintance_of_an_account_that_names_its_limits(
    running: Dispatcher, settings: Any
) -> None:
    settings.PROVIDERS = {REPEATABLE: {**entry(Repeatable), "adapter": f"{__name__}.Talkative"}}
    worker(ai=1_000)
    batch = new_batch(500)
    running.tick()
    assert 50 <= leased(batch) < 100
    ProviderAccount.objects.create(alias=REPEATABLE, learned_at=timezone.now())
    running.tick()
    assert leased(batch) == 500


def test_what_a_group_says_of_its_accounts() -> None:
    lease = accepted(new_batch(6))
    first, *_ = lease.items
    group = [
        change(lease, first, duration_ms=300),
        change(lease, first, duration_ms=200, provider="b"),
        change(lease, first, "pending", fault=LIMITED, duration_ms=50, closes_account_seconds=7.0),
        change(lease, first, "pending", fault=OVERLOADED, duration_ms=90, closes_account_seconds=3.0),
        change(lease, first, "pending", fault=BROKEN, provider="b"),
        change(lease, first, "pending", attempts=0, provider="c"),
        change(lease, first, provider=""),
    ]
    found = tally(group)
    assert sorted(found) == ["b", REPEATABLE]
    account, other = found[REPEATABLE], found["b"]
    assert (account.good, account.overloaded, account.healthy, account.closed) == (1, 0.05, 0.3, 7.0)
    assert (other.good, other.troubled, other.overloaded, other.healthy) == (1, True, None, 0.2)

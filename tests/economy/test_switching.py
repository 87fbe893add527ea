"""Economy batches whose provider refuses the account: what is not submitted goes to a fallback, and comes back."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from batches.models import Batch, Item, Lease, ProviderAccount, ProviderBatch
from batches.states import Step
from providers.base import ErrorCategory, RemoteBatch, RemoteState
from tests.economy.driving import drive, economy_batch, step, tick
from tests.economy.scripted import ALIAS, PLAIN, PRICES, Batcher, Remote, failure
from tests.engine.ledger import assert_counters, statuses
from tests.engine.scripted import entry

pytestmark = pytest.mark.django_db(transaction=True)

OTHER = "other-batcher"


class Shut(Batcher):
    """A provider that refuses the account while it is told to."""

    refuses: ErrorCategory | None = None
    status: int | None = None
    submitted: int = 0

    def submit_batch(self, lines: Any, number: int, marker: str) -> RemoteBatch:
        if Shut.refuses is not None:
            raise failure("refused", Shut.refuses, permanent=True, surely_not_sent=True, status=Shut.status)
        Shut.submitted += number
        return super().submit_batch(lines, number, marker)


@pytest.fixture(autouse=True)
def _two_providers(scripted: Remote, settings: Any) -> None:
    batcher = {**entry(Batcher), "prices": PRICES}
    settings.PROVIDERS = {
        **settings.PROVIDERS,
        ALIAS: {**batcher, "adapter": f"{__name__}.Shut"},
        OTHER: {**batcher, "adapter": f"{Batcher.__module__}.Batcher"},
    }
    Shut.refuses, Shut.status, Shut.submitted = ErrorCategory.BUDGET, 402, 0


def switching(count: int = 3, **fields: Any) -> Batch:
    return economy_batch(count, **{"when_unavailable": "switch", "fallbacks": [PLAIN, OTHER], **fields})


def account() -> ProviderAccount | None:
    return ProviderAccount.objects.filter(alias=ALIAS, opened_at__isnull=False).first()


def answered_by(batch: Batch) -> Counter[str]:
    return Counter(Item.objects.filter(batch=batch, status="succeeded").values_list("provider", flat=True))


@pytest.mark.parametrize("category", [ErrorCategory.BUDGET, ErrorCategory.AUTHENTICATION])
def test_after_two_refusals_the_items_go_to_a_fallback_with_a_batch_api(category: ErrorCategory) -> None:
    Shut.refuses, Shut.status = category, 401
    batch = switching()
    step()
    assert (account(), statuses(batch)) == (None, ["running"] * 3), "one refusal says little"
    step()
    opened = account()
    assert opened is not None
    assert opened.opened_for == f"{category} (refused)"
    drive(batch)
    assert_counters(batch, succeeded=3)
    assert answered_by(batch) == {OTHER: 3}
    assert set(Item.objects.values_list("attempts", "failures")) == {(1, 0)}
    assert not Lease.objects.exists()


@pytest.mark.parametrize("fields", [{"when_unavailable": "wait"}, {"fallbacks": [PLAIN]}])
def test_where_nobody_else_may_or_can_it_waits(fields: dict[str, Any]) -> None:
    batch = switching(**fields)
    for _ in range(5):
        step()
    row = ProviderBatch.objects.get(batch=batch)
    assert (row.provider, row.step, row.failures, row.error_code) == (ALIAS, Step.GATHERED, 5, "refused")
    Shut.refuses = None
    ProviderAccount.objects.update(opened_at=timezone.now() - timedelta(seconds=30))
    drive(batch)
    assert answered_by(batch) == {ALIAS: 3}
    assert account() is None, "what was taken closed the breaker"


def test_a_refusal_that_may_be_of_the_batch_api_alone_stops_no_fast_calls() -> None:
    Shut.refuses, Shut.status = ErrorCategory.AUTHENTICATION, 403
    batch = switching()
    for _ in range(4):
        step()
    assert account() is None
    assert statuses(batch) == ["running"] * 3


def test_what_was_submitted_stays_with_its_provider(scripted: Remote) -> None:
    scripted.state = lambda stored: RemoteState.WAITING
    Shut.refuses = None
    batch = switching(10, loaded_at=None, total=20)
    step()
    step()
    first = ProviderBatch.objects.get()
    assert (first.provider, first.step) == (ALIAS, Step.SUBMITTED)
    ProviderAccount.objects.create(
        alias=ALIAS,
        opened_at=timezone.now(),
        opened_for="budget (refused)",
        probe_at=timezone.now() + timedelta(seconds=60),
    )
    Shut.refuses = ErrorCategory.BUDGET
    Item.objects.bulk_create(Item(batch=batch, position=place, key=f"item-{place}") for place in range(10, 20))
    Batch.objects.update(loaded_at=timezone.now())
    step()
    assert dict(ProviderBatch.objects.values_list("provider", "step")) == {ALIAS: Step.SUBMITTED, OTHER: Step.SUBMITTED}
    scripted.state = lambda stored: RemoteState.ENDED
    drive(batch)
    assert answered_by(batch) == {ALIAS: 10, OTHER: 10}
    assert scripted.submits == 2, "nothing was asked twice"


def test_one_item_finds_out_whether_the_account_is_well_again() -> None:
    past = timezone.now() - timedelta(seconds=30)
    ProviderAccount.objects.create(alias=ALIAS, opened_at=past, opened_for="budget (refused)", probe_at=past)
    batch = switching(5)
    tick()
    assert set(ProviderBatch.objects.values_list("provider", "size")) == {(ALIAS, 1), (OTHER, 4)}
    opened = account()
    assert opened is not None and opened.probe_at is not None
    assert opened.probe_at > timezone.now()
    drive(batch)
    assert answered_by(batch) == {OTHER: 5}, "the probe was refused, and its item went on"
    assert account() is not None
    Shut.refuses = None
    ProviderAccount.objects.update(probe_at=past)
    again = drive(switching(5))
    assert answered_by(again) == {ALIAS: 1, OTHER: 4}
    assert account() is None
    assert answered_by(drive(switching(5))) == {ALIAS: 5}

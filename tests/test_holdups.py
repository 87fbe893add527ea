"""What holds a batch back, as it is told to people."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from batches.holdups import holdups
from batches.models import Batch, Item, Lease, ProviderAccount, ProviderBatch, Worker
from tests.live.conftest import make_batch

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def processes() -> None:
    """A worker and a dispatcher are up."""
    Worker.objects.create(boot_id="w", role="worker", hostname="h", process_id=1, capacity={"ai": 10})
    Worker.objects.create(boot_id="d", role="dispatcher", hostname="h", process_id=2)


def codes(batch: Batch, **known: Any) -> list[str]:
    return [holdup.code for holdup in holdups(batch, **known)]


def lease(batch: Batch, items: int) -> None:
    expires_at = timezone.now() + timedelta(seconds=20)
    Lease.objects.create(
        batch=batch, lane="ai.normal", channel="ai", size=items, remaining=items, expires_at=expires_at
    )


def test_nothing_holds_back_what_runs(alice: User, processes: None) -> None:
    assert codes(make_batch(alice)) == []


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_nor_what_is_over(alice: User, status: str) -> None:
    assert codes(make_batch(alice, status=status)) == []


def test_missing_processes_are_named(alice: User) -> None:
    assert codes(make_batch(alice)) == ["no_workers", "no_dispatcher"]


def test_a_worker_of_another_channel_is_none(alice: User, processes: None) -> None:
    assert codes(make_batch(alice, channel="sms")) == ["no_workers"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"status": "paused"}, "paused"),
        ({"status": "paused", "held_for": "budget"}, "budget"),
        ({"status": "paused", "held_for": "maintenance"}, "maintenance"),
        ({"status": "pending", "auto_start": False}, "not_started"),
        ({"status": "pending", "loaded_at": None}, "loading"),
        ({"loaded_at": None}, "loading"),
    ],
)
def test_the_batchs_own_state(alice: User, processes: None, changes: dict[str, Any], expected: str) -> None:
    assert codes(make_batch(alice, **changes)) == [expected]


def test_a_schedule_says_until_when(alice: User, processes: None) -> None:
    at = timezone.now() + timedelta(hours=1)
    (holdup,) = holdups(make_batch(alice, status="pending", scheduled_at=at))
    assert (holdup.code, holdup.until) == ("scheduled", at)


def test_a_closed_account_says_until_when(alice: User, processes: None) -> None:
    until = timezone.now() + timedelta(seconds=30)
    ProviderAccount.objects.create(alias="openai-gpt-5", closed_until=until)
    (holdup,) = holdups(make_batch(alice))
    assert (holdup.code, holdup.until) == ("provider_closed", until)


def test_an_open_breaker_says_why(alice: User, processes: None) -> None:
    ProviderAccount.objects.create(alias="openai-gpt-5", opened_at=timezone.now(), opened_for="insufficient_quota")
    (holdup,) = holdups(make_batch(alice))
    assert holdup.code == "provider_unavailable"
    assert "insufficient quota" in holdup.words


def test_an_account_that_reopened_holds_nothing_back(alice: User, processes: None) -> None:
    ProviderAccount.objects.create(alias="openai-gpt-5", closed_until=timezone.now() - timedelta(seconds=1))
    assert codes(make_batch(alice)) == []


def test_items_at_the_provider_are_counted(alice: User, processes: None) -> None:
    batch = make_batch(alice, mode="economy")
    for step in ("submitted", "collecting", "done"):
        ProviderBatch.objects.create(
            batch=batch, provider="openai-gpt-5", step=step, size=500, submitted_at=timezone.now()
        )
    (holdup,) = holdups(batch)
    assert holdup.code == "at_provider"
    assert holdup.words.startswith("1,000 items wait at the provider since")


def test_what_waits_at_the_provider_is_not_under_way_at_once(alice: User, processes: None) -> None:
    batch = make_batch(alice, mode="economy", concurrency=3)
    lease(batch, 3)
    assert codes(batch) == ["concurrency"]
    Lease.objects.update(lane="economy")
    assert codes(batch) == []


def test_what_its_provider_refuses_is_named_with_the_next_try(alice: User, processes: None) -> None:
    batch = make_batch(alice, mode="economy")
    later = timezone.now() + timedelta(minutes=5)
    for step, code in (("gathered", "insufficient_quota"), ("done", "old")):
        ProviderBatch.objects.create(batch=batch, provider="p", step=step, size=5, error_code=code, due_at=later)
    (holdup,) = holdups(batch)
    assert (holdup.code, holdup.until) == ("provider_step", later)
    assert "(insufficient quota)" in holdup.words


def test_a_limit_is_named_where_it_is_reached(alice: User, processes: None) -> None:
    batch = make_batch(alice, rate_limit=60)
    assert codes(batch) == codes(batch, per_second=0.5) == []
    (holdup,) = holdups(batch, per_second=0.95)
    assert (holdup.code, holdup.words) == ("rate_limit", "It runs at its rate limit, 1 a second.")


def test_so_is_concurrency(alice: User, processes: None) -> None:
    batch = make_batch(alice, concurrency=3)
    lease(batch, 2)
    assert codes(batch) == []
    lease(batch, 1)
    assert codes(batch) == ["concurrency"]


def test_all_that_waits_for_its_next_try(alice: User, processes: None) -> None:
    batch = make_batch(alice, total=2)
    due_at = timezone.now() + timedelta(minutes=5)
    Item.objects.create(batch=batch, position=0, key="a", due_at=due_at)
    (holdup,) = holdups(batch)
    assert (holdup.code, holdup.until) == ("retry_later", due_at)
    Item.objects.create(batch=batch, position=1, key="b", due_at=timezone.now())
    assert codes(batch) == []

"""Changing how a batch runs while it runs, and running some of its failed items again."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from batches import services
from batches.models import AuditEntry, Batch
from batches.problems import Conflict
from tests.api.conftest import Submit

NOT_OPEN = ("completed", "failed", "cancelled")


def patch(client: Client, batch: Batch, body: Any) -> Any:
    return client.patch(f"/api/batch/{batch.public_id}", body, content_type="application/json")


def put(batch: Batch, status: str) -> None:
    at = timezone.now() if status in NOT_OPEN else None
    Batch.objects.filter(pk=batch.pk).update(status=status, completed_at=at, settled_at=at)


def fail(batch: Batch, positions: list[int]) -> None:
    now = timezone.now()
    failed = batch.items.filter(position__in=positions)
    failed.update(status="failed", finished_at=now, error_code="http_500", error_category="server")
    Batch.objects.filter(pk=batch.pk).update(failed=len(positions))


def test_rate_concurrency_and_priority_change_while_it_runs(client: Client, alice: User, submit: Submit) -> None:
    batch = submit()
    answer = patch(client, batch, {"rateLimit": 600, "concurrency": 7, "priority": "high"})
    assert (answer.status_code, answer.json()["changed"]) == (200, ["concurrency", "priority", "rateLimit"])
    batch.refresh_from_db()
    assert (batch.rate_limit, batch.concurrency, batch.priority) == (600.0, 7, "high")
    entry = AuditEntry.objects.get(action="change")
    assert entry.actor == alice
    assert entry.details == {"rate_limit": 600.0, "concurrency": 7, "priority": "high"}


def test_null_takes_a_limit_away_and_what_is_not_named_stays(client: Client, submit: Submit) -> None:
    batch = submit()
    Batch.objects.filter(pk=batch.pk).update(rate_limit=10, concurrency=3)
    assert patch(client, batch, {"rateLimit": None}).status_code == 200
    batch.refresh_from_db()
    assert (batch.rate_limit, batch.concurrency) == (None, 3)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"rateLimit": 0},
        {"rateLimit": "fast"},
        {"concurrency": 0},
        {"concurrency": 1.5},
        {"concurrency": True},
        {"priority": "urgent"},
        {"priority": None},
        {"name": "x"},
        {"rateLimit": 5, "status": "completed"},
    ],
)
def test_what_makes_no_sense_changes_nothing(client: Client, submit: Submit, body: dict[str, Any]) -> None:
    batch = submit()
    before = Batch.objects.filter(pk=batch.pk).values().get()
    assert patch(client, batch, body).status_code == 400
    assert Batch.objects.filter(pk=batch.pk).values().get() == before
    assert not AuditEntry.objects.filter(action="change").exists()


@pytest.mark.parametrize("status", NOT_OPEN)
def test_what_is_over_is_not_changed(client: Client, submit: Submit, status: str) -> None:
    batch = submit()
    put(batch, status)
    assert patch(client, batch, {"rateLimit": 5}).status_code == 409
    batch.refresh_from_db()
    assert batch.rate_limit is None


def test_nothing_else_of_a_batch_can_be_changed_so(submit: Submit) -> None:
    with pytest.raises(ValueError, match="status"):
        services.change(submit(), {"status": "completed"}, actor_id=None)


def test_only_the_named_items_run_again(client: Client, submit: Submit) -> None:
    batch = submit()
    fail(batch, [0, 1])
    answer = client.post(
        f"/api/batch/{batch.public_id}/retry", {"positions": [1, 1, 99]}, content_type="application/json"
    )
    assert (answer.status_code, answer.json()["retried"]) == (200, 1)
    batch.refresh_from_db()
    assert batch.failed == 1
    assert list(batch.items.filter(status="failed").values_list("position", flat=True)) == [0]


@pytest.mark.parametrize("positions", [[], "1", [True], [-1], [1.0], list(range(1001))])
def test_positions_must_be_a_list_of_whole_numbers(client: Client, submit: Submit, positions: Any) -> None:
    batch = submit()
    fail(batch, [0])
    answer = client.post(
        f"/api/batch/{batch.public_id}/retry", {"positions": positions}, content_type="application/json"
    )
    assert answer.status_code == 400
    assert batch.items.filter(status="failed").count() == 1


def test_a_cancelled_batchs_items_stay_failed(submit: Submit) -> None:
    batch = submit()
    fail(batch, [0])
    put(batch, "cancelled")
    with pytest.raises(Conflict):
        services.retry_failed(batch, actor_id=None, positions=[0])
    assert batch.items.filter(status="failed").count() == 1

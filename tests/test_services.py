"""The verbs on a batch: what each allows, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils import timezone

from batches import services
from batches.models import AuditEntry, Batch
from batches.options import NewBatch, NewItem
from batches.problems import Conflict
from batches.states import FINAL_BATCH_STATUSES, BatchStatus

Verb = Callable[..., Batch]

ALLOWED: dict[Verb, tuple[set[str], str]] = {
    services.start: ({"pending"}, "running"),
    services.pause: ({"running"}, "paused"),
    services.resume: ({"paused"}, "running"),
    services.cancel: ({"pending", "running", "paused"}, "cancelled"),
}


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def batch(alice: User) -> Batch:
    items = [NewItem(str(number), {}) for number in range(5)]
    return services.submit_batch(owner_id=alice.pk, new=NewBatch(operation="sms", provider="twilio", items=items))


def put(batch: Batch, status: str) -> None:
    completed_at = timezone.now() if status in FINAL_BATCH_STATUSES else None
    Batch.objects.filter(pk=batch.pk).update(status=status, completed_at=completed_at, settled_at=completed_at)


def fail(batch: Batch, count: int) -> None:
    chosen = batch.items.order_by("id")[:count].values("id")
    batch.items.filter(id__in=chosen).update(
        status="failed", finished_at=timezone.now(), attempts=3, error_code="x", error_category="server"
    )
    Batch.objects.filter(pk=batch.pk).update(failed=count)


@pytest.mark.parametrize("status", list(BatchStatus))
@pytest.mark.parametrize("verb", ALLOWED)
def test_a_verb_moves_from_its_sources_only(batch: Batch, alice: User, verb: Verb, status: str) -> None:
    sources, target = ALLOWED[verb]
    put(batch, status)
    if status in sources:
        assert verb(batch, actor_id=alice.pk).status == target
        assert AuditEntry.objects.filter(batch=batch, actor=alice).count() == 2
    else:
        with pytest.raises(Conflict):
            verb(batch, actor_id=alice.pk)
        batch.refresh_from_db()
        assert batch.status == status
        assert AuditEntry.objects.filter(batch=batch).count() == 1


def test_cancelling_leaves_the_items_to_the_dispatcher(batch: Batch) -> None:
    services.cancel(batch, actor_id=None)
    assert batch.completed_at is not None
    assert batch.settled_at is None
    assert batch.items.filter(status="pending").count() == 5


def test_starting_again_keeps_the_first_start(batch: Batch) -> None:
    started = batch.started_at
    services.pause(batch, actor_id=None)
    assert services.resume(batch, actor_id=None).started_at == started


@pytest.mark.parametrize("status", ["running", "completed", "failed"])
def test_retrying_moves_failed_items_and_reopens(batch: Batch, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "RETRY_CHUNK", 2)
    fail(batch, 5)
    put(batch, status)
    assert services.retry_failed(batch, actor_id=None) == 5
    assert (batch.status, batch.failed, batch.completed_at, batch.settled_at) == ("running", 0, None, None)
    assert batch.items.filter(status="pending", attempts=0, error_code="", finished_at=None).count() == 5


def test_retrying_a_paused_batch_leaves_it_paused(batch: Batch) -> None:
    fail(batch, 2)
    put(batch, "paused")
    assert services.retry_failed(batch, actor_id=None) == 2
    assert batch.status == "paused"


def test_retrying_touches_no_unknown_item(batch: Batch) -> None:
    batch.items.update(status="unknown", finished_at=timezone.now())
    Batch.objects.filter(pk=batch.pk).update(unknown=5)
    assert services.retry_failed(batch, actor_id=None) == 0
    assert batch.items.filter(status="unknown").count() == 5


@pytest.mark.parametrize("status", ["pending", "cancelled"])
def test_a_cancelled_or_waiting_batch_cannot_be_retried(batch: Batch, status: str) -> None:
    fail(batch, 2)
    put(batch, status)
    with pytest.raises(Conflict):
        services.retry_failed(batch, actor_id=None)
    assert batch.items.filter(status="failed").count() == 2


def test_the_database_refuses_a_final_item_without_an_end(batch: Batch) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        batch.items.update(status="succeeded")

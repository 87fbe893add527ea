"""Storing a batch with its items."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from batches.models import AuditEntry, Batch, Item
from batches.operations import UnknownOperation
from batches.options import BatchOptions, NewBatch, NewItem
from batches.submission import submit_batch


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice")


def new_batch(items: list[NewItem] | None = None, operation: str = "rate_photos", **options: Any) -> NewBatch:
    items = items if items is not None else [NewItem("a", {"n": 1}), NewItem("b", {"text": "tab\tnew\nline \\ ü"})]
    return NewBatch(operation=operation, provider="openai-gpt-5", items=items, options=BatchOptions(**options))


def test_batch_and_items_are_stored_in_order(alice: User) -> None:
    batch = submit_batch(owner_id=alice.pk, new=new_batch())
    assert batch.public_id.startswith("batch_")
    assert (batch.status, batch.channel, batch.total, batch.finished) == ("running", "ai", 2, 0)
    assert batch.loaded_at is not None
    assert batch.started_at is not None
    items = list(batch.items.order_by("position").values_list("key", "input", "status", "attempts"))
    assert items == [("a", {"n": 1}, "pending", 0), ("b", {"text": "tab\tnew\nline \\ ü"}, "pending", 0)]


def test_it_is_audited(alice: User) -> None:
    batch = submit_batch(owner_id=alice.pk, new=new_batch())
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.batch, entry.actor, entry.details["items"]) == ("submit", batch, alice, 2)


def test_without_auto_start_it_waits(alice: User) -> None:
    batch = submit_batch(owner_id=alice.pk, new=new_batch(auto_start=False))
    assert (batch.status, batch.started_at) == ("pending", None)


def test_a_scheduled_batch_waits(alice: User) -> None:
    later = timezone.now() + timedelta(hours=1)
    batch = submit_batch(owner_id=alice.pk, new=new_batch(scheduled_at=later))
    assert (batch.status, batch.scheduled_at) == ("pending", later)


def test_nothing_is_stored_of_a_batch_with_an_item_that_cannot_be(alice: User) -> None:
    with pytest.raises(psycopg.DataError):
        submit_batch(owner_id=alice.pk, new=new_batch([NewItem("a", {}), NewItem("b", {"text": "\x00"})]))
    assert not Batch.objects.exists()
    assert not Item.objects.exists()


def test_an_unknown_operation_is_refused(alice: User) -> None:
    with pytest.raises(UnknownOperation):
        submit_batch(owner_id=alice.pk, new=new_batch(operation="fly"))


def test_a_batch_of_nothing_can_be_stored(alice: User) -> None:
    batch = submit_batch(owner_id=alice.pk, new=new_batch([]))
    assert (batch.total, batch.progress) == (0, 1.0)


def test_public_ids_are_unguessable_and_differ(alice: User) -> None:
    first, second = (submit_batch(owner_id=alice.pk, new=new_batch()) for _ in range(2))
    assert first.public_id != second.public_id
    assert len(first.public_id.split("_")[2]) == 24

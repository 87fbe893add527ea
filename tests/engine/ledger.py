"""Rows for tests of the engine, and what must always hold of them."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from batches.backoff import RetryPolicy
from batches.dispatching import claim
from batches.dispatching.claim import Route
from batches.models import Batch, Item, Lease
from batches.outcomes import Fault
from batches.running import leases
from batches.running.changes import Change, Held
from batches.running.leases import AcceptedLease, LeasedItem
from batches.states import FINAL_BATCH_STATUSES, ItemStatus
from providers.base import ErrorCategory
from tests.engine.scripted import REPEATABLE

WORKER = "worker-1"
FAULT = Fault(ErrorCategory.SERVER, "server_error", "The server failed.")
PATIENT = RetryPolicy(max_retries=None, window_seconds=21_600, backoff_seconds=None)


def new_batch(count: int = 3, *, owner: str = "alice", **fields: Any) -> Batch:
    """A stored batch with so many pending items, running unless told otherwise."""
    user, _ = User.objects.get_or_create(username=owner)
    now = timezone.now()
    values: dict[str, Any] = {
        "operation": "scripted",
        "channel": "ai",
        "provider": REPEATABLE,
        "status": "running",
        "loaded_at": now,
        "started_at": now,
        "total": count,
    } | fields
    if values["status"] in FINAL_BATCH_STATUSES:
        values.setdefault("completed_at", now)
    batch = Batch.objects.create(owner=user, **values)
    Item.objects.bulk_create(Item(batch=batch, position=place, key=f"item-{place}") for place in range(count))
    return batch


def lease(batch: Batch, number: int | None = None, *, size: int = 50, lane: str | None = None) -> list[int]:
    """Claim that many due items of the batch; returns the new leases."""
    route = Route(lane or batch.lane, batch.channel, batch.provider, size)
    claimed = claim.claim({batch.pk: batch.total if number is None else number}, {batch.pk: route})
    return [lease_id for lease_id, _ in claimed.leases]


def accepted(batch: Batch, number: int | None = None, *, worker: str = WORKER, size: int = 50) -> AcceptedLease:
    """Claim items in one lease and accept it."""
    (lease_id,) = lease(batch, number, size=size)
    taken = leases.accept(lease_id, worker)
    assert taken is not None
    return taken


def changes(lease: AcceptedLease, status: str = ItemStatus.SUCCEEDED, **fields: Any) -> list[Change]:
    """What a worker would write of the items of its lease."""
    return [change(lease, item, status, **fields) for item in lease.items]


def change(lease: AcceptedLease, item: LeasedItem, status: str = ItemStatus.SUCCEEDED, **fields: Any) -> Change:
    values: dict[str, Any] = {"attempts": 1, "duration_ms": 100, "attempt_id": uuid.uuid4(), "provider": REPEATABLE}
    if status == ItemStatus.SUCCEEDED:
        values["result"] = '{"answer": 42}'
    else:
        values |= {"failures": 1, "fault": FAULT}
    values |= fields
    return Change(item_id=item.id, batch_id=lease.batch_id, lease_id=lease.id, status=status, **values)


def held(item: LeasedItem | None = None, *, idempotent: bool = True, policy: RetryPolicy = PATIENT) -> Held:
    """An item in the hands of a worker; no row belongs to it."""
    return Held(item or LeasedItem(1, "key", {}, 0, 0, 0.0), 2, 3, REPEATABLE, idempotent, policy)


def expire(*lease_ids: int) -> None:
    """Let leases be dead, as if their worker had been silent for twenty seconds."""
    past = timezone.now() - timedelta(seconds=30)
    Lease.objects.filter(id__in=lease_ids).update(expires_at=past, created_at=past)


def statuses(batch: Batch) -> list[str]:
    """The items' statuses in the order of the list."""
    return list(Item.objects.filter(batch=batch).order_by("position").values_list("status", flat=True))


def items(batch: Batch) -> list[Item]:
    return list(Item.objects.filter(batch=batch).order_by("position"))


def assert_counters(batch: Batch, **expected: int) -> None:
    """The batch's counters are these (0 where not named), and they are the numbers of its rows."""
    batch.refresh_from_db()
    counters = {name: getattr(batch, name) for name in ("succeeded", "failed", "cancelled", "unknown")}
    rows = Counter(Item.objects.filter(batch=batch).values_list("status", flat=True))
    assert counters == {name: rows[name] for name in counters}, "counters differ from rows"
    assert counters == {name: expected.get(name, 0) for name in counters}
    costs = Item.objects.filter(batch=batch).values_list("cost", flat=True)
    assert batch.spent == sum((cost or 0 for cost in costs), Decimal(0)), "the batch spent what its items did not"


def assert_counters_are_exact(batches: Sequence[Batch]) -> None:
    for batch in batches:
        batch.refresh_from_db()
        assert_counters(
            batch,
            succeeded=batch.succeeded,
            failed=batch.failed,
            cancelled=batch.cancelled,
            unknown=batch.unknown,
        )


def assert_no_lease() -> None:
    assert list(Lease.objects.values_list("id", "remaining")) == []

"""The database's word on the batches that are watched."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q

from batches.live.board import Reading
from batches.models import Batch
from batches.progress import BatchFacts

NEWEST_PER_OWNER = 100
MOST_PER_READ = 2_000

_COLUMNS = [
    "public_id",
    "owner_id",
    "operation",
    "subject",
    "provider",
    "status",
    "total",
    "succeeded",
    "failed",
    "cancelled",
    "unknown",
    "started_at",
    "completed_at",
    "settled_at",
    "name",
    "notify_on_complete",
]


def unsettled_of(owner_id: int) -> list[Reading]:
    """An owner's batches that are not over, the newest hundred, oldest first."""
    batches = Batch.objects.filter(owner_id=owner_id).unsettled().only(*_COLUMNS).order_by("-pk")
    return [_reading(batch) for batch in reversed(batches[:NEWEST_PER_OWNER])]


def one(pk: int) -> list[Reading]:
    """One batch, whatever its status."""
    return [_reading(batch) for batch in Batch.objects.filter(pk=pk).only(*_COLUMNS)]


def watched(owner_ids: Iterable[int], pks: Iterable[int]) -> list[Reading]:
    """In one query: the unsettled batches of these owners, and these batches. Newest first up to a bound."""
    wanted = Q(pk__in=list(pks)) | Q(owner_id__in=list(owner_ids), settled_at=None)
    batches = Batch.objects.filter(wanted).only(*_COLUMNS).order_by("-pk")
    return [_reading(batch) for batch in batches[:MOST_PER_READ]]


def _reading(batch: Batch) -> Reading:
    return Reading(facts=BatchFacts.of(batch), settled=batch.settled_at is not None)

"""Old records go (document 004's cleanup operations): those that match filters and were left alone for so long.

An item is a chunk of records, deleted by one transaction that also keeps the item's receipt, so that the count stays
right whatever dies. What does not match any more when its chunk runs, because somebody has changed it since, stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar

from django.db.models import Max, Min
from django.utils import timezone

from batches import audit
from batches.api.shapes import instant
from batches.models import AuditEntry, Batch
from batches.once import NotOurs, once
from batches.operations.base import Attempt
from batches.operations.payload import Fields
from batches.operations.records.chunk_results import totals
from batches.operations.records.chunked import ChunkedOperation
from batches.operations.records.matching_records import matching, without_database_later
from batches.operations.records.record_chunks import place
from batches.options import NewBatch
from batches.outcomes import Outcome, Snooze, Succeeded
from records.querysets import RecordQuerySet

NAME = "cleanup"
AUDITED = "delete_records"
AGES = {"created": "created_at", "updated": "updated_at"}
LONGEST_DAYS = 36_500
SHOWN_ROWS = 10
LONGEST_SHOWN = 200


class CleanupRecords(ChunkedOperation):
    """A chunk of records, deleted."""

    name: ClassVar[str] = NAME
    title: ClassVar[str] = "Cleanup of records"
    chunks_at_once: ClassVar[int] = 8
    """Deleting is work for Postgres alone, and others want it too."""
    summary: ClassVar[str] = "Deletes the records that match filters and an age; try it with dryRun first."
    accepts: ClassVar[Mapping[str, str]] = {
        "filters": "Which records: fields or names of the metadata, and what they must be.",
        "olderThanDays": "Only those that are older.",
        "age": "Since when: updated (the default) or created.",
        "all": "Must be true to delete without filters and age.",
    }

    def read(self, fields: Fields, filters: Mapping[str, Any]) -> dict[str, Any]:
        """The age, which is none or belongs to filters; without both it takes ``"all": true``."""
        days = fields.integer("olderThanDays", minimum=0, maximum=LONGEST_DAYS)
        age = fields.choice("age", choices=list(AGES), default="updated")
        everything = fields.boolean("all", default=False)
        if not filters and days is None and not everything:
            message = "Say which records: filters, olderThanDays, or both. To delete all records, say so with all."
            fields.problems.add("filters", message, "required")
        before = None if days is None else (timezone.now() - timedelta(days=days)).isoformat()
        return {"age": AGES[age], "before": before}

    def chosen(self, owner_id: int, parameters: Mapping[str, Any]) -> RecordQuerySet:
        """What is to go."""
        return _doomed(owner_id, parameters)

    def preview(self, owner_id: int, new: NewBatch) -> Mapping[str, Any]:
        """How many records would go, how old they are, and the first of them."""
        doomed = _doomed(owner_id, new.parameters)
        age = new.parameters["age"]
        span = doomed.order_by().aggregate(oldest=Min(age), newest=Max(age))
        fields = ("public_id", "key", "kind", "status", "title", "created_at", "updated_at")
        shown = [
            {
                "id": public_id,
                "key": key,
                "kind": kind,
                "status": status,
                "title": title[:LONGEST_SHOWN],
                "createdAt": instant(created_at),
                "updatedAt": instant(updated_at),
            }
            for public_id, key, kind, status, title, created_at, updated_at in doomed.order_by("pk").values_list(
                *fields
            )[:SHOWN_ROWS]
        ]
        return {
            "total": doomed.count(),
            "oldest": instant(span["oldest"]),
            "newest": instant(span["newest"]),
            "items": shown,
        }

    @without_database_later
    def run(self, attempt: Attempt) -> Outcome:
        """Delete the chunk's records, once."""
        try:
            with place():
                return Succeeded(once(attempt.item_id, partial(_delete_chunk, attempt)))
        except NotOurs:
            return Snooze()  # nobody waits for this attempt any more

    def finish(self, batch: Batch) -> Mapping[str, Any]:
        """Add up the chunks, and leave an audit row."""
        deleted = totals(batch, ("deleted",))["deleted"]
        parameters = batch.parameters
        details = {"deleted": deleted, "filters": sorted(parameters["filters"]), "before": parameters["before"]}
        if not AuditEntry.objects.filter(batch=batch, action=AUDITED, details=details).exists():  # of an earlier try
            audit.record(AUDITED, batch, actor_id=batch.owner_id, **details)
        return {"deleted": deleted}


def _doomed(owner_id: int, parameters: Mapping[str, Any]) -> RecordQuerySet:
    records = matching(owner_id, parameters["filters"])
    if parameters["before"] is None:
        return records
    before = datetime.fromisoformat(parameters["before"]).astimezone(UTC)
    return records.filter(**{f"{parameters['age']}__lt": before})


def _delete_chunk(attempt: Attempt) -> dict[str, Any]:
    """Locks in the order of the ids, as everybody who changes several records takes them."""
    stretch = _doomed(attempt.owner_id, attempt.parameters).filter(
        pk__gt=attempt.input["after"], pk__lte=attempt.input["through"]
    )
    locked = stretch.order_by("pk").select_for_update(of=("self",)).values_list("pk", flat=True)
    deleted, _ = matching(attempt.owner_id, {}).filter(pk__in=list(locked)).delete()
    return {"deleted": deleted}

"""The verbs on a batch. Each is one conditional UPDATE; "no row" means its status does not allow it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from batches import audit, events
from batches.models import Batch
from batches.money.budgets import is_spent
from batches.money.estimating.item_cost import item_cost_of
from batches.problems import Conflict
from batches.running.record_statements import DAY_SECONDS, TIMELINE_SECONDS, add_to_histograms
from batches.states import FINAL_BATCH_STATUSES, BatchStatus, batch_sources
from batches.submission import submit_batch

__all__ = ["cancel", "change", "cleanup_old_batches", "pause", "resume", "retry_failed", "start", "submit_batch"]

RETRY_CHUNK = 5_000
UNFINISHED: dict[str, Any] = {"finish_due_at": None, "finish_claim": None, "finish_attempts": 0, "outcome": None}
"""What was made, or is being made, of a batch's items is void once one of them runs again."""


def start(batch: Batch, *, actor_id: int | None) -> Batch:
    """Let a pending batch run now, whatever its schedule. Raises :class:`Conflict` when it is not pending."""
    return _move(batch, BatchStatus.RUNNING, [BatchStatus.PENDING], "start", actor_id, scheduled_at=None)


def pause(batch: Batch, *, actor_id: int | None) -> Batch:
    """Start no further call; calls in flight end and are recorded. Raises :class:`Conflict` unless running."""
    return _move(batch, BatchStatus.PAUSED, batch_sources(BatchStatus.PAUSED), "pause", actor_id)


def resume(batch: Batch, *, actor_id: int | None, max_cost: Decimal | None = None) -> Batch:
    """Go on with a paused batch, with another budget where one is given. Raises :class:`Conflict` unless paused, or
    where its budget is spent, and :class:`InvalidInput` for a budget where nothing has a price."""
    if batch.status == BatchStatus.PAUSED and is_spent(batch, max_cost):
        budget = batch.max_cost if max_cost is None else max_cost
        raise Conflict(f"The batch has spent {batch.spent:f} of its budget of {budget:f}: it needs a higher maxCost.")
    changes = {"held_for": ""} | _budgeted(batch, {} if max_cost is None else {"max_cost": max_cost})
    return _move(batch, BatchStatus.RUNNING, [BatchStatus.PAUSED], "resume", actor_id, **changes)


def cancel(batch: Batch, *, actor_id: int | None) -> Batch:
    """Start no further call and cancel what waits. Raises :class:`Conflict` when the batch is final already.

    The batch is cancelled at once; the dispatcher then cancels its waiting items in chunks, and calls in flight are
    recorded with what they returned.
    """
    sources = batch_sources(BatchStatus.CANCELLED)
    return _move(batch, BatchStatus.CANCELLED, sources, "cancel", actor_id, completed_at=Now(), held_for="")


def _move(
    batch: Batch, target: BatchStatus, sources: list[Any], action: str, actor_id: int | None, **changes: Any
) -> Batch:
    if target == BatchStatus.RUNNING:
        changes["started_at"] = Coalesce(F("started_at"), Now())
    with transaction.atomic():
        moved = Batch.objects.filter(pk=batch.pk, status__in=sources).update(status=target, **changes)
        batch.refresh_from_db()
        if not moved:
            raise Conflict(f"The batch is {batch.status} and cannot be changed by {action}.")
        audit.record(action, batch, actor_id=actor_id)
        transaction.on_commit(lambda: events.announce_progress(batch))
    return batch


CHANGEABLE = frozenset({"rate_limit", "concurrency", "priority", "max_cost"})
"""How a batch runs, which may change while it does: workers and dispatcher read it anew every few seconds."""


def change(batch: Batch, changes: Mapping[str, Any], *, actor_id: int | None) -> Batch:
    """Change how a batch runs from now on; calls under way end as they began. ``None`` means no limit of our own.

    Raises :class:`Conflict` when the batch is final.
    """
    if unknown := changes.keys() - CHANGEABLE:
        raise ValueError(f"Not to be changed: {', '.join(sorted(unknown))}.")
    changes = _budgeted(batch, changes)
    with transaction.atomic():
        open_batches = Batch.objects.filter(pk=batch.pk, deleted_at=None).exclude(status__in=FINAL_BATCH_STATUSES)
        changed = open_batches.update(**changes) if changes else open_batches.exists()
        batch.refresh_from_db()
        if not changed:
            raise Conflict(f"The batch is {batch.status}: nothing runs that could run differently.")
        if changes:
            audit.record("change", batch, actor_id=actor_id, **{name: _plain(changes[name]) for name in changes})
    return batch


def _budgeted(batch: Batch, changes: Mapping[str, Any]) -> dict[str, Any]:
    """With a budget goes what an item may cost at most, where that is not known yet."""
    if changes.get("max_cost") is None or batch.item_cost is not None:
        return dict(changes)
    return {**changes, "item_cost": item_cost_of(batch)}


def _plain(value: Any) -> Any:
    """As the trail shows it."""
    return f"{value:f}" if isinstance(value, Decimal) else value


def retry_failed(batch: Batch, *, actor_id: int | None, positions: Sequence[int] | None = None) -> int:
    """Run a batch's failed items again, with a fresh retry window, and return how many.

    ``positions``: only those of them. Items and counters move together in chunks, so at any moment they agree; the
    batch is reopened with the first chunk. Raises :class:`Conflict` for a cancelled or pending batch.
    """
    moved = 0
    while count := _retry_chunk(batch, actor_id, positions):
        moved += count
    batch.refresh_from_db()
    if moved:
        events.announce_progress(batch)
    return moved


_RETRY_CHUNK_SQL = """
    WITH chosen AS (
        SELECT id, error_category FROM batches_item
         WHERE batch_id = %s AND status = 'failed' {these} ORDER BY id LIMIT %s FOR UPDATE
    ), moved AS (
      UPDATE batches_item AS item
       SET status = 'pending', due_at = clock_timestamp(), attempts = 0, failures = 0, deaths = 0,
           first_attempt_at = NULL, started_at = NULL, finished_at = NULL,
           error_category = '', error_code = '', error_message = '', detour = '', refused_by = NULL
      FROM chosen WHERE item.id = chosen.id
    )
    SELECT error_category, count(*) FROM chosen GROUP BY error_category
"""


_RETRY_ALL_SQL = _RETRY_CHUNK_SQL.format(these="")
_RETRY_SOME_SQL = _RETRY_CHUNK_SQL.format(these="AND position = ANY(%s)")


@transaction.atomic
def _retry_chunk(batch: Batch, actor_id: int | None, positions: Sequence[int] | None) -> int:
    with connection.cursor() as cursor:
        if positions is None:
            cursor.execute(_RETRY_ALL_SQL, [batch.pk, RETRY_CHUNK])
        else:
            cursor.execute(_RETRY_SOME_SQL, [batch.pk, list(positions), RETRY_CHUNK])
        by_category: dict[str, int] = dict(cursor.fetchall())
    moved = sum(by_category.values())
    sources = [BatchStatus.RUNNING, BatchStatus.PAUSED, *batch_sources(BatchStatus.RUNNING)]
    allowed = Batch.objects.filter(pk=batch.pk, status__in=set(sources) - {BatchStatus.PENDING}, deleted_at=None)
    if not moved:
        if not allowed.exists():
            raise Conflict(f"The batch is {batch.status}: its items cannot be retried.")
        return 0
    unfinished = UNFINISHED | ({"error": ""} if batch.finishes else {})
    reopened = allowed.exclude(status=BatchStatus.PAUSED).update(
        status=BatchStatus.RUNNING, failed=F("failed") - moved, completed_at=None, settled_at=None, **unfinished
    ) or allowed.update(failed=F("failed") - moved, **unfinished)
    if not reopened:
        raise Conflict(f"The batch is {batch.status}: its items cannot be retried.")
    _count_healed(batch, by_category)
    audit.record("retry_failed", batch, actor_id=actor_id, items=moved)
    return moved


def _count_healed(batch: Batch, by_category: Mapping[str, int]) -> None:
    """The items do not stand failed any more; after the batch's row is locked, as the recorder does it."""
    now = int(time.time())
    counted = Counter({(batch.pk, "reopened", now // TIMELINE_SECONDS): sum(by_category.values())})
    for category, number in by_category.items():
        counted[batch.pk, f"healed:{category}", now // DAY_SECONDS] += number
    with connection.cursor() as cursor:
        add_to_histograms(cursor, counted)


def cleanup_old_batches(days_to_keep: int, *, owner_id: int, actor_id: int | None) -> int:
    """Delete an owner's batches that have been over for more than so many days, and return how many.

    They are gone for everybody at once, by one UPDATE; :func:`batches.retention.purge_deleted` then takes their rows
    away in chunks, however many items they have.
    """
    with transaction.atomic():
        old = Batch.objects.filter(owner_id=owner_id).over_since(days_to_keep)
        deleted = old.update(deleted_at=Now())
        if deleted:
            audit.record_for(owner_id, "cleanup", actor_id=actor_id, batches=deleted, daysToKeep=days_to_keep)
    return deleted

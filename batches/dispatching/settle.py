"""Closing, starting and sweeping batches: each reads only batch rows, or items in bounded chunks."""

from __future__ import annotations

from django.db import connection, transaction

from batches.notifications import notify_settled
from batches.progress import FACT_COLUMNS, BatchFacts

SWEEP_CHUNK = 5_000

STATUS_BY_ITEMS = "CASE WHEN batch.succeeded > 0 OR batch.total = 0 THEN 'completed' ELSE 'failed' END"
"""What a batch ends as, in a statement on ``batches_batch AS batch``."""

_SETTLE = f"""
    WITH finished AS (
        SELECT id FROM batches_batch
         WHERE settled_at IS NULL AND loaded_at IS NOT NULL
           AND (status = 'cancelled' OR status IN ('running', 'paused') AND NOT finishes)
           AND succeeded + failed + cancelled + unknown = total
         ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE batches_batch AS batch
       SET settled_at = clock_timestamp(),
           completed_at = COALESCE(batch.completed_at, clock_timestamp()),
           status = CASE WHEN batch.status = 'cancelled' THEN 'cancelled' ELSE {STATUS_BY_ITEMS} END
      FROM finished WHERE batch.id = finished.id
    RETURNING {FACT_COLUMNS}
"""


@transaction.atomic
def settle() -> list[BatchFacts]:
    """Close every batch whose items are all final; completed when any succeeded or there was nothing to do.

    One whose operation makes something of all its items is closed by :mod:`batches.finishing`.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SETTLE)
        facts = [BatchFacts(*row) for row in cursor.fetchall()]
    notify_settled([fact.pk for fact in facts])
    return facts


_START_SCHEDULED = f"""
    UPDATE batches_batch AS batch SET status = 'running', started_at = clock_timestamp()
     WHERE batch.status = 'pending' AND batch.settled_at IS NULL
       AND batch.auto_start AND (batch.scheduled_at IS NULL OR batch.scheduled_at <= now())
    RETURNING {FACT_COLUMNS}
"""


def start_scheduled() -> list[BatchFacts]:
    """Start batches whose time has come, and those that were to start as soon as somebody looks."""
    with connection.cursor() as cursor:
        cursor.execute(_START_SCHEDULED)
        return [BatchFacts(*row) for row in cursor.fetchall()]


_SWEEP_ITEMS = """
    WITH chosen AS (
        SELECT id FROM batches_item WHERE batch_id = %s AND status = 'pending' ORDER BY id LIMIT %s FOR UPDATE
    )
    UPDATE batches_item AS item
       SET status = 'cancelled', finished_at = clock_timestamp(), error_category = 'cancelled',
           error_code = 'batch_cancelled', error_message = 'The batch was cancelled before this item ran.'
      FROM chosen WHERE item.id = chosen.id
"""
_SWEEP_COUNT = f"""
    UPDATE batches_batch AS batch SET cancelled = batch.cancelled + %s WHERE batch.id = %s RETURNING {FACT_COLUMNS}
"""


def sweep_cancelled() -> list[BatchFacts]:
    """Cancel the waiting items of cancelled batches, a chunk of each."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM batches_batch WHERE status = 'cancelled' AND settled_at IS NULL ORDER BY id")
        batches = [row[0] for row in cursor.fetchall()]
    return [facts for batch_id in batches for facts in _sweep_chunk(batch_id)]


@transaction.atomic
def _sweep_chunk(batch_id: int) -> list[BatchFacts]:
    with connection.cursor() as cursor:
        cursor.execute(_SWEEP_ITEMS, [batch_id, SWEEP_CHUNK])
        if not cursor.rowcount:
            return []
        cursor.execute(_SWEEP_COUNT, [cursor.rowcount, batch_id])
        return [BatchFacts(*row) for row in cursor.fetchall()]

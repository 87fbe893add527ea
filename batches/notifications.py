"""Words to owners: written in the transaction that made them true, so each is there once whatever dies."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

BATCH_COMPLETED = "batch_completed"

_NOTIFY_SETTLED = """
    INSERT INTO batches_notification (owner_id, batch_id, kind, details, created_at)
    SELECT batch.owner_id, batch.id, %s, jsonb_build_object(
               'batchId', batch.public_id, 'name', batch.name, 'operation', batch.operation, 'status', batch.status,
               'total', batch.total, 'succeeded', batch.succeeded, 'failed', batch.failed + batch.unknown,
               'cancelled', batch.cancelled), clock_timestamp()
      FROM batches_batch AS batch WHERE batch.id = ANY(%s) AND batch.notify_on_complete
"""


def notify_settled(batch_ids: Sequence[int]) -> None:
    """Tell the owners of these batches, which were settled just now, that they are done: where that was asked for."""
    if batch_ids:
        with connection.cursor() as cursor:
            cursor.execute(_NOTIFY_SETTLED, [BATCH_COMPLETED, list(batch_ids)])

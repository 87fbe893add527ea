"""The dispatcher's bell: which provider batches a worker is to take a step of now. Quick statements, no calls."""

from __future__ import annotations

from django.db import connection

from batches.economy.waits import RING_AGAIN_SECONDS, scaled

AT_ONCE = 50

_RING = """
    WITH due AS (
        SELECT waiting.id FROM batches_providerbatch AS waiting
          JOIN batches_batch AS batch ON batch.id = waiting.batch_id
         WHERE waiting.step <> 'done' AND waiting.due_at <= clock_timestamp()
           AND (waiting.step_claim IS NULL OR waiting.claimed_until < clock_timestamp())
           AND NOT (waiting.step = 'gathered' AND batch.status = 'paused')
         ORDER BY waiting.due_at, waiting.id LIMIT %s FOR UPDATE OF waiting SKIP LOCKED
    )
    UPDATE batches_providerbatch AS waiting
       SET due_at = clock_timestamp() + %s * interval '1 second', claimed_until = NULL, step_claim = NULL,
           deaths = waiting.deaths + CASE WHEN waiting.step_claim IS NULL THEN 0 ELSE 1 END
      FROM due WHERE waiting.id = due.id
    RETURNING waiting.id
"""


def ring() -> list[int]:
    """Those whose next step is due, and those whose worker died at it."""
    with connection.cursor() as cursor:
        cursor.execute(_RING, [AT_ONCE, scaled(RING_AGAIN_SECONDS)])
        return [row[0] for row in cursor.fetchall()]


_HASTEN = """
    UPDATE batches_providerbatch AS waiting SET due_at = clock_timestamp()
      FROM batches_batch AS batch
     WHERE batch.id = waiting.batch_id AND waiting.step IN ('gathered', 'submitted') AND waiting.step_claim IS NULL
       AND NOT waiting.cancelling AND (waiting.step = 'gathered' OR waiting.failures = 0)
       AND waiting.due_at > clock_timestamp() + %s * interval '1 second'
       AND (batch.status = 'cancelled' OR batch.fast_since IS NOT NULL OR batch.deleted_at IS NOT NULL)
"""


def hasten() -> None:
    """Do not wait for the next look where nobody wants the answers any more; what was rung for just now is left."""
    with connection.cursor() as cursor:
        cursor.execute(_HASTEN, [scaled(RING_AGAIN_SECONDS)])

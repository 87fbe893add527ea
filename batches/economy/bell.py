"""The dispatcher's bell: which provider batches a worker is to take a step of now. Quick statements, no calls."""

from __future__ import annotations

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from batches import audit
from batches.economy.waits import RING_AGAIN_SECONDS, scaled
from batches.models import ProviderBatch
from batches.states import Step

STEPS_AT_ONCE = 4
"""Steps that one worker process takes at a time: each may write, send or read large files beside everybody's calls."""
WORKER_SEEN_SECONDS = 10

_RING = f"""
    WITH due AS (
        SELECT waiting.id FROM batches_providerbatch AS waiting
          JOIN batches_batch AS batch ON batch.id = waiting.batch_id
         WHERE waiting.step <> 'done' AND waiting.due_at <= clock_timestamp()
           AND (waiting.step_claim IS NULL OR waiting.claimed_until < clock_timestamp())
           AND NOT (waiting.step = 'gathered' AND batch.status = 'paused')
         ORDER BY waiting.due_at, waiting.id
         LIMIT GREATEST(0, (
               SELECT {STEPS_AT_ONCE} * count(*) FROM batches_worker
                WHERE role = 'worker' AND seen_at > now() - interval '{WORKER_SEEN_SECONDS} seconds'
             ) - (
               SELECT count(*) FROM batches_providerbatch AS busy
                WHERE busy.step <> 'done' AND busy.step_claim IS NOT NULL AND busy.claimed_until > clock_timestamp()))
           FOR UPDATE OF waiting SKIP LOCKED
    )
    UPDATE batches_providerbatch AS waiting
       SET due_at = clock_timestamp() + %s * interval '1 second', claimed_until = NULL, step_claim = NULL,
           deaths = waiting.deaths + CASE WHEN waiting.step_claim IS NULL THEN 0 ELSE 1 END
      FROM due WHERE waiting.id = due.id
    RETURNING waiting.id
"""


def ring() -> list[int]:
    """Those whose next step is due, and those whose worker died at it; no more than the workers have room for."""
    with connection.cursor() as cursor:
        cursor.execute(_RING, [scaled(RING_AGAIN_SECONDS)])
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


@transaction.atomic
def hurry(rows: QuerySet[ProviderBatch], *, actor_id: int | None) -> int:
    """Let the next steps of these be due now; returns how many were not done."""
    waiting = rows.exclude(step=Step.DONE)
    for row in waiting.select_related("batch"):
        audit.record("hurry", row.batch, actor_id=actor_id, marker=row.marker)
    return waiting.update(due_at=Now())

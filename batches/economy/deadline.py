"""A batch's deadline: when it nears, what is not answered yet goes on in fast mode."""

from __future__ import annotations

from django.db import connection

LONGEST_LEAD_SECONDS = 3600
"""The last quarter of the time there was, and an hour at most; more where the batch's own rate limit asks for it."""

_TURN_FAST = f"""
    UPDATE batches_batch AS batch SET fast_since = clock_timestamp()
     WHERE batch.settled_at IS NULL AND batch.mode = 'economy' AND batch.fast_since IS NULL
       AND batch.status IN ('pending', 'running', 'paused') AND batch.deadline_at IS NOT NULL
       AND clock_timestamp() >= batch.deadline_at - LEAST(
               (batch.deadline_at - batch.created_at) / 2,
               GREATEST(
                   LEAST((batch.deadline_at - batch.created_at) / 4, interval '{LONGEST_LEAD_SECONDS} seconds'),
                   COALESCE((batch.total - batch.succeeded - batch.failed - batch.cancelled - batch.unknown)
                            / batch.rate_limit * interval '1 minute', interval '0')))
    RETURNING batch.id
"""


def turn_fast() -> list[int]:
    """The batches whose deadline nears, fast from now on; their provider batches are cancelled by who steps next."""
    with connection.cursor() as cursor:
        cursor.execute(_TURN_FAST)
        return [row[0] for row in cursor.fetchall()]

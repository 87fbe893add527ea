"""What an owner used, by day and operation: from the histograms of their batches, and what is kept of deleted ones.

No item row is read. A call is an attempt at an item; an item counts on the day on which it was final, and once more
when it was run again and ended again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db import connection

from batches.models import Batch

_COUNTED = """
    SELECT batch.owner_id, batch.operation, DATE '1970-01-01' + counted.bucket AS day,
           COALESCE(sum(counted.count) FILTER (WHERE counted.measure = 'ended'), 0)::bigint AS items,
           COALESCE(sum(counted.count) FILTER (WHERE counted.measure = 'ended_badly'), 0)::bigint AS failed,
           COALESCE(sum(counted.count) FILTER (WHERE counted.measure = 'calls'), 0)::bigint AS calls
      FROM batches_batchhistogram AS counted JOIN batches_batch AS batch ON batch.id = counted.batch_id
     WHERE counted.measure IN ('ended', 'ended_badly', 'calls')
"""

_OF_OWNER = f"""
    WITH counted AS (
        {_COUNTED} AND batch.owner_id = %(owner)s AND counted.bucket >= %(first)s AND counted.bucket < %(end)s
         GROUP BY 1, 2, 3
        UNION ALL
        SELECT owner_id, operation, day, items, failed, calls FROM batches_usage
         WHERE owner_id = %(owner)s AND day >= DATE '1970-01-01' + %(first)s AND day < DATE '1970-01-01' + %(end)s
    )
    SELECT day, operation, sum(items)::bigint, sum(failed)::bigint, sum(calls)::bigint
      FROM counted GROUP BY 1, 2 ORDER BY 1, 2
"""  # noqa: S608 - constants of this module

_KEEP = f"""
    INSERT INTO batches_usage (owner_id, operation, day, items, failed, calls)
    {_COUNTED} AND batch.id = %s GROUP BY 1, 2, 3
    ON CONFLICT (owner_id, day, operation) DO UPDATE
       SET items = batches_usage.items + EXCLUDED.items, failed = batches_usage.failed + EXCLUDED.failed,
           calls = batches_usage.calls + EXCLUDED.calls
"""  # noqa: S608

EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Used:
    """What one operation did for an owner on one day."""

    day: date
    operation: str
    items: int
    failed: int
    calls: int


def used_by(owner_id: int, first: date, last: date) -> Sequence[Used]:
    """What an owner used from the first day to the last, oldest first."""
    parameters: dict[str, Any] = {"owner": owner_id, "first": (first - EPOCH).days, "end": (last - EPOCH).days + 1}
    with connection.cursor() as cursor:
        cursor.execute(_OF_OWNER, parameters)
        return [Used(*row) for row in cursor.fetchall()]


def keep(batch: Batch) -> None:
    """Keep what a batch did beyond its own deletion; in the transaction that deletes it."""
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, [batch.pk])

"""What an owner used, by day and operation: from the histograms of their batches, and what is kept of deleted ones.

No item row is read. A call is an attempt at an item; an item counts on the day on which it was final, and once more
when it was run again and ended again. What is kept of deleted batches is the same sums: deleting changes nothing here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.db import connection

from batches.models import Batch
from batches.models.account import UNKNOWN_PROVIDER
from batches.money.costs import Cost, cost_of
from batches.operations import get_operation, operation_names
from batches.states import Channel

OF_OWNER = """
    SELECT DATE '1970-01-01' + counted.bucket AS day, batch.operation, batch.provider, counted.measure,
           sum(counted.count)::bigint
      FROM batches_batchhistogram AS counted JOIN batches_batch AS batch ON batch.id = counted.batch_id
     WHERE batch.owner_id = %(owner)s AND counted.bucket >= %(first)s AND counted.bucket < %(end)s
       AND counted.measure IN ('ended', 'ended_badly', 'calls', 'spent', 'spent:simulated', 'unpriced')
     GROUP BY 1, 2, 3, 4
"""

_OF_DELETED = """
    SELECT day, operation, provider, items, failed, calls, spent, simulated, unpriced FROM batches_usage
     WHERE owner_id = %(owner)s AND day >= DATE '1970-01-01' + %(first)s AND day < DATE '1970-01-01' + %(end)s
"""

_KEEP = """
    INSERT INTO batches_usage AS kept
           (owner_id, operation, provider, day, items, failed, calls, spent, simulated, unpriced)
    SELECT batch.owner_id, batch.operation, batch.provider, DATE '1970-01-01' + counted.bucket AS day,
           COALESCE(sum(counted.count) FILTER (WHERE counted.measure = 'ended'), 0)::bigint AS items,
           COALESCE(sum(counted.count) FILTER (WHERE counted.measure = 'ended_badly'), 0)::bigint AS failed,
           COALESCE(sum(counted.count) FILTER (WHERE counted.measure = 'calls'), 0)::bigint AS calls,
           (sum(counted.count) FILTER (WHERE counted.measure = 'spent'))::bigint AS spent,
           (sum(counted.count) FILTER (WHERE counted.measure = 'spent:simulated'))::bigint AS simulated,
           COALESCE(sum(counted.count) FILTER (WHERE counted.measure = 'unpriced'), 0)::bigint AS unpriced
      FROM batches_batchhistogram AS counted JOIN batches_batch AS batch ON batch.id = counted.batch_id
     WHERE counted.measure IN ('ended', 'ended_badly', 'calls', 'spent', 'spent:simulated', 'unpriced')
       AND batch.id = %s GROUP BY 1, 2, 3, 4
    ON CONFLICT (owner_id, day, operation, provider) DO UPDATE
       SET items = kept.items + EXCLUDED.items, failed = kept.failed + EXCLUDED.failed,
           calls = kept.calls + EXCLUDED.calls, unpriced = kept.unpriced + EXCLUDED.unpriced,
           spent = COALESCE(kept.spent + EXCLUDED.spent, kept.spent, EXCLUDED.spent),
           simulated = COALESCE(kept.simulated + EXCLUDED.simulated, kept.simulated, EXCLUDED.simulated)
"""
_KEPT = ("ended", "ended_badly", "calls", "spent", "spent:simulated", "unpriced")
"""The measures that the columns of ``batches_usage`` keep, in the order of the statements above."""

EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Used:
    """What one operation did for an owner on one day, and for how much.

    ``cost``: of the calls whose price is known; None where it is of none. ``unpriced``: the calls whose is not; those
    of an operation that asks no provider cost nothing and are not among them.
    """

    day: date
    operation: str
    items: int
    failed: int
    calls: int
    cost: Cost | None = None
    unpriced: int = 0


@dataclass(slots=True)
class _Day:
    """Being added up. ``providers``: the measures of each; that of some deleted batches is not known, None."""

    counts: Counter[str] = field(default_factory=Counter)
    providers: dict[str | None, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def used(self, day: date, operation: str) -> Used:
        costs: list[Cost] = []
        unpriced = 0
        for alias, measures in self.providers.items():
            cost = _cost(alias, measures) if alias else None
            if cost is not None:
                costs.append(cost)
                unpriced += measures["unpriced"]
            elif alias != "":
                unpriced += measures["calls"]
        counts = self.counts
        return Used(
            day, operation, counts["ended"], counts["ended_badly"], counts["calls"], total_cost(costs), unpriced
        )


def _cost(alias: str, measures: Counter[str]) -> Cost | None:
    succeeded = measures["ended"] - measures["ended_badly"]
    return cost_of(alias, measures, succeeded=succeeded)


def total_cost(costs: Iterable[Cost | None]) -> Cost | None:
    """Those that are known, added up; None where none is."""
    total: Cost | None = None
    for cost in costs:
        if cost is not None:
            total = cost if total is None else total + cost
    return total


def used_by(owner_id: int, first: date, last: date) -> Sequence[Used]:
    """What an owner used from the first day to the last, oldest first."""
    parameters: dict[str, Any] = {"owner": owner_id, "first": (first - EPOCH).days, "end": (last - EPOCH).days + 1}
    days: dict[tuple[date, str], _Day] = defaultdict(_Day)
    with connection.cursor() as cursor:
        cursor.execute(OF_OWNER, parameters)
        for day, operation, alias, measure, number in cursor.fetchall():
            days[day, operation].counts[measure] += number
            days[day, operation].providers[alias][measure] += number
        cursor.execute(_OF_DELETED, parameters)
        for day, operation, alias, *numbers in cursor.fetchall():
            for measure, number in zip(_KEPT, numbers, strict=True):
                if number is not None:
                    days[day, operation].counts[measure] += number
                    days[day, operation].providers[_known(alias, operation)][measure] += number
    return [days[key].used(*key) for key in sorted(days)]


def _known(alias: str, operation: str) -> str | None:
    """The provider of a deleted batch; None where it was not kept, and may have cost something."""
    if alias != UNKNOWN_PROVIDER:
        return alias
    return None if _asks_provider(operation) else ""


def _asks_provider(name: str) -> bool:
    """Whether calls of this operation may have cost something; of one that is gone nobody knows."""
    return name not in operation_names() or get_operation(name).channel != Channel.DATA


def keep(batch: Batch) -> None:
    """Keep what a batch did beyond its own deletion; in the transaction that deletes it."""
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, [batch.pk])

"""Budgets: what a batch may cost at most (``max_cost``), held in the ledger, whatever dies.

Money is reserved by leasing: no more items of a batch are leased than what is left of its budget pays for, reckoned by
what its items have cost so far, and until some have, by what one may cost at most. What an item really cost is written
with its outcome, in the transaction that also ends its lease; where that uses the budget up, the same statement pauses
the batch (:mod:`batches.running.record_statements`), and what was leased but not begun goes back. So a batch exceeds
its budget by calls that were in flight at most. All of it is asked of Postgres each time: a process that dies knew
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from batches.models import Batch
from batches.progress import FACT_COLUMNS, BatchFacts

BUDGET = "budget"
"""Why the system paused it, in ``Batch.held_for``."""
BUDGET_SPENT = "budget_spent"
"""The kind of the notification."""
ENOUGH_KNOWN = 20
"""Items after which a batch is reckoned by what they cost."""
MOST_ROOM = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Budget:
    """Where a running batch with a budget stands. ``leased``: items that may be costing something now."""

    batch_id: int
    max_cost: Decimal
    spent: Decimal
    item_cost: Decimal
    succeeded: int
    leased: int

    @property
    def room(self) -> int:
        """How many more of its items may be leased.

        Where what one may cost at most is more than what is left, one alone may still show what it really costs.
        """
        left = self.max_cost - self.spent
        if left <= 0:
            return 0
        average = self.spent / self.succeeded if self.succeeded else Decimal(0)
        known = self.succeeded >= ENOUGH_KNOWN
        each = average if known else max(average, self.item_cost)
        if each <= 0:
            return MOST_ROOM
        room = min(MOST_ROOM, int(left / each)) - self.leased
        if room <= 0 and self.leased == 0 and not known and left > average:
            return 1
        return max(0, room)


def is_spent(batch: Batch, max_cost: Decimal | None = None) -> bool:
    """Whether a batch's budget, or another, does not pay for a further call of it."""
    budget = batch.max_cost if max_cost is None else max_cost
    if budget is None:
        return False
    item_cost = batch.item_cost or Decimal(0)
    return Budget(batch.pk, budget, batch.spent, item_cost, batch.succeeded, leased=0).room == 0


_BUDGETS = """
    SELECT batch.id, batch.max_cost, batch.spent, COALESCE(batch.item_cost, 0), batch.succeeded,
           COALESCE((SELECT sum(lease.remaining) FROM batches_lease AS lease WHERE lease.batch_id = batch.id), 0)::int
      FROM batches_batch AS batch
     WHERE batch.settled_at IS NULL AND batch.status = 'running' AND batch.max_cost IS NOT NULL
       AND batch.total > batch.succeeded + batch.failed + batch.cancelled + batch.unknown
"""


def budgets() -> list[Budget]:
    """Of all running batches that have one and something left to do; costs and leases of one moment."""
    with connection.cursor() as cursor:
        cursor.execute(_BUDGETS)
        return [Budget(*row) for row in cursor.fetchall()]


def rooms() -> Mapping[int, int]:
    """How many more items may be leased, of each batch with a budget."""
    return {budget.batch_id: budget.room for budget in budgets()}


_HOLD = f"""
    UPDATE batches_batch AS batch SET status = 'paused', held_for = %s
      FROM unnest(%s::bigint[], %s::numeric[]) AS found (id, max_cost)
     WHERE batch.id = found.id AND batch.status = 'running' AND batch.max_cost = found.max_cost
       AND NOT EXISTS (SELECT FROM batches_lease AS lease WHERE lease.batch_id = batch.id)
    RETURNING {FACT_COLUMNS}
"""


def hold_spent() -> list[BatchFacts]:
    """Pause the batches of which nothing is in flight and whose budget does not pay for another call."""
    found = [budget for budget in budgets() if budget.leased == 0 and budget.room == 0]
    if not found:
        return []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_HOLD, [BUDGET, [one.batch_id for one in found], [one.max_cost for one in found]])
        facts = [BatchFacts(*row) for row in cursor.fetchall()]
        tell_held(cursor, [fact.pk for fact in facts])
    return facts


_TELL_HELD = """
    INSERT INTO batches_notification (owner_id, batch_id, kind, details, created_at)
    SELECT batch.owner_id, batch.id, %s, jsonb_build_object(
               'batchId', batch.public_id, 'name', batch.name, 'operation', batch.operation,
               'spent', batch.spent::text, 'maxCost', batch.max_cost::text,
               'left', batch.total - batch.succeeded - batch.failed - batch.cancelled - batch.unknown),
           clock_timestamp()
      FROM batches_batch AS batch WHERE batch.id = ANY(%s)
"""
_RECORD_HELD = """
    INSERT INTO batches_auditentry (owner_id, batch_id, batch_public_id, action, details, at)
    SELECT batch.owner_id, batch.id, batch.public_id, 'pause',
           jsonb_build_object('reason', batch.held_for, 'spent', batch.spent::text), clock_timestamp()
      FROM batches_batch AS batch WHERE batch.id = ANY(%s)
"""


def tell_held(cursor: CursorWrapper, batch_ids: Sequence[int]) -> None:
    """Tell the owners and the trail of batches that were paused just now; in the transaction that paused them."""
    if batch_ids:
        cursor.execute(_TELL_HELD, [BUDGET_SPENT, list(batch_ids)])
        cursor.execute(_RECORD_HELD, [list(batch_ids)])

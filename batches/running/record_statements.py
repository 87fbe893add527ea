"""The statements of one group commit, in the order in which they take their locks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import orjson
from django.db.backends.utils import CursorWrapper

from batches.histogram import duration_bucket
from batches.money.budgets import BUDGET, tell_held
from batches.progress import FACT_COLUMNS, BatchFacts
from batches.running.changes import MESSAGE_LIMIT, Change, clean
from batches.states import FINAL_ITEM_STATUSES, ItemStatus
from providers.prices import PARTS

TIMELINE_SECONDS = 10
DAY_SECONDS = 86_400
QUALITY_BUCKETS = 20
QUALITY_PARTS = 10_000
"""A quality is added up in ten-thousandths."""

SIMULATED = "simulated:"
"""Before the name of a unit: the sandbox would have billed it."""
MOST_SPENT = 10**10 - 1
"""What the columns of costs hold at most. A sum that reached it stays there: nothing may end the recorder's loop."""


def _billed(source: str) -> str:
    """What an attempt used and cost is added to what the earlier ones did; a first one, the rule, is only written."""
    return f"""
       provider = COALESCE(NULLIF({source}.provider, ''), item.provider),
       used = CASE WHEN item.used IS NULL THEN {source}.used WHEN {source}.used IS NULL THEN item.used
              ELSE (SELECT jsonb_object_agg(unit, number) FROM (
                        SELECT unit, sum(number::bigint) AS number
                          FROM (SELECT * FROM jsonb_each_text(item.used)
                                 UNION ALL SELECT * FROM jsonb_each_text({source}.used)) AS each_of (unit, number)
                         GROUP BY unit
                    ) AS added) END,
       cost = CASE WHEN {source}.cost IS NULL THEN item.cost
              ELSE LEAST(COALESCE(item.cost, 0), {MOST_SPENT} - {source}.cost) + {source}.cost END
    """


_WRITE_ITEMS = f"""
    WITH change AS (
        SELECT * FROM json_to_recordset(%s) AS change (
            item_id bigint, lease_id bigint, attempt_id uuid, status text, delay float8, attempts int, failures int,
            result jsonb, quality float8, provider_reference text, duration_ms int,
            category text, code text, message text, provider text, used jsonb, cost numeric,
            detour text, refused_by jsonb
        )
    ), held AS (
        SELECT item.id, item.lease_id FROM batches_item AS item JOIN change ON item.id = change.item_id
         WHERE item.lease_id = change.lease_id AND item.status = 'running'
         ORDER BY item.id FOR UPDATE OF item
    )
    UPDATE batches_item AS item
       SET status = change.status,
           lease_id = NULL,
           due_at = CASE WHEN change.status = 'pending'
                         THEN clock_timestamp() + change.delay * interval '1 second' ELSE item.due_at END,
           attempts = item.attempts + change.attempts,
           failures = item.failures + change.failures,
           -- An attempt that came back, whatever it said, has not killed its worker.
           deaths = CASE WHEN change.attempts > 0 AND change.status = 'pending' THEN 0 ELSE item.deaths END,
           attempt_id = COALESCE(change.attempt_id, item.attempt_id),
           first_attempt_at = CASE WHEN change.attempts = 0 THEN item.first_attempt_at
                ELSE COALESCE(item.first_attempt_at,
                              clock_timestamp() - COALESCE(change.duration_ms, 0) * interval '1 millisecond') END,
           started_at = CASE WHEN change.status = 'pending' THEN NULL ELSE item.started_at END,
           result = change.result,
           quality = change.quality,
           provider_reference = change.provider_reference,
           duration_ms = COALESCE(change.duration_ms, item.duration_ms),
           error_category = change.category,
           error_code = change.code,
           error_message = change.message,
           finished_at = CASE WHEN change.status = 'pending' THEN NULL ELSE clock_timestamp() END,
           detour = COALESCE(change.detour, item.detour),
           refused_by = COALESCE(change.refused_by, item.refused_by),
           {_billed("change")}
      FROM change JOIN held ON held.id = change.item_id AND held.lease_id = change.lease_id
     WHERE item.id = change.item_id
    RETURNING change.item_id, change.lease_id
"""


def write_items(cursor: CursorWrapper, group: Sequence[Change]) -> tuple[list[Change], list[Change]]:
    """Write every item that its lease still holds; returns the changes that were applied, and those refused.

    A group may hold two changes of one item, of a lease that was lost and of the next: only the latter is written.
    """
    cursor.execute(_WRITE_ITEMS, [orjson.dumps([_row(change) for change in group]).decode()])
    written = set(cursor.fetchall())
    applied: list[Change] = []
    refused: list[Change] = []
    for change in group:
        (applied if (change.item_id, change.lease_id) in written else refused).append(change)
    return applied, refused


def _row(change: Change) -> dict[str, Any]:
    """The change as one JSON object: as arrays, a parameter per column, it cost the worker ten times the CPU."""
    fault = change.fault if change.status in FINAL_ITEM_STATUSES else None
    row: dict[str, Any] = {
        "item_id": change.item_id,
        "lease_id": change.lease_id,
        "attempt_id": change.attempt_id,
        "status": str(change.status),
        "delay": change.delay_seconds,
        "attempts": change.attempts,
        "failures": change.failures,
        "result": None if change.result is None else orjson.Fragment(change.result),
        "quality": change.quality,
        "provider_reference": change.provider_reference,
        "duration_ms": change.duration_ms,
        "category": str(fault.category) if fault else "",
        "code": clean(fault.code)[:64] if fault else "",
        "message": clean(fault.message)[:MESSAGE_LIMIT] if fault else "",
        "provider": change.provider if change.attempts or change.used else "",
        "used": _used(change),
        "cost": None if change.cost is None else str(change.cost),
    }
    if change.detour is not None:  # of few: what is not there stays as it is
        row |= {"detour": change.detour, "refused_by": list(change.refused_by) or None}
    return row


def _used(change: Change) -> dict[str, int] | None:
    """What the item keeps of what was used: units of the sandbox apart, nobody pays them."""
    if not change.used:
        return None
    if change.simulated:
        return {SIMULATED + unit: number for unit, number in change.used.items()}
    return dict(change.used)


_SETTLE_UNKNOWN = f"""
    WITH truth AS (
        SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::text[], %s::text[], %s::int[],
                             %s::text[], %s::jsonb[], %s::numeric[])
            AS truth (item_id, attempt_id, result, provider_reference, duration_ms, provider, used, cost)
    ), unknown AS (
        SELECT item.id, item.error_category AS category FROM batches_item AS item JOIN truth ON item.id = truth.item_id
         WHERE item.attempt_id = truth.attempt_id AND item.status = 'unknown'
         ORDER BY item.id FOR UPDATE OF item
    )
    UPDATE batches_item AS item
       SET status = 'succeeded', result = truth.result::jsonb, provider_reference = truth.provider_reference,
           duration_ms = truth.duration_ms, error_category = '', error_code = '', error_message = '',
           {_billed("truth")}
      FROM truth JOIN unknown ON unknown.id = truth.item_id
     WHERE item.id = truth.item_id
    RETURNING item.id, item.attempt_id, item.batch_id, unknown.category
"""

Healed = Counter[tuple[int, str]]
"""How many items do not stand failed any more, by the batch's id and the category they were counted under."""


def settle_unknown(cursor: CursorWrapper, refused: Sequence[Change]) -> tuple[Healed, list[Change]]:
    """Late truth wins: a success of the very attempt that is unknown replaces it. Returns how many, and which."""
    truths = [c for c in refused if c.status == ItemStatus.SUCCEEDED and not c.idempotent and c.attempt_id]
    if not truths:
        return Counter(), []
    cursor.execute(
        _SETTLE_UNKNOWN,
        [
            [change.item_id for change in truths],
            [change.attempt_id for change in truths],
            [change.result for change in truths],
            [change.provider_reference for change in truths],
            [change.duration_ms for change in truths],
            [change.provider for change in truths],
            [orjson.dumps(used).decode() if (used := _used(change)) else None for change in truths],
            [change.cost for change in truths],
        ],
    )
    rows = cursor.fetchall()
    by_attempt = {(change.item_id, change.attempt_id): change for change in truths}
    settled = [by_attempt[item_id, attempt_id] for item_id, attempt_id, _, _ in rows]
    return Counter((batch_id, category) for _, _, batch_id, category in rows), settled


_SPENT_UP = """
    batch.status = 'running' AND batch.spent + delta.spent >= batch.max_cost AND (batch.loaded_at IS NULL OR batch.total
    > batch.succeeded + batch.failed + batch.cancelled + batch.unknown + delta.succeeded + delta.failed + delta.unknown)
"""
_COUNT = f"""
    WITH delta AS (
        SELECT * FROM unnest(%s::bigint[], %s::int[], %s::int[], %s::int[], %s::numeric[])
            AS delta (id, succeeded, failed, unknown, spent)
    ), locked AS (
        SELECT batch.id, batch.status AS was
          FROM batches_batch AS batch JOIN delta USING (id) ORDER BY batch.id FOR NO KEY UPDATE OF batch
    )
    UPDATE batches_batch AS batch
       SET succeeded = batch.succeeded + delta.succeeded,
           failed = batch.failed + delta.failed,
           unknown = batch.unknown + delta.unknown,
           spent = LEAST(batch.spent, {MOST_SPENT} - delta.spent) + delta.spent,
           status = CASE WHEN batch.status = 'failed' AND batch.error = '' AND delta.succeeded > 0
                         THEN 'completed' WHEN {_SPENT_UP} THEN 'paused' ELSE batch.status END,
           held_for = CASE WHEN {_SPENT_UP} THEN '{BUDGET}' ELSE batch.held_for END
      FROM delta JOIN locked USING (id)
     WHERE batch.id = delta.id
    RETURNING {FACT_COLUMNS}, locked.was = 'running' AND batch.status = 'paused'
"""


def count(
    cursor: CursorWrapper, applied: Sequence[Change], healed: Healed, settled: Sequence[Change] = ()
) -> list[BatchFacts]:
    """Move the batches' counters and costs by what was written; returns their facts after it.

    A batch whose budget that uses up is paused by the same statement: no further call of it begins.
    """
    succeeded, failed, unknown = Counter[int](), Counter[int](), Counter[int]()
    spent: dict[int, Decimal] = {}
    for change in (*applied, *settled):
        if change.cost is not None:
            spent[change.batch_id] = spent.get(change.batch_id, Decimal(0)) + change.cost
    for (batch_id, _), number in healed.items():
        succeeded[batch_id] += number
        unknown[batch_id] -= number
    for change in applied:
        match change.status:
            case ItemStatus.SUCCEEDED:
                succeeded[change.batch_id] += 1
            case ItemStatus.FAILED:
                failed[change.batch_id] += 1
            case ItemStatus.UNKNOWN:
                unknown[change.batch_id] += 1
    batches = sorted({*succeeded, *failed, *unknown, *spent})
    if not batches:
        return []
    columns = [[counter[batch] for batch in batches] for counter in (succeeded, failed, unknown)]
    cursor.execute(_COUNT, [batches, *columns, [spent.get(batch, Decimal(0)) for batch in batches]])
    rows = cursor.fetchall()
    tell_held(cursor, [row[0] for row in rows if row[-1]])
    return [BatchFacts(*row[:-1]) for row in rows]


_WRITE_ERRORS = """
    INSERT INTO batches_itemerror (item_id, batch_id, provider, code, category, message, count, first_at, last_at)
    SELECT item_id, batch_id, provider, code, category, message, 1, clock_timestamp(), clock_timestamp()
      FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[])
        AS fault (item_id, batch_id, provider, code, category, message)
    ON CONFLICT (item_id, code) DO UPDATE
       SET count = batches_itemerror.count + 1, last_at = EXCLUDED.last_at, message = EXCLUDED.message,
           provider = EXCLUDED.provider
"""


def write_errors(cursor: CursorWrapper, applied: Sequence[Change]) -> None:
    """Keep one row per item and error code, counted, with who answered so last."""
    faults = [(change, change.fault) for change in applied if change.fault]
    if not faults:
        return
    cursor.execute(
        _WRITE_ERRORS,
        [
            [change.item_id for change, _ in faults],
            [change.batch_id for change, _ in faults],
            [_who_said_so(change) for change, _ in faults],
            [clean(fault.code)[:64] for _, fault in faults],
            [str(fault.category) for _, fault in faults],
            [clean(fault.message)[:MESSAGE_LIMIT] for _, fault in faults],
        ],
    )


def _who_said_so(change: Change) -> str:
    """Who answered with the fault; nobody where an item ended without having been tried."""
    return "" if change.status in FINAL_ITEM_STATUSES and not change.attempts else change.provider


_WRITE_HISTOGRAMS = """
    INSERT INTO batches_batchhistogram (batch_id, measure, bucket, count)
    SELECT * FROM unnest(%s::bigint[], %s::text[], %s::int[], %s::bigint[])
    ON CONFLICT (batch_id, measure, bucket) DO UPDATE
       SET count = LEAST(batches_batchhistogram.count, 9223372036854775807 - EXCLUDED.count) + EXCLUDED.count
"""


def write_histograms(
    cursor: CursorWrapper, applied: Iterable[Change], healed: Healed | None = None, settled: Iterable[Change] = ()
) -> None:
    """Count durations, qualities, faults, what finished when, what of it was healed since, and what was used.

    What was ``settled`` was counted before as a call that failed; what it used was not.
    """
    counted: Counter[tuple[int, str, int]] = Counter()
    now = int(time.time())
    slot, day = now // TIMELINE_SECONDS, now // DAY_SECONDS
    for (batch_id, category), number in (healed or {}).items():
        counted[batch_id, f"healed:{category}", day] += number
    for change in settled:
        _count_used(counted, change, day)
        _count_waits(counted, change)
    for change in applied:
        _count_used(counted, change, day)
        _count_waits(counted, change)
        if change.attempts:
            counted[change.batch_id, "calls", day] += change.attempts
        if change.fault:
            counted[change.batch_id, f"error:{change.fault.category}", day] += 1
        if change.status not in FINAL_ITEM_STATUSES:
            continue
        counted[change.batch_id, "finished", slot] += 1
        counted[change.batch_id, "ended", day] += 1
        if change.fault:
            counted[change.batch_id, "ended_badly", day] += 1
            counted[change.batch_id, f"failed:{change.fault.category}", day] += 1
        if change.duration_ms is not None:
            counted[change.batch_id, "duration_sum", 0] += change.duration_ms
            counted[change.batch_id, "duration", duration_bucket(change.duration_ms)] += 1
        if change.quality is not None:
            bucket = min(QUALITY_BUCKETS - 1, int(change.quality * QUALITY_BUCKETS))
            counted[change.batch_id, "quality", bucket] += 1
            counted[change.batch_id, "quality_sum", 0] += round(change.quality * QUALITY_PARTS)
    add_to_histograms(cursor, counted)


def measure_of(unit: str, simulated: bool) -> str:
    """The measure that counts a billed unit, or one that the sandbox would have billed."""
    return f"{SIMULATED if simulated else 'used:'}{unit}"


def measure_of_cost(simulated: bool) -> str:
    """The measure that adds up costs, in :data:`providers.prices.PARTS`, or what the sandbox's calls would cost."""
    return "spent:simulated" if simulated else "spent"


def _count_used(counted: Counter[tuple[int, str, int]], change: Change, day: int) -> None:
    for unit, number in change.used.items():
        counted[change.batch_id, measure_of(unit, change.simulated), day] += number
    if change.cost is not None:
        counted[change.batch_id, measure_of_cost(change.simulated), day] += int(change.cost * PARTS)
    elif change.used:
        counted[change.batch_id, "unpriced", day] += 1


def _count_waits(counted: Counter[tuple[int, str, int]], change: Change) -> None:
    """Each time an item waited, for its turn and for limits: also where no call came of it."""
    if change.waited_ms:
        counted[change.batch_id, "waited_sum", 0] += change.waited_ms
        counted[change.batch_id, "waited", duration_bucket(change.waited_ms)] += 1
    if change.queued_ms is not None:
        counted[change.batch_id, "queued_sum", 0] += change.queued_ms
        counted[change.batch_id, "queued", duration_bucket(change.queued_ms)] += 1


def add_to_histograms(cursor: CursorWrapper, counted: Counter[tuple[int, str, int]]) -> None:
    """Add to the counts of batch, measure and bucket, in one order, so that two who do so wait but never block."""
    if not counted:
        return
    rows = sorted(counted.items())
    columns: list[list[Any]] = [[key[field] for key, _ in rows] for field in range(3)]
    cursor.execute(_WRITE_HISTOGRAMS, [*columns, [number for _, number in rows]])


_SHRINK_LEASES = """
    WITH done AS (
        SELECT * FROM unnest(%s::bigint[], %s::int[]) AS done (id, number)
    ), locked AS (
        SELECT lease.id FROM batches_lease AS lease JOIN done USING (id) ORDER BY lease.id FOR UPDATE OF lease
    ), shrunk AS (
        UPDATE batches_lease AS lease SET remaining = lease.remaining - done.number
          FROM done JOIN locked USING (id) WHERE lease.id = done.id AND lease.remaining > done.number
    )
    DELETE FROM batches_lease AS lease USING done JOIN locked USING (id)
     WHERE lease.id = done.id AND lease.remaining <= done.number
"""


def shrink_leases(cursor: CursorWrapper, applied: Iterable[Change]) -> None:
    """Take what was written off its lease; a lease without items ends."""
    done = Counter(change.lease_id for change in applied)
    if done:
        ids = sorted(done)
        cursor.execute(_SHRINK_LEASES, [ids, [done[lease_id] for lease_id in ids]])

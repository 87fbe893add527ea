"""What the owner's earlier batches of the same kind show: how long an answer is, and how long it takes."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from batches.money.estimating.workload import Span, Workload

LOOKED_BACK = 10
"""Batches."""
ENOUGH_CALLS = 20
MARGIN = (0.6, 1.6)
"""How far below and above the average of earlier answers the next ones are expected."""

_MEASURES = """
    SELECT measure, sum(count)::bigint FROM batches_batchhistogram
     WHERE batch_id IN (SELECT id FROM batches_batch WHERE owner_id = %s AND operation = %s AND provider = %s
                           AND succeeded > 0 ORDER BY id DESC LIMIT %s)
       AND (measure IN ('calls', 'duration', 'duration_sum') OR measure = ANY(%s))
     GROUP BY measure
"""


@dataclass(frozen=True, slots=True)
class History:
    """``calls``: that were looked at, 0 where there were too few. ``output_tokens``: of an answer, on average.
    ``call_seconds``: between which most calls lie."""

    calls: int = 0
    output_tokens: float | None = None
    call_seconds: tuple[float, float] | None = None

    def corrects(self, work: Workload) -> Workload:
        """The same work with answers as long as the earlier ones."""
        if self.output_tokens is None:
            return work
        low, high = (self.output_tokens * share for share in MARGIN)
        return Workload(
            calls=work.calls,
            input_tokens=work.input_tokens,
            output_tokens=Span(int(work.calls.low * low), int(work.calls.high * high) + 1),
            segments=work.segments,
        )


def history_of(owner_id: int, operation: str, alias: str, *, simulated: bool) -> History:
    """Of the owner's last batches; those of the sandbox say nothing of the real provider, nor the other way round."""
    prefix = "simulated:" if simulated else "used:"
    units = [f"{prefix}output_tokens", f"{prefix}economy_output_tokens"]
    with connection.cursor() as cursor:
        cursor.execute(_MEASURES, [owner_id, operation, alias, LOOKED_BACK, units])
        measures: dict[str, int] = dict(cursor.fetchall())
    calls, measured = measures.get("calls", 0), measures.get("duration", 0)
    if calls < ENOUGH_CALLS:
        return History()
    output = sum(measures.get(unit, 0) for unit in units)
    seconds = measures.get("duration_sum", 0) / 1000 / measured if measured else 0.0
    low, high = MARGIN
    return History(calls, output / calls or None, (seconds * low, seconds * high) if seconds else None)

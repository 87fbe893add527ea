"""What the ledger says of now: processes, lanes, batches, accounts, and what waits for somebody.

Nothing here grows with the number of items: each statement reads an index of what is open, and counts no further than
to :data:`COUNTED_AT_MOST`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper

from batches.models.engine import SEEN_WITHIN
from batches.states import lane_name

COUNTED_AT_MOST = 50_000
"""Of what may be many: enough to be alarmed by."""

_PROCESSES = """
    SELECT boot_id, role, in_flight, figures, EXTRACT(EPOCH FROM now() - seen_at)::float8
      FROM batches_worker WHERE seen_at >= now() - %s ORDER BY boot_id
"""
# One look into the claim's index per running batch, however many items wait.
_LANES = """
    SELECT batch.channel, batch.priority, sum(batch.total - batch.succeeded - batch.failed - batch.cancelled
           - batch.unknown)::bigint, max(GREATEST(0, EXTRACT(EPOCH FROM now() - due.at)))::float8
      FROM batches_batch AS batch
      LEFT JOIN LATERAL (
        SELECT item.due_at AS at FROM batches_item AS item
         WHERE item.batch_id = batch.id AND item.status = 'pending'
         ORDER BY item.due_at, item.id LIMIT 1
     ) AS due ON true
     WHERE batch.settled_at IS NULL AND batch.status = 'running' GROUP BY 1, 2
"""
_LEASED = "SELECT lane, sum(remaining)::bigint FROM batches_lease GROUP BY 1"
_BATCHES = "SELECT status, count(*) FROM batches_batch WHERE settled_at IS NULL GROUP BY 1"
_CLOSED = """
    SELECT alias, EXTRACT(EPOCH FROM closed_until - now())::float8
      FROM batches_provideraccount WHERE closed_until > now()
"""
_BREAKERS = "SELECT alias, opened_at IS NOT NULL FROM batches_provideraccount"
# In the claim's own index, batch by batch, and no further than to the bound.
_BACKLOG = """
    SELECT count(*) FROM (
        SELECT 1 FROM batches_batch AS batch JOIN batches_item AS item ON item.batch_id = batch.id
         WHERE batch.settled_at IS NULL AND batch.status IN ('running', 'paused')
           AND item.status = 'pending' AND item.due_at > now() LIMIT %s
    ) AS bounded
"""
# These are in an index of their own, as short as they are few.
_UNKNOWN = "SELECT count(*) FROM (SELECT 1 FROM batches_item WHERE status = 'unknown' LIMIT %s) AS bounded"
_RECEIPTS = "SELECT count(*) FROM (SELECT 1 FROM batches_deliveryreceipt WHERE applied_at IS NULL LIMIT %s) AS bounded"
_PROVIDER_BATCHES = """
    SELECT provider, step, count(*) FROM batches_providerbatch WHERE step <> 'done' GROUP BY 1, 2 ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Lane:
    """``unfinished`` items of its running batches, and for how long the oldest of them that is due has waited."""

    name: str
    unfinished: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class Process:
    """A living process of the engine, with what it told last of itself, ``seen_seconds`` ago."""

    boot_id: str
    role: str
    in_flight: int
    figures: dict[str, Any]
    seen_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Ledger:
    """One look at everything.

    ``breakers``: whether it is open, by alias. ``backlog``: items that wait for another try or for a limit.
    ``unknown``: messages of which nobody knows whether they arrived. ``receipts``: those whose message was not found
    yet. ``provider_batches``: provider, step and number of what waits at providers.
    """

    processes: list[Process]
    lanes: list[Lane]
    leased: dict[str, int]
    batches: dict[str, int]
    closed_seconds: dict[str, float]
    breakers: dict[str, bool]
    backlog: int
    unknown: int
    receipts: int
    provider_batches: list[tuple[str, str, int]]


def read_ledger() -> Ledger:
    """Look now. Raises ``django.db.Error`` when Postgres does not answer."""
    with connection.cursor() as cursor:
        return Ledger(
            processes=_processes(cursor),
            lanes=[
                Lane(lane_name(channel, priority), unfinished, oldest or 0.0)
                for channel, priority, unfinished, oldest in _rows(cursor, _LANES)
            ],
            leased=dict(_rows(cursor, _LEASED)),
            batches=dict(_rows(cursor, _BATCHES)),
            closed_seconds=dict(_rows(cursor, _CLOSED)),
            breakers=dict(_rows(cursor, _BREAKERS)),
            backlog=_count(cursor, _BACKLOG),
            unknown=_count(cursor, _UNKNOWN),
            receipts=_count(cursor, _RECEIPTS),
            provider_batches=_rows(cursor, _PROVIDER_BATCHES),
        )


def _processes(cursor: CursorWrapper) -> list[Process]:
    return [
        Process(boot_id, role, in_flight, json.loads(figures), seen_seconds)
        for boot_id, role, in_flight, figures, seen_seconds in _rows(cursor, _PROCESSES, SEEN_WITHIN)
    ]


def _count(cursor: CursorWrapper, statement: str) -> int:
    return int(_rows(cursor, statement, COUNTED_AT_MOST)[0][0])


def _rows(cursor: CursorWrapper, statement: str, *parameters: Any) -> list[Any]:
    cursor.execute(statement, parameters)
    return list(cursor.fetchall())

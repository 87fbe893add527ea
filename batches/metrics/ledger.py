"""What the ledger says of now: processes, lanes, batches, accounts. Nothing here counts items one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models.functions import Now

from batches.models import Worker
from batches.models.engine import SEEN_WITHIN
from batches.states import lane_name

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


@dataclass(frozen=True, slots=True)
class Lane:
    """``unfinished`` items of its running batches, and for how long the oldest of them that is due has waited."""

    name: str
    unfinished: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class Process:
    """A living process of the engine, with what it told last of itself."""

    boot_id: str
    role: str
    in_flight: int
    figures: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ledger:
    """One look at everything."""

    processes: list[Process]
    lanes: list[Lane]
    leased: dict[str, int]
    batches: dict[str, int]
    closed_seconds: dict[str, float]


def read_ledger() -> Ledger:
    """Look now. Raises ``django.db.Error`` when Postgres does not answer."""
    workers = Worker.objects.filter(seen_at__gte=Now() - SEEN_WITHIN).order_by("boot_id")
    rows = workers.values_list("boot_id", "role", "in_flight", "figures")
    with connection.cursor() as cursor:
        cursor.execute(_LANES)
        lanes = [
            Lane(lane_name(channel, priority), unfinished, oldest or 0.0)
            for channel, priority, unfinished, oldest in cursor.fetchall()
        ]
        counts = []
        for statement in (_LEASED, _BATCHES, _CLOSED):
            cursor.execute(statement)
            counts.append(dict(cursor.fetchall()))
    return Ledger([Process(*row) for row in rows], lanes, *counts)

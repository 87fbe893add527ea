"""A worker's statements on leases: accept, renew, mark a start. No row changed means: somebody else has it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

LEASE_SECONDS = 20
"""A lease that is not renewed for so long is rescued; workers renew every five seconds."""


@dataclass(frozen=True, slots=True)
class LeasedItem:
    """What a worker needs to know of an item to run it. ``elapsed_seconds``: since its first attempt.

    ``queued_seconds``: from when it was due in its started batch until its lease was accepted.
    """

    id: int
    key: str
    input: Mapping[str, Any]
    attempts: int
    failures: int
    elapsed_seconds: float
    queued_seconds: float = 0.0
    refused_by: tuple[str, ...] = field(default=(), kw_only=True)
    """Aliases of providers that will never take it, though another may."""


@dataclass(frozen=True, slots=True)
class AcceptedLease:
    """A lease that is ours, with its items. ``runs``: whether its batch was still running at that moment.

    ``provider``: who is to be called, which may be a fallback of the batch's own; ``probe``: to find out whether it
    works again.
    """

    id: int
    batch_id: int
    lane: str
    runs: bool
    items: tuple[LeasedItem, ...]
    provider: str = ""
    probe: bool = False


_ACCEPT = f"""
    WITH accepted AS (
        UPDATE batches_lease
           SET worker = %s, accepted_at = now(), expires_at = now() + interval '{LEASE_SECONDS} seconds'
         WHERE id = %s AND worker = '' AND expires_at > now()
        RETURNING id, batch_id, lane, provider, probe
    )
    SELECT accepted.batch_id, accepted.lane, accepted.provider, accepted.probe,
           COALESCE(batch.status = 'running', false),
           item.id, item.key, item.input, item.attempts, item.failures,
           -- What became fast has a retry window of its own: at a provider's batch API an item may wait for a day.
           CASE WHEN item.first_attempt_at IS NULL THEN 0
                ELSE EXTRACT(EPOCH FROM now() - GREATEST(item.first_attempt_at, batch.fast_since)) END::float8,
           EXTRACT(EPOCH FROM now() - GREATEST(item.due_at, batch.started_at))::float8,
           item.refused_by
      FROM accepted JOIN batches_item AS item ON item.lease_id = accepted.id
      LEFT JOIN batches_batch AS batch ON batch.id = accepted.batch_id
     ORDER BY item.id
"""


def accept(lease_id: int, worker: str) -> AcceptedLease | None:
    """Take the lease for this worker; None when it was taken, rescued or released before."""
    with connection.cursor() as cursor:
        cursor.execute(_ACCEPT, [worker, lease_id])
        rows = cursor.fetchall()
    if not rows:
        return None
    batch_id, lane, provider, probe, runs = rows[0][:5]
    items = tuple(
        LeasedItem(key, name, json.loads(given), *counts, refused_by=tuple(json.loads(refused)) if refused else ())
        for _, _, _, _, _, key, name, given, *counts, refused in rows
    )
    return AcceptedLease(lease_id, batch_id, lane, runs, items, provider, probe)


def hand_back(lease_id: int, worker: str) -> None:
    """Let another worker accept the lease: nothing of it was begun here."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE batches_lease SET worker = '', accepted_at = NULL WHERE id = %s AND worker = %s",
            [lease_id, worker],
        )


_RENEW = f"""
    WITH mine AS (SELECT id FROM batches_lease WHERE worker = %s AND id = ANY(%s) ORDER BY id FOR UPDATE)
    UPDATE batches_lease AS lease SET expires_at = now() + interval '{LEASE_SECONDS} seconds'
      FROM mine WHERE lease.id = mine.id
    RETURNING lease.id
"""


def renew(worker: str, lease_ids: Iterable[int]) -> set[int]:
    """Extend the worker's leases, also one that has expired but was not rescued yet; returns those still held."""
    with connection.cursor() as cursor:
        cursor.execute(_RENEW, [worker, list(lease_ids)])
        return {row[0] for row in cursor.fetchall()}


_MARK_STARTED = """
    UPDATE batches_item AS item
       SET started_at = clock_timestamp(), attempt_id = %s,
           first_attempt_at = COALESCE(item.first_attempt_at, clock_timestamp())
      FROM batches_batch AS batch
     WHERE item.id = %s AND item.lease_id = %s AND batch.id = item.batch_id AND batch.status = 'running'
"""


def mark_started(item_id: int, lease_id: int, attempt_id: uuid.UUID) -> bool:
    """Commit that the call is about to be made; False when the lease or the running batch is gone."""
    with connection.cursor() as cursor:
        cursor.execute(_MARK_STARTED, [attempt_id, item_id, lease_id])
        return bool(cursor.rowcount == 1)

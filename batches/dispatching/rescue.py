"""Rescue: give the items of dead leases back, and keep an item that kills workers away from the others.

A lease is dead when it was not renewed for twenty seconds. Items of a lease that no worker had accepted were surely
not started and go back as they are. Of an accepted lease every item may have been started: on a provider without
idempotency one whose start was committed becomes ``unknown``; every other one runs again and counts a death.

Deaths find a poison item by narrowing the suspicion instead of blaming all neighbours: after a second death an item
travels the solo lane in small groups, after a third alone, and only dying twice while alone fails it.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from batches.dispatching.claim import NewLease, write_leases
from batches.dispatching.window import Window
from batches.outcomes import Fault
from batches.progress import BatchFacts
from batches.provider_accounts.accounts import is_idempotent
from batches.running import record_statements as statements
from batches.running.changes import Change
from batches.states import SOLO_LANE, SUSPECT_DEATHS, ItemStatus
from providers.base import ErrorCategory

SOLO_GROUP = 25
ALONE_DEATHS = 3
POISON_DEATHS = 5
RESCUE_LIMIT = 200
FROZEN_SECONDS = 5.0
"""A database that took so long to name the dead leases was frozen: their workers could not renew them either."""

WORKER_DIED = Fault(
    ErrorCategory.INTERNAL,
    "worker_died",
    "The worker died after the call was started; nobody knows whether it arrived.",
)
POISON = Fault(ErrorCategory.INTERNAL, "poison", "Workers died again and again while they ran this item, also alone.")

_DEAD_LEASES = "SELECT id FROM batches_lease WHERE expires_at < now() ORDER BY id LIMIT %s"
_LOCK_ITEMS = "SELECT id FROM batches_item WHERE lease_id = ANY(%s) ORDER BY id FOR UPDATE"
_LOCK_LEASES = "SELECT id FROM batches_lease WHERE id = ANY(%s) AND expires_at < now() ORDER BY id FOR UPDATE"
_ORPHANS = """
    SELECT item.id, item.batch_id, item.lease_id, item.attempt_id, item.deaths,
           item.started_at IS NOT NULL, lease.worker <> '', lease.provider
      FROM batches_item AS item JOIN batches_lease AS lease ON lease.id = item.lease_id
     WHERE item.lease_id = ANY(%s) ORDER BY item.id
"""
_COUNT_DEATHS = "UPDATE batches_item SET deaths = deaths + 1 WHERE id = ANY(%s)"


@dataclass(frozen=True, slots=True)
class Orphan:
    """An item whose lease is dead. ``accepted``: a worker had the lease, so the item may have been started."""

    id: int
    batch_id: int
    lease_id: int
    attempt_id: uuid.UUID | None
    deaths: int
    started: bool
    accepted: bool
    provider: str


def verdict(orphan: Orphan, *, idempotent: bool) -> Change:
    """What becomes of an orphan. Pure."""
    common = Change(
        item_id=orphan.id,
        batch_id=orphan.batch_id,
        lease_id=orphan.lease_id,
        provider=orphan.provider,
        attempt_id=orphan.attempt_id,
        status=ItemStatus.PENDING,
        idempotent=idempotent,
    )
    if orphan.started and not idempotent:
        return _final(common, ItemStatus.UNKNOWN, WORKER_DIED)
    if orphan.accepted and orphan.deaths + 1 >= POISON_DEATHS:
        return _final(common, ItemStatus.FAILED, POISON)
    return common


def _final(change: Change, status: ItemStatus, fault: Fault) -> Change:
    return replace(change, status=status, fault=fault, attempts=1, failures=1)


def rescue() -> tuple[int, list[BatchFacts]]:
    """Return the items of dead leases; how many leases there were, and the facts of batches whose counts changed."""
    asked_at = time.monotonic()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_DEAD_LEASES, [RESCUE_LIMIT])
        candidates = [row[0] for row in cursor.fetchall()]
        if not candidates or time.monotonic() - asked_at > FROZEN_SECONDS:
            return 0, []
        cursor.execute(_LOCK_ITEMS, [candidates])
        orphans = _orphans_of_dead(cursor, candidates)
        cursor.execute(_COUNT_DEATHS, [[orphan.id for orphan in orphans if orphan.accepted]])
        changes = [verdict(orphan, idempotent=is_idempotent(orphan.provider)) for orphan in orphans]
        applied, _ = statements.write_items(cursor, changes)
        facts = statements.count(cursor, applied, Counter())
        statements.write_errors(cursor, applied)
        statements.write_histograms(cursor, applied)
        dead = sorted({orphan.lease_id for orphan in orphans})
        cursor.execute("DELETE FROM batches_lease WHERE id = ANY(%s) AND expires_at < now()", [candidates])
    return len(dead), facts


def _orphans_of_dead(cursor: CursorWrapper, candidates: list[int]) -> list[Orphan]:
    """The items of those leases that are still expired once their items are locked."""
    cursor.execute(_LOCK_LEASES, [candidates])
    dead = [row[0] for row in cursor.fetchall()]
    cursor.execute(_ORPHANS, [dead])
    return [Orphan(*row) for row in cursor.fetchall()]


_SUSPECTS = f"""
    SELECT item.id, item.batch_id, batch.channel, COALESCE(NULLIF(item.detour, ''), batch.provider), item.deaths
      FROM batches_item AS item JOIN batches_batch AS batch ON batch.id = item.batch_id
     WHERE item.status = 'pending' AND item.deaths >= {SUSPECT_DEATHS} AND item.due_at <= now()
       AND COALESCE(NULLIF(item.detour, ''), batch.provider) <> ALL(%s)
       AND batch.status = 'running' AND batch.id <> ALL(%s)
     ORDER BY item.deaths, item.batch_id, item.id
     LIMIT %s
       FOR UPDATE OF item SKIP LOCKED
"""


def claim_suspects(window: Window) -> tuple[tuple[int, str], ...]:
    """Lease suspects to the solo lane: never more solo leases under way than there are workers.

    What holds for every other item holds for them: a closed account is not called, a batch's concurrency is kept.
    """
    room = {
        batch.id: batch.concurrency - window.leased_by_batch.get(batch.id, 0)
        for batch in window.batches
        if batch.concurrency is not None
    }
    for batch_id, affordable in window.affordable.items():
        room[batch_id] = min(room.get(batch_id, affordable), affordable)
    full = [batch_id for batch_id, free in room.items() if free <= 0]
    closed = [alias for alias, state in window.states.items() if state.is_unavailable()]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM batches_lease WHERE lane = %s", [SOLO_LANE])
        free = window.workers - cursor.fetchone()[0]
        if free <= 0:
            return ()
        cursor.execute(_SUSPECTS, [closed, full, free * SOLO_GROUP])
        return write_leases(_solo_leases(cursor.fetchall(), room)[:free])


def _solo_leases(suspects: Iterable[tuple[int, int, str, str, int]], room: dict[int, int]) -> list[NewLease]:
    """Alone or in small groups, and of each batch no more than it has room for."""
    leases: list[NewLease] = []
    group: dict[tuple[int, str, str], list[int]] = {}
    for item_id, batch_id, channel, provider, deaths in suspects:
        if batch_id in room:
            room[batch_id] -= 1
            if room[batch_id] < 0:
                continue
        if deaths >= ALONE_DEATHS:
            leases.append(NewLease(batch_id, SOLO_LANE, channel, provider, (item_id,)))
        else:
            group.setdefault((batch_id, channel, provider), []).append(item_id)
    for (batch_id, channel, provider), ids in group.items():
        leases += [
            NewLease(batch_id, SOLO_LANE, channel, provider, tuple(ids[start : start + SOLO_GROUP]))
            for start in range(0, len(ids), SOLO_GROUP)
        ]
    return leases

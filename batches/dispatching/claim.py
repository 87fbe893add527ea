"""Claiming: take due items, write their leases, in one transaction of four statements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from batches.dispatching.floors import BOTTOM, Floors
from batches.states import SUSPECT_DEATHS

LEASE_SIZE = 50
"""Most items of one lease, and so of one Celery message."""
FULL_CLAIM = 2_000
"""A claim that took so many is followed by another at once."""
UNACCEPTED_SECONDS = 20
"""A lease whose message never reached a worker is rescued after so long."""


@dataclass(frozen=True, slots=True)
class NewLease:
    """Items of one batch for one worker."""

    batch_id: int
    lane: str
    channel: str
    provider: str
    item_ids: tuple[int, ...]
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """Where a batch's items travel, and how many share a lease."""

    lane: str
    channel: str
    provider: str
    lease_size: int
    least_attempts: int = 0
    """What was tried less often is left alone: it waits for a provider's batch."""
    probe: bool = False
    """Whether it is to find out whether an unavailable provider works again."""


def _claim(which: str) -> str:
    return f"""
    SELECT due.id, due.batch_id, due.due_at
      FROM unnest(%s::bigint[], %s::int[], %s::timestamptz[], %s::bigint[], %s::int[], %s::text[])
        AS share (batch_id, number, floor_due_at, floor_id, least_attempts, provider)
     CROSS JOIN LATERAL (
        SELECT item.id, item.batch_id, item.due_at FROM batches_item AS item
         WHERE item.batch_id = share.batch_id AND item.status = 'pending' AND item.due_at <= now()
           AND (item.due_at, item.id) > (share.floor_due_at, share.floor_id)
           AND item.deaths < {SUSPECT_DEATHS} AND item.attempts >= share.least_attempts AND {which}
         ORDER BY item.due_at, item.id
         LIMIT share.number
           FOR UPDATE SKIP LOCKED
     ) AS due
    """


CLAIM = _claim("item.detour = ''")
CLAIM_DETOURED = _claim("item.detour <> '' AND item.detour = share.provider")
"""Of what goes to another provider than its batch, what goes to that of its route."""

_NEXT_DUE = """
    SELECT EXTRACT(EPOCH FROM min(due_at) - clock_timestamp())::float8
      FROM batches_item WHERE batch_id = %s AND status = 'pending' AND detour = ''
"""

_INSERT_LEASES = f"""
    INSERT INTO batches_lease (batch_id, lane, channel, provider, size, remaining, probe, worker, expires_at)
    SELECT batch_id, lane, channel, provider, size, size, probe, '', now() + interval '{UNACCEPTED_SECONDS} seconds'
      FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::int[], %s::bool[]) WITH ORDINALITY
        AS lease (batch_id, lane, channel, provider, size, probe, place)
     ORDER BY place
    RETURNING id
"""

_LEASE_ITEMS = """
    UPDATE batches_item AS item SET status = 'running', lease_id = leased.lease_id
      FROM unnest(%s::bigint[], %s::bigint[]) AS leased (id, lease_id)
     WHERE item.id = leased.id
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What one claim did: leases (id, lane) to publish, and items taken per batch."""

    leases: tuple[tuple[int, str], ...]
    taken: Mapping[int, int]


def claim(
    shares: Mapping[int, int], routes: Mapping[int, Route], floors: Floors | None = None, *, detoured: bool = False
) -> Claimed:
    """Claim up to ``shares[batch_id]`` due items of each batch and lease them along their routes.

    With ``floors`` each batch is looked through from where the last claim of it ended. ``detoured``: of the items that
    go to another provider than their batch, instead of all others.
    """
    floors = Floors() if floors is None else floors
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(CLAIM_DETOURED if detoured else CLAIM, claim_parameters(shares, floors, routes))
        items: dict[int, list[int]] = {}
        last: dict[int, tuple[datetime, int]] = {}
        for item_id, batch_id, due_at in cursor.fetchall():
            items.setdefault(batch_id, []).append(item_id)
            last[batch_id] = max(last.get(batch_id, BOTTOM), (due_at, item_id))
        leases = [lease for batch_id, ids in items.items() for lease in split(batch_id, ids, routes[batch_id])]
        published = write_leases(leases)
    taken = {batch_id: len(ids) for batch_id, ids in items.items()}
    for batch_id, number in taken.items():
        if number == shares[batch_id]:
            floors.took(batch_id, last[batch_id])
    return Claimed(published, taken)


def claim_parameters(shares: Mapping[int, int], floors: Floors, routes: Mapping[int, Route]) -> list[list[Any]]:
    """What :data:`CLAIM` asks for: per batch its share, the place above which to look, and which items may go."""
    begin = [floors.get(batch_id) for batch_id in shares]
    due, ids = [due_at for due_at, _ in begin], [item_id for _, item_id in begin]
    least, providers = [routes[one].least_attempts for one in shares], [routes[one].provider for one in shares]
    return [list(shares), list(shares.values()), due, ids, least, providers]


def split(batch_id: int, item_ids: Sequence[int], route: Route) -> Iterable[NewLease]:
    """Cut a batch's items into leases of the route's size."""
    for start in range(0, len(item_ids), route.lease_size):
        chunk = tuple(item_ids[start : start + route.lease_size])
        yield NewLease(batch_id, route.lane, route.channel, route.provider, chunk, route.probe)


def write_leases(leases: Sequence[NewLease]) -> tuple[tuple[int, str], ...]:
    """Store leases of locked pending items, inside the caller's transaction; returns (lease id, lane)."""
    if not leases:
        return ()
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT_LEASES,
            [
                [lease.batch_id for lease in leases],
                [lease.lane for lease in leases],
                [lease.channel for lease in leases],
                [lease.provider for lease in leases],
                [len(lease.item_ids) for lease in leases],
                [lease.probe for lease in leases],
            ],
        )
        ids = [row[0] for row in cursor.fetchall()]
        pairs = [(item, lease_id) for lease_id, lease in zip(ids, leases, strict=True) for item in lease.item_ids]
        cursor.execute(_LEASE_ITEMS, [[item for item, _ in pairs], [lease_id for _, lease_id in pairs]])
    return tuple((lease_id, lease.lane) for lease_id, lease in zip(ids, leases, strict=True))


def seconds_until_due(batch_id: int) -> float | None:
    """Seconds until the next item is due that goes where its batch goes; None when none waits."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT_DUE, [batch_id])
        seconds = cursor.fetchone()[0]
    return None if seconds is None else float(seconds)


def unaccepted(seconds: float) -> list[tuple[int, str]]:
    """Leases (id, lane) that no worker accepted for so long."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, lane FROM batches_lease WHERE worker = '' AND created_at < now() - %s * interval '1 second'"
            " AND expires_at > now()",
            [seconds],
        )
        return [(lease_id, lane) for lease_id, lane in cursor.fetchall()]


_RELEASE = """
    WITH lease AS (
        SELECT id FROM batches_lease WHERE id = ANY(%s) AND worker = '' ORDER BY id FOR UPDATE
    )
    UPDATE batches_item AS item SET status = 'pending', lease_id = NULL FROM lease WHERE item.lease_id = lease.id
"""


def release(lease_ids: Sequence[int]) -> None:
    """Give back leases whose message could not be published; one that a worker has already is left alone."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT item.id FROM batches_item AS item WHERE item.lease_id = ANY(%s) ORDER BY item.id FOR UPDATE",
            [list(lease_ids)],
        )
        cursor.execute(_RELEASE, [list(lease_ids)])
        cursor.execute("DELETE FROM batches_lease WHERE id = ANY(%s) AND worker = ''", [list(lease_ids)])

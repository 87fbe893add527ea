"""The items that a provider batch's lease still holds, read in pages, and given back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Now

from batches.economy.claims import Work
from batches.running.leases import LeasedItem
from batches.states import SUSPECT_DEATHS, Step

PAGE = 200
MOST_DEATHS = 3
"""Workers that died over a provider batch at one step; then its items are suspects."""
CUT = "cut"
"""In ``remote``: not all of its items fitted."""

_COLUMNS = "SELECT id, key, input, attempts, failures, 0::float8 FROM batches_item"
_NEXT_PAGE = f"{_COLUMNS} WHERE lease_id = %s AND status = 'running' AND id > %s ORDER BY id LIMIT %s"
_THESE = f"{_COLUMNS} WHERE lease_id = %s AND status = 'running' AND id = ANY(%s)"


def held_pages(lease_id: int | None, page: int = PAGE) -> Iterator[list[LeasedItem]]:
    """All of them in the order of their ids, which is the order of the lines."""
    last = 0
    while items := _read(_NEXT_PAGE, [lease_id, last, page]):
        yield items
        last = items[-1].id


def held_items(lease_id: int | None, item_ids: Iterable[int]) -> dict[int, LeasedItem]:
    """Those of these that it still holds; the others are recorded, or were never of it."""
    return {item.id: item for item in _read(_THESE, [lease_id, list(item_ids)])}


def _read(statement: str, parameters: Sequence[Any]) -> list[LeasedItem]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [LeasedItem(key, name, json.loads(given), *counts) for key, name, given, *counts in cursor.fetchall()]


_LOCK = "SELECT id FROM batches_item WHERE lease_id = %s AND id >= %s ORDER BY id FOR UPDATE"
_GIVE_BACK = """
    UPDATE batches_item SET status = 'pending', lease_id = NULL, deaths = GREATEST(deaths, %s)
     WHERE lease_id = %s AND id >= %s AND status = 'running'
"""
_SHRINK = "UPDATE batches_lease SET size = size - %s, remaining = remaining - %s WHERE id = %s"


def give_back_from(work: Work, first_id: int) -> None:
    """What does not fit is pending again and joins the next provider batch."""
    lease_id = work.row.lease_id
    with transaction.atomic(), connection.cursor() as cursor:
        work.move(remote={**work.row.remote, CUT: True})  # only while it is ours
        cursor.execute(_LOCK, [lease_id, first_id])
        cursor.execute(_GIVE_BACK, [0, lease_id, first_id])
        cursor.execute(_SHRINK, [cursor.rowcount, cursor.rowcount, lease_id])


def dissolve(work: Work, *, suspects: bool = False) -> None:
    """Nothing is at the provider: all its items are pending again, and it is done with.

    ``suspects``: workers died over it again and again. Its items go on one by one in the solo lane, which tells the
    one that kills from the others.
    """
    lease_id = work.row.lease_id
    with transaction.atomic(), connection.cursor() as cursor:
        work.move(step=Step.DONE, collected_at=Now(), step_claim=None, claimed_until=None)
        cursor.execute(_LOCK, [lease_id, 0])
        cursor.execute(_GIVE_BACK, [SUSPECT_DEATHS if suspects else 0, lease_id, 0])
        cursor.execute("DELETE FROM batches_lease WHERE id = %s", [lease_id])

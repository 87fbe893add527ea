"""Operations that work on many records at once: an item is a chunk, the matching records between two ids.

A record by itself would be an item of a thousandth of a second that costs the engine several. The chunk's records are
read again, by the same filters, when it runs: one that does not match any more is left alone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.db.models import Count, Max

from batches.operations.records.matching_records import Busy
from batches.options import ItemPage, NewItem, Paged
from records.querysets import RecordQuerySet

CHUNK_RECORDS = 500
MOST_CHUNKS_PER_PAGE = 20
"""Of a page of items: the dispatcher has other things to do meanwhile."""
MOST_AT_ONCE = 4
"""Chunks that run at the same time in a process: they compute, and a worker's connections are needed by others too."""
CHUNKS_AT_ONCE = 16
"""Of a batch, where the client says nothing: those that wait for a place bridge the wait for the dispatcher."""
LONGEST_WAIT_SECONDS = 5.0

_places = threading.BoundedSemaphore(MOST_AT_ONCE)


@contextmanager
def place(patience_seconds: float = LONGEST_WAIT_SECONDS) -> Iterator[None]:
    """One of the few places in which a process runs chunks. Raises :class:`Busy` when none becomes free in time.

    The wait counts for the item's deadline, so it is short. No connection is held meanwhile.
    """
    connection.close()
    if not _places.acquire(timeout=min(patience_seconds, LONGEST_WAIT_SECONDS)):
        raise Busy
    try:
        yield
    finally:
        _places.release()


def chunks_among(records: RecordQuerySet) -> Paged:
    """The source of a batch of chunks of these records."""
    found = records.order_by().aggregate(count=Count("pk"), last=Max("pk"))
    start = {"after": 0, "through": found["last"] or 0, "first": 1}
    return Paged(start, -(-found["count"] // CHUNK_RECORDS))


def next_chunks_among(records: RecordQuerySet, cursor: Mapping[str, Any], most: int) -> ItemPage:
    """The next chunks after ``cursor``: each has the name ``<first>-<last>``, of its records' numbers in the list."""
    most = min(most, MOST_CHUNKS_PER_PAGE)
    after, first = int(cursor["after"]), int(cursor["first"])
    found = records.filter(pk__gt=after, pk__lte=cursor["through"]).order_by("pk")
    ids = list(found.values_list("pk", flat=True)[: most * CHUNK_RECORDS])
    items: list[NewItem] = []
    for start in range(0, len(ids), CHUNK_RECORDS):
        chunk = ids[start : start + CHUNK_RECORDS]
        name = f"{first}-{first + len(chunk) - 1}"
        items.append(NewItem(name, {"after": after, "through": chunk[-1]}))
        after, first = chunk[-1], first + len(chunk)
    if len(ids) < most * CHUNK_RECORDS:
        return ItemPage(items, None)
    return ItemPage(items, {**cursor, "after": after, "first": first})

"""Pages of records, newest first: each costs what it shows, however many there are; a search shows the best."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from django.db import OperationalError
from psycopg.errors import QueryCanceled

from batches.pages.records.choice import RecordChoice
from records.models import Record
from records.querysets import RecordQuerySet
from records.search import SearchRequest, search
from records.time_limit import TimeIsUp, TimeLimit

OLDER, NEWER = "older", "newer"
PATIENCE_SECONDS = 3.0
MOST_KINDS = 30
NOT_SHOWN = ("metadata", "search")


@dataclass(frozen=True, slots=True)
class RecordPage:
    """Some records. ``older`` and ``newer``: the record behind which another page lies; ``found``: of a search, how
    many match; ``too_slow``: it was given up."""

    rows: Sequence[Record] = ()
    older: str | None = None
    newer: str | None = None
    found: int | None = None
    too_slow: bool = False
    scores: Mapping[int, float] = field(default_factory=dict)


def kinds_of(owner_id: int) -> list[str]:
    """The kinds of records there are, by one step through the index for each."""
    kinds: list[str] = []
    own = Record.objects.owned_by(owner_id)
    while len(kinds) < MOST_KINDS:
        after = own.filter(kind__gt=kinds[-1]) if kinds else own
        kind = after.order_by("kind").values_list("kind", flat=True).first()
        if kind is None:
            break
        kinds.append(kind)
    return kinds


def record_page(
    owner_id: int, chosen: RecordChoice, kinds: Sequence[str], query: Mapping[str, str], size: int
) -> RecordPage:
    """The page that the address asks for: the best of a search, else behind ``?older=`` or ``?newer=`` a record."""
    limit = TimeLimit(PATIENCE_SECONDS)
    try:
        if chosen.text:
            return _best(owner_id, chosen, size, limit)
        with limit.transaction(durable=False):
            return _newest(owner_id, chosen, kinds, query, size)
    except TimeIsUp:
        return RecordPage(too_slow=True)
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            return RecordPage(too_slow=True)
        raise


def _best(owner_id: int, chosen: RecordChoice, size: int, limit: TimeLimit) -> RecordPage:
    wanted = SearchRequest(chosen.text, limit=size, filters=chosen.filters, every_kind=True)
    found = search(owner_id, wanted, limit=limit)
    scores = {hit.record.pk: hit.score for hit in found.hits}
    return RecordPage([hit.record for hit in found.hits], found=found.total, scores=scores)


def _newest(
    owner_id: int, chosen: RecordChoice, kinds: Sequence[str], query: Mapping[str, str], size: int
) -> RecordPage:
    own = Record.objects.owned_by(owner_id)
    wanted = own.matching(chosen.filters).defer(*NOT_SHOWN)
    asked = [chosen.kind] if chosen.kind else kinds
    if (pk := _pk_of(own, query.get(NEWER))) is not None:
        rows = _merged(wanted.filter(pk__gt=pk), asked, "pk", size + 1)
        more = len(rows) > size
        return _page(rows[:size][::-1], older=True, newer=more)
    pk = _pk_of(own, query.get(OLDER))
    rows = _merged(wanted if pk is None else wanted.filter(pk__lt=pk), asked, "-pk", size + 1)
    return _page(rows[:size], older=len(rows) > size, newer=pk is not None)


def _merged(wanted: RecordQuerySet, kinds: Sequence[str], order: str, number: int) -> list[Record]:
    """The first of all kinds: the index leads to the first of each."""
    each = [list(wanted.filter(kind=kind).order_by(order)[:number]) for kind in kinds]
    merged = heapq.merge(*each, key=lambda record: record.pk, reverse=order == "-pk")
    return list(islice(merged, number))


def _page(rows: list[Record], *, older: bool, newer: bool) -> RecordPage:
    return RecordPage(
        rows,
        older=rows[-1].public_id if rows and older else None,
        newer=rows[0].public_id if rows and newer else None,
    )


def _pk_of(own: RecordQuerySet, public_id: str | None) -> int | None:
    if not public_id or len(public_id) > 64 or "\0" in public_id:
        return None
    return own.filter(public_id=public_id).values_list("pk", flat=True).first()

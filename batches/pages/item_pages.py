"""Pages of a batch's items: whatever is searched for among a million, a page reads for a fifth of a second at most.

Without a filter, and among items that ended badly, an index leads straight to the page. Any other search goes through
the items stretch by stretch; where time is up before a page is full, the page says how far it came and goes on from
there when it is asked to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from django.db.models import QuerySet

from batches.choosing import ItemChoice
from batches.models import Batch, Item

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

AFTER, BEFORE = "after", "before"
STRETCH = 20_000
"""Items looked through by one query."""
SEARCH_SECONDS = 0.15
LARGEST_POSITION = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Items in the order of their positions. ``after`` and ``before``: the position behind which another page lies.

    ``searched_to``: how many items were looked through, where time was up first.
    """

    rows: list[Item]
    after: int | None = None
    before: int | None = None
    searched_to: int | None = None


def item_page(
    batch: Batch,
    chosen: ItemChoice,
    query: Mapping[str, str],
    user: AbstractBaseUser | AnonymousUser,
    size: int,
) -> ItemPage:
    """The page that the address asks for: ``?after=`` or ``?before=`` a position; else the first."""
    items = chosen.of(batch, user)
    if items is None:
        return ItemPage([])
    direct = chosen.has_index
    before = position_of(query.get(BEFORE))
    if before is not None:
        rows, reached = _backward(items, before, size + 1, direct=direct)
        more = len(rows) > size or reached > 0
        shown = rows[:size][::-1]
        return ItemPage(shown, after=before - 1, before=_first(shown, reached) if more else None)
    after = position_of(query.get(AFTER))
    start = 0 if after is None else after + 1
    rows, reached = _forward(items, start, batch.total, size + 1, direct=direct)
    earlier = start if start > 0 else None
    if len(rows) > size:
        return ItemPage(rows[:size], after=rows[size - 1].position, before=earlier)
    if reached < batch.total:
        return ItemPage(rows, after=reached - 1, before=earlier, searched_to=reached)
    return ItemPage(rows, before=earlier)


def _forward(items: QuerySet[Item], start: int, total: int, number: int, *, direct: bool) -> tuple[list[Item], int]:
    """Up to so many of them from a position on, and how many positions were looked through."""
    if direct:
        return list(items.filter(position__gte=start).order_by("position")[:number]), total
    rows: list[Item] = []
    end = monotonic() + SEARCH_SECONDS
    while start < total and len(rows) < number and monotonic() < end:
        stretch = items.filter(position__gte=start, position__lt=start + STRETCH).order_by("position")
        rows += stretch[: number - len(rows)]
        start += STRETCH
    return rows, min(start, total) if len(rows) < number else total


def _backward(items: QuerySet[Item], before: int, number: int, *, direct: bool) -> tuple[list[Item], int]:
    """The same towards the beginning, the nearest first; 0 when it was reached."""
    if direct:
        return list(items.filter(position__lt=before).order_by("-position")[:number]), 0
    rows: list[Item] = []
    end = monotonic() + SEARCH_SECONDS
    while before > 0 and len(rows) < number and monotonic() < end:
        stretch = items.filter(position__gte=before - STRETCH, position__lt=before).order_by("-position")
        rows += stretch[: number - len(rows)]
        before = max(0, before - STRETCH)
    return rows, 0 if len(rows) == number else before


def _first(shown: list[Item], reached: int) -> int:
    return shown[0].position if shown else reached


def position_of(text: str | None) -> int | None:
    """A position out of an address; None where it is none."""
    if text is None or not (text.isascii() and text.isdigit() and len(text) < 11):
        return None
    return min(int(text), LARGEST_POSITION)

"""Pages of a list by the id of its ends: the thousandth page costs what the first does, and nothing is counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from batches.models import Batch
from batches.querysets import BatchQuerySet

OLDER, NEWER = "older", "newer"


@dataclass(frozen=True, slots=True)
class BatchPage:
    """One page of batches, newest first. ``older`` and ``newer``: the batch behind which another page lies."""

    rows: list[Batch]
    older: str | None
    newer: str | None


def batch_page(own: BatchQuerySet, wanted: BatchQuerySet, query: Mapping[str, str], size: int) -> BatchPage:
    """The page of ``wanted`` behind ``?older=`` or ``?newer=`` one of their ``own``; without either, the newest.

    One row more than is shown is read: it says whether there is another page.
    """
    if (pk := _pk_of(own, query.get(NEWER))) is not None:
        rows = list(wanted.filter(pk__gt=pk).order_by("pk")[: size + 1])
        return _page(rows[size - 1 :: -1] if len(rows) > size else rows[::-1], older=True, newer=len(rows) > size)
    pk = _pk_of(own, query.get(OLDER))
    rows = list((wanted if pk is None else wanted.filter(pk__lt=pk)).order_by("-pk")[: size + 1])
    return _page(rows[:size], older=len(rows) > size, newer=pk is not None)


def _page(rows: list[Batch], *, older: bool, newer: bool) -> BatchPage:
    return BatchPage(
        rows,
        older=rows[-1].public_id if rows and older else None,
        newer=rows[0].public_id if rows and newer else None,
    )


def _pk_of(own: BatchQuerySet, public_id: str | None) -> int | None:
    if not public_id or len(public_id) > 64 or "\0" in public_id:
        return None
    return own.filter(public_id=public_id).values_list("pk", flat=True).first()

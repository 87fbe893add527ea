"""What stands in a row of an export, and which columns a table has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet

from batches.api.shapes import instant
from batches.choosing import ItemChoice
from batches.live.frames import PHOTO_OPERATION
from batches.models import Batch, Item, ItemError
from batches.states import Channel, ItemStatus
from batches.visibility import error_visible_to, errors_visible_to

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    User = AbstractBaseUser | AnonymousUser

RESULTS, ITEMS, ERRORS = "results", "items", "errors"
WHAT = (RESULTS, ITEMS, ERRORS)
TRIED = sorted({ItemStatus.SUCCEEDED, ItemStatus.FAILED, ItemStatus.UNKNOWN})
PAGE = 500
SAMPLED = 200
MOST_RESULT_COLUMNS = 40
RESULT = "result"
PHOTO_COLUMNS = ("starRating", "colorLabel", "title", "description", "tags")
BEFORE = ("number", "id", "status")
AFTER = (
    "errorCategory",
    "errorCode",
    "error",
    "attempts",
    "durationMs",
    "quality",
    "provider",
    "cost",
    "finishedAt",
)
ERROR_COLUMNS = (
    "number",
    "id",
    "status",
    "provider",
    "category",
    "code",
    "error",
    "count",
    "firstAt",
    "lastAt",
)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """What is exported: of which batch, for whom, and which of its items."""

    batch: Batch
    user: User
    what: str
    choice: ItemChoice

    def columns(self) -> list[str]:
        """Of a table. A result's own names are those of the first hundreds of results; the whole of each stands in
        ``result``, so that none is lost."""
        if self.what == ERRORS:
            return list(ERROR_COLUMNS)
        columns = [*BEFORE, *self._input_columns()]
        if self.batch.operation == PHOTO_OPERATION:
            return [*columns, *PHOTO_COLUMNS, *AFTER]
        if self.batch.channel == Channel.SMS:
            return [*columns, "segments", *AFTER, "delivery", "deliveredAt"]
        return [*columns, *self._result_columns(), RESULT, *AFTER]

    def _input_columns(self) -> tuple[str, ...]:
        if self.batch.operation == PHOTO_OPERATION:
            return ("filename", "url")
        return ("to",) if self.batch.channel == Channel.SMS else ()

    def _result_columns(self) -> list[str]:
        items = self._items()
        found: dict[str, None] = {}
        if items is not None:
            for result in items.order_by("position").values_list("result", flat=True)[:SAMPLED]:
                found.update(dict.fromkeys(result if isinstance(result, dict) else ()))
        return [_column(name) for name in list(found)[:MOST_RESULT_COLUMNS]]

    def pages(self) -> Iterator[list[Row]]:
        """Rows in the order of the items, some hundred at a time; each page is one query by an index."""
        return self._error_pages() if self.what == ERRORS else self._item_pages()

    def _items(self) -> QuerySet[Item] | None:
        items = self.choice.of(self.batch, self.user)
        if items is not None and self.what == RESULTS and not self.choice.status:
            items = items.filter(status__in=TRIED)
        return items

    def _item_pages(self) -> Iterator[list[Row]]:
        items, after = self._items(), -1
        while items is not None:
            page = list(items.filter(position__gt=after).order_by("position")[:PAGE])
            if page:
                after = page[-1].position
                yield [self._item_row(item) for item in page]
            if len(page) < PAGE:
                return

    def _error_pages(self) -> Iterator[list[Row]]:
        items = self.choice.of(self.batch, self.user)
        if items is None:
            return
        errors = errors_visible_to(self.user, self.batch).select_related("item")
        if self.choice.status:
            errors = errors.filter(item__status=self.choice.status)
        if self.choice.category:
            errors = errors.filter(category=self.choice.category)
        if self.choice.code:
            errors = errors.filter(code=self.choice.code)
        if self.choice.text:
            errors = errors.filter(item__key__icontains=self.choice.text)
        before = 2**63 - 1
        while True:
            page = list(errors.filter(id__lt=before).order_by("-id")[:PAGE])
            if page:
                before = page[-1].pk
                yield [_error_row(error) for error in page]
            if len(page) < PAGE:
                return

    def _item_row(self, item: Item) -> Row:
        row: Row = {"number": item.position + 1, "id": item.key, "status": item.status}
        row |= {name: item.input[name] for name in self._input_columns() if name in item.input}
        if isinstance(item.result, dict):
            row |= {_column(name): value for name, value in item.result.items()}
        row[RESULT] = item.result
        if item.error_code and error_visible_to(self.user, self.batch, item):
            row |= {"errorCategory": item.error_category, "errorCode": item.error_code, "error": item.error_message}
        return row | {
            "attempts": item.attempts,
            "durationMs": item.duration_ms,
            "quality": item.quality,
            "provider": item.provider,
            "cost": None if item.cost is None else f"{item.cost.normalize():f}",
            "delivery": item.delivery,
            "deliveredAt": instant(item.delivered_at),
            "finishedAt": instant(item.finished_at),
        }

    def document(self, row: Row) -> Row:
        """A row of JSON: a result's names stand inside ``result`` alone."""
        if self.what == ERRORS:
            return row
        names = {*BEFORE, *self._input_columns(), *AFTER, RESULT}
        if self.batch.channel == Channel.SMS:
            names |= {"delivery", "deliveredAt"}
        return {name: value for name, value in row.items() if name in names}


_TAKEN = frozenset({*BEFORE, *AFTER, RESULT, "filename", "url", "to", "delivery", "deliveredAt"})


def _column(name: str) -> str:
    """The column of a name in a result."""
    return f"result.{name}" if name in _TAKEN else name


def _error_row(error: ItemError) -> Row:
    return {
        "number": error.item.position + 1,
        "id": error.item.key,
        "status": error.item.status,
        "provider": error.provider,
        "category": error.category,
        "code": error.code,
        "error": error.message,
        "count": error.count,
        "firstAt": instant(error.first_at),
        "lastAt": instant(error.last_at),
    }

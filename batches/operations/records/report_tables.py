"""The tables that a report can show, as clients declare them, and what a table is when it is made.

A table is grouped by fields, names in the metadata, or stretches of time (``day``, ``week``, ``month``: UTC, by
creation), and measures each group: ``count``, or over records a function of a number such as ``average:quality``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone

from batches.operations.payload import Problems, text_fault, unknown_fields

MOST_TABLES = 10
MOST_GROUPINGS = 3
MOST_MEASURES = 8
LARGEST_LIMIT = 1_000
DEFAULT_LIMIT = 100
LONGEST_NAME = 255
LONGEST_TITLE = 200
LONGEST_VALUE = 200
"""Characters of a group's name; longer ones that begin alike are one group."""

RECORDS, BATCHES = "records", "batches"
TIMES = ("day", "week", "month")
FUNCTIONS = ("average", "sum", "minimum", "maximum")
BATCH_FIELDS = ("operation", "status", "provider", "channel", "priority", "name")
BATCH_COUNTS = ("count", "items", "succeeded", "failed", "cancelled")
BATCH_MEASURES = (*BATCH_COUNTS, "success_rate", "average_seconds", "p50_ms", "p95_ms", "p99_ms")

DEFAULT_MEASURES: Mapping[str, tuple[str, ...]] = {
    RECORDS: ("count", "average:quality"),
    BATCHES: ("count", "items", "succeeded", "failed", "success_rate", "p50_ms", "p95_ms"),
}
DEFAULT_GROUPINGS: Mapping[str, tuple[str, ...]] = {
    RECORDS: ("kind", "status", "category", "day"),
    BATCHES: ("operation", "status", "day"),
}
"""The tables of a report that names none."""


@dataclass(frozen=True, slots=True)
class TableRequest:
    """A table to be made: of ``records`` or ``batches``."""

    over: str
    title: str
    group_by: tuple[str, ...]
    measures: tuple[str, ...]
    limit: int = DEFAULT_LIMIT

    @property
    def shape(self) -> dict[str, Any]:
        """As the item that makes it carries it."""
        return {
            "over": self.over,
            "title": self.title,
            "groupBy": list(self.group_by),
            "measures": list(self.measures),
            "limit": self.limit,
        }

    @classmethod
    def of(cls, shape: Mapping[str, Any]) -> TableRequest:
        """Back from its shape."""
        groups, measures = tuple(shape["groupBy"]), tuple(shape["measures"])
        return cls(shape["over"], shape["title"], groups, measures, shape["limit"])

    def table(self, rows: Sequence[Sequence[Any]], total: Sequence[Any]) -> dict[str, Any]:
        """The table: rows of a group's names and measures, of one more than are shown where there are more."""
        return {
            "title": self.title,
            "over": self.over,
            "columns": [*self.group_by, *self.measures],
            "groupBy": list(self.group_by),
            "rows": [[plain(value) for value in row] for row in rows[: self.limit]],
            "total": [plain(value) for value in total],
            "cut": len(rows) > self.limit,
            "at": timezone.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }


def read_tables(value: object, path: str, over: str, problems: Problems) -> list[TableRequest]:
    """The field ``tables``; everything wrong with it goes to ``problems``."""
    if value is None:
        return [TableRequest(over, f"By {name}", (name,), DEFAULT_MEASURES[over]) for name in DEFAULT_GROUPINGS[over]]
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_TABLES:
        problems.add(path, f"Must be a list of 1 to {MOST_TABLES} tables.", "invalid_type")
        return []
    return [
        table
        for number, one in enumerate(value)
        if (table := _read_table(one, f"{path}.{number}", over, problems)) is not None
    ]


def _read_table(value: object, path: str, over: str, problems: Problems) -> TableRequest | None:
    if not isinstance(value, dict):
        problems.add(path, "Must be an object.", "invalid_type")
        return None
    problems.extend(unknown_fields(value, ("title", "groupBy", "measures", "limit"), f"{path}."))
    groups = _read_names(value.get("groupBy"), f"{path}.groupBy", MOST_GROUPINGS, problems)
    measures = _read_names(value.get("measures"), f"{path}.measures", MOST_MEASURES, problems)
    measures = measures or DEFAULT_MEASURES[over]
    if over == BATCHES:
        _check_choices(groups, (*BATCH_FIELDS, *TIMES), f"{path}.groupBy", problems)
        _check_choices(measures, BATCH_MEASURES, f"{path}.measures", problems)
    else:
        _check_record_measures(measures, f"{path}.measures", problems)
    title = value.get("title")
    if fault := text_fault(title, maximum=LONGEST_TITLE, required=False):
        problems.add(f"{path}.title", *fault)
    limit = value.get("limit", DEFAULT_LIMIT)
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= LARGEST_LIMIT:
        problems.add(f"{path}.limit", f"Must be a whole number between 1 and {LARGEST_LIMIT}.", "out_of_range")
        limit = DEFAULT_LIMIT
    return TableRequest(over, str(title or f"By {', '.join(groups) or 'nothing'}"), groups, measures, limit)


def _read_names(value: object, path: str, most: int, problems: Problems) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or len(value) > most:
        problems.add(path, f"Must be a list of at most {most} names.", "invalid_type")
        return ()
    for number, name in enumerate(value):
        if fault := text_fault(name, maximum=LONGEST_NAME):
            problems.add(f"{path}.{number}", *fault)
            return ()
    if len(set(value)) < len(value):
        problems.add(path, "Must not name the same twice.", "duplicate")
    return tuple(value)


def _check_choices(names: Iterable[str], choices: Sequence[str], path: str, problems: Problems) -> None:
    for number, name in enumerate(names):
        if name not in choices:
            problems.add(f"{path}.{number}", f"Must be one of {', '.join(choices)}.", "invalid_choice")


def _check_record_measures(measures: Iterable[str], path: str, problems: Problems) -> None:
    for number, measure in enumerate(measures):
        function, colon, name = measure.partition(":")
        if measure != "count" and (function not in FUNCTIONS or not colon or not name):
            message = f"Must be count, or one of {', '.join(FUNCTIONS)} with a number: average:quality."
            problems.add(f"{path}.{number}", message, "invalid_choice")


def plain(value: Any) -> Any:
    """A value of the database as JSON: numbers as numbers where JSON has them, an instant as its day."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        number = float(value)
        if not math.isfinite(number):
            return str(value)
        return int(value) if value == value.to_integral_value() and abs(number) < 2**53 else round(number, 6)
    return round(value, 6) if isinstance(value, float) else value

"""From the columns of a table to the fields of a record.

A column has the name of a field (``title``, ``Memory Type``), of the metadata (``metadata.category``), or any other
name, and then it belongs into the metadata as well. ``columns`` of the request says otherwise, ``defaults`` fills what
is empty.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from batches.operations.payload import Problems, document_problems, short_name, text_fault
from batches.operations.records.record_fields import FIELDS, METADATA, field_fault
from batches.tables.cells import value_of
from batches.tables.names import identity_text, plain_name
from batches.tables.rows import MOST_COLUMNS, Row
from batches.tables.writing import separated
from records.filters import is_uuid
from records.importing import CREATED, KEY, TOPIC, RecordRow

ID = "id"
IDENTITY = (KEY, ID)
TARGETS = (*IDENTITY, *FIELDS, TOPIC, CREATED, METADATA)
"""The fields of a record that a column can fill."""
KEPT_BY_US = frozenset({"updated_at", "access_count", "last_accessed", "user_id"})
"""Columns of an export that say what only this system can know."""
METADATA_PREFIX = "metadata."
LONGEST_KEY = 255
LONGEST_NAME = 255

Fault = tuple[str, str]
"""Message and code."""


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with a row, and in which column, by its name in the file."""

    row: int
    column: str
    message: str
    code: str

    def shape(self) -> dict[str, Any]:
        """As clients see it."""
        return {"row": self.row, "column": self.column, "message": self.message, "code": self.code}


class ColumnMap:
    """Which column means what. ``typed``: cells are JSON values, and a text is a text."""

    def __init__(self, columns: Mapping[str, str | None], defaults: Mapping[str, Any], *, typed: bool) -> None:
        self._given = columns
        self._defaults = defaults
        self._typed = typed
        self._targets: dict[str, str | None] = {}

    def target(self, column: str) -> str | None:
        """The field, or ``metadata.<name>``; None for a column that is left out."""
        if column not in self._targets:
            self._targets[column] = self._find_target(column)
        return self._targets[column]

    def _find_target(self, column: str) -> str | None:
        if column in self._given:
            return self._given[column]
        plain = plain_name(column)
        if plain in KEPT_BY_US:
            return None
        if plain in TARGETS:
            return plain
        name = column[len(METADATA_PREFIX) :] if plain.startswith(METADATA_PREFIX) else column
        return f"{METADATA_PREFIX}{name}" if name else None

    def column_of(self, target: str, columns: Iterable[str]) -> str:
        """The file's own name for a field."""
        return next((column for column in columns if self.target(column) == target), target)

    def read(self, row: Row) -> tuple[RecordRow, list[RowError]]:
        """The row's values, and everything that is wrong with them."""
        if row.problem is not None:
            return RecordRow(row.number), [RowError(row.number, *row.problem)]
        read = RecordRow(row.number)
        faults: list[tuple[str, Fault]] = []
        for column, cell in row.cells.items():
            target = self.target(column)
            if target is not None and (fault := self._read_cell(read, target, column, cell)):
                faults.append((column, fault))
        for target, value in self._defaults.items():
            if not _has(read, target):
                _put(read, target, value)
        return read, [RowError(row.number, column[:LONGEST_NAME], *fault) for column, fault in faults]

    def _read_cell(self, read: RecordRow, target: str, column: str, cell: Any) -> Fault | None:
        if target in IDENTITY:
            return _read_identity(read, target, cell)
        if target.startswith(METADATA_PREFIX):
            return self._read_name(read, target, column, cell)
        if target == METADATA:
            return _read_metadata(read, cell)
        if cell in (None, "") and target not in FIELDS_WITH_EMPTY:
            return None  # says nothing: a new record has its default, one that is there keeps what it has
        value, fault = _typed_value(target, cell) if self._typed else _cell_value(target, cell)
        if fault is None:
            read.values[target] = value
        return fault

    def _read_name(self, read: RecordRow, target: str, column: str, cell: Any) -> Fault | None:
        """A name of the metadata. A cell is read as JSON only below a heading that says ``metadata.``."""
        if not self._typed:
            if cell in (None, ""):
                return None
            if plain_name(column).startswith(METADATA_PREFIX):
                cell = value_of(cell)
        name = target.removeprefix(METADATA_PREFIX)
        if fault := document_fault({name: cell}):
            return fault
        read.metadata[name] = cell
        return None


FIELDS_WITH_EMPTY = frozenset({name for name, one in FIELDS.items() if one.empty is not None or one.nullable} | {TOPIC})
"""An empty cell of these makes the field empty."""


def _has(read: RecordRow, target: str) -> bool:
    if target.startswith(METADATA_PREFIX):
        return target.removeprefix(METADATA_PREFIX) in read.metadata
    return read.values.get(target) not in (None, "", [])


def _put(read: RecordRow, target: str, value: Any) -> None:
    if target.startswith(METADATA_PREFIX):
        read.metadata[target.removeprefix(METADATA_PREFIX)] = value
    else:
        read.values[target] = value


def _read_identity(read: RecordRow, target: str, cell: Any) -> Fault | None:
    text = identity_text(cell)
    if text is None:
        return None if cell in (None, "") or isinstance(cell, str) else ("Must be a string.", "invalid_type")
    if fault := text_fault(text, maximum=LONGEST_KEY):
        return fault
    if target == KEY:
        read.key = text
    else:
        read.public_id = text
    return None


def _read_metadata(read: RecordRow, cell: Any) -> Fault | None:
    if cell in (None, "", {}):
        return None
    if isinstance(cell, str):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            return "Must be a JSON object.", "invalid_json"
    if not isinstance(cell, dict):
        return "Must be a JSON object.", "invalid_type"
    if fault := document_fault(cell):
        return fault
    read.metadata = {**cell, **read.metadata}
    read.replaces_metadata = True
    return None


def document_fault(value: Any) -> Fault | None:
    """The first thing that keeps a JSON value from being stored, or None."""
    problem = next(document_problems(value, ""), None)
    return None if problem is None else (problem.message, problem.code)


def _typed_value(target: str, value: Any) -> tuple[Any, Fault | None]:
    """A JSON value as a field's value. Null stands for an empty one."""
    if target == TOPIC:
        return _topic(value)
    if target == CREATED:
        return _instant(value)
    if value is None and FIELDS[target].empty is not None:
        value = FIELDS[target].empty
    fault = field_fault(target, value)
    return (list(dict.fromkeys(value)) if target == "tags" and not fault else value), fault


def _cell_value(target: str, cell: Any) -> tuple[Any, Fault | None]:
    """A cell of a spreadsheet as a field's value."""
    if target == "tags":
        cell = [] if cell in (None, "") else separated(_text(cell))
    elif target in FIELDS and FIELDS[target].nullable:
        cell = _number(cell)
    elif target in FIELDS:
        cell = _text(cell)
    return _typed_value(target, cell)


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return "" if cell is None else str(cell)


def _number(cell: Any) -> Any:
    if cell == "":
        return None
    if not isinstance(cell, str):
        return cell
    try:
        number = float(cell)
    except ValueError:
        return cell
    return number if math.isfinite(number) else cell


def _topic(value: Any) -> tuple[str | None, Fault | None]:
    if value in (None, ""):
        return None, None
    if isinstance(value, str) and is_uuid(value.strip()):
        return value.strip().lower(), None
    return None, ("Must be the UUID of a topic.", "invalid_uuid")


def _instant(value: Any) -> tuple[str | None, Fault | None]:
    try:
        instant = datetime.fromisoformat(value.strip())
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC)
        return instant.astimezone(UTC).isoformat(), None
    except (AttributeError, TypeError, ValueError, OverflowError):
        return None, ("Must be an ISO 8601 date and time, such as 2030-01-31T09:00:00Z.", "invalid_time")


def read_columns(value: Any, path: str, problems: Problems) -> dict[str, str | None]:
    """``columns``: for a column of the file the field it fills; null leaves it out."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        problems.add(path, "Must be an object: columns of the file, and the fields they fill.", "invalid_type")
        return {}
    if len(value) > MOST_COLUMNS:
        problems.add(path, f"Must name at most {MOST_COLUMNS} columns.", "too_many")
        return {}
    columns: dict[str, str | None] = {}
    for column, target in value.items():
        if target is not None and not is_target(target):
            message = f"Must be null, metadata.<name>, or one of {', '.join(TARGETS)}."
            problems.add(f"{path}.{short_name(str(column))}", message, "unknown_target")
        else:
            columns[column] = target
    return columns


def is_target(target: object) -> bool:
    """Whether a column can fill this."""
    if not isinstance(target, str) or text_fault(target, maximum=LONGEST_NAME + len(METADATA_PREFIX)):
        return False
    return target in TARGETS or (target.startswith(METADATA_PREFIX) and target != METADATA_PREFIX)


def read_defaults(value: Any, path: str, problems: Problems) -> dict[str, Any]:
    """``defaults``: values for the fields that a row leaves empty."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        problems.add(path, "Must be an object: fields and their values.", "invalid_type")
        return {}
    if len(value) > MOST_COLUMNS:
        problems.add(path, f"Must name at most {MOST_COLUMNS} fields.", "too_many")
        return {}
    defaults: dict[str, Any] = {}
    for target, given in value.items():
        where = f"{path}.{short_name(str(target))}"
        if not is_target(target) or target in (*IDENTITY, METADATA):
            problems.add(where, "Is not a field that has a default.", "unknown_target")
            continue
        named = target.startswith(METADATA_PREFIX)
        read, fault = (given, document_fault(given)) if named else _typed_value(target, given)
        if fault:
            problems.add(where, *fault)
        defaults[target] = read
    return defaults

"""Rows of JSON: a list of objects, or an object on each line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import ijson

from batches.tables.rows import LONGEST_CELL, LONGEST_NAME, MOST_COLUMNS, Row, UnreadableTable

LIST_NAME = "records"
DEEPEST = 100
_STEPS = {"start_map": 1, "start_array": 1, "end_map": -1, "end_array": -1}
_NOT_AN_OBJECT = ("", "Must be a JSON object.", "invalid_type")


def read_json(path: Path) -> Iterator[Row]:
    """The objects of a list, or of the list ``records`` of an object. Raises :class:`UnreadableTable`."""
    number = 0
    with path.open("rb") as file:
        try:
            for number, value in enumerate(_values(file), start=1):
                yield _row(number, value)
        except (ijson.JSONError, ValueError, OverflowError):
            raise UnreadableTable(f"The JSON is broken after object {number}.", "invalid_json") from None
    if number == 0:
        raise UnreadableTable("There must be a list of objects, or an object with a list `records`.", "empty")


def _values(file: IO[bytes]) -> Iterator[Any]:
    """What the list holds. Not by ``ijson.items``, whose paths cost a gigabyte for a hundred kilobytes of brackets."""
    _skip_mark(file)
    events = iter(ijson.basic_parse(file))
    if not _enter_list(events):
        return
    depth, builder = 0, ijson.ObjectBuilder()
    for event, value in events:
        if depth == 0 and event == "end_array":
            break
        builder.event(event, _plain(value) if event == "number" else value)
        depth += _STEPS.get(event, 0)
        if depth > DEEPEST:
            raise ValueError("too deep")
        if depth == 0:
            yield builder.value
            builder = ijson.ObjectBuilder()
    for _ in events:  # what follows must be JSON as well
        pass


def _enter_list(events: Iterator[tuple[str, Any]]) -> bool:
    """Go to the beginning of the list; False where there is none."""
    first, _ = next(events, ("", None))
    if first != "start_map":
        return first == "start_array"
    depth = 0
    for event, value in events:
        if depth == 0 and event == "map_key" and value == LIST_NAME:
            return next(events, ("", None))[0] == "start_array"
        depth += _STEPS.get(event, 0)
        if depth > DEEPEST:
            raise ValueError("too deep")
    return False


def _skip_mark(file: IO[bytes]) -> None:
    if file.read(3) != b"\xef\xbb\xbf":
        file.seek(0)


def _plain(value: Any) -> Any:
    """Decimals, which the parser reads so as to lose nothing, as the numbers that JSON means."""
    if not isinstance(value, Decimal):
        return value
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("too large")
    return number


def read_lines(path: Path) -> Iterator[Row]:
    """An object per line; an empty line is none. Raises :class:`UnreadableTable`."""
    number, found = 0, False
    with path.open("rb") as file:
        while line := file.readline(LONGEST_CELL * 2):
            number += 1
            if not line.endswith(b"\n") and len(line) >= LONGEST_CELL * 2:
                raise UnreadableTable(f"Line {number} has more than {LONGEST_CELL * 2} bytes.", "line_too_long")
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                found = True
                yield _line(number, line)
    if not found:
        raise UnreadableTable("The file has no lines.", "empty")


def _line(number: int, line: bytes) -> Row:
    try:
        return _row(number, json.loads(line.decode(), parse_constant=_refuse, parse_float=_finite))
    except (ValueError, RecursionError):
        return Row(number, {}, ("", "Must be one JSON object in UTF-8.", "invalid_json"))


def _refuse(name: str) -> float:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("too large")
    return number


def _row(number: int, value: Any) -> Row:
    if not isinstance(value, dict):
        return Row(number, {}, _NOT_AN_OBJECT)
    if len(value) > MOST_COLUMNS:
        return Row(number, {}, ("", f"Has more than {MOST_COLUMNS} fields.", "too_many_columns"))
    if any(not 0 < len(name) <= LONGEST_NAME for name in value):
        return Row(number, {}, ("", f"The name of a field has 1 to {LONGEST_NAME} characters.", "column_name"))
    return Row(number, value)

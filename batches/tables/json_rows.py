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

_NOT_AN_OBJECT = ("", "Must be a JSON object.", "invalid_type")


def read_json(path: Path) -> Iterator[Row]:
    """The objects of a list, or of the list ``records`` of an object. Raises :class:`UnreadableTable`."""
    number = 0
    with path.open("rb") as file:
        place = "item" if _begins_with_list(file) else "records.item"
        try:
            for number, value in enumerate(ijson.items(file, place), start=1):
                yield _row(number, _plain(value))
        except (ijson.JSONError, ValueError, RecursionError, OverflowError):
            raise UnreadableTable(f"The JSON is broken after object {number}.", "invalid_json") from None
    if number == 0:
        raise UnreadableTable("There must be a list of objects, or an object with a list `records`.", "empty")


def _begins_with_list(file: IO[bytes]) -> bool:
    start = file.read(4096)
    mark = 3 if start.startswith(b"\xef\xbb\xbf") else 0
    file.seek(mark)
    return start[mark:].lstrip().startswith(b"[")


def _plain(value: Any) -> Any:
    """Decimals, which the parser reads so as to lose nothing, as the numbers that JSON means."""
    if isinstance(value, Decimal):
        number = float(value)
        if not math.isfinite(number):
            raise ValueError("too large")
        return number
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value


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

"""What stands in a cell of a spreadsheet, and back: no text is run as a formula, and nothing is lost on the way."""

from __future__ import annotations

import json
import re
from typing import Any

_STARTS = "=+\\-@\t\r\n＝＋－＠"
_RISKY = re.compile(f"'*[{_STARTS}]")
_QUOTED = re.compile(f"'+[{_STARTS}]")
_MAYBE_JSON = re.compile(r"[\s\"\[{\-0-9tfn]")
EXACT_INTEGER = 2**53
"""Spreadsheets keep numbers as floats: larger whole numbers travel as text."""


def neutral(text: str) -> str:
    """A text that a spreadsheet would take for a formula gets a quote in front, and so does one that looks quoted."""
    return f"'{text}" if _RISKY.match(text) else text


def restored(text: str) -> str:
    """What :func:`neutral` was given. A quote before anything else is the text's own."""
    return text[1:] if _QUOTED.match(text) else text


def cell_of(value: Any) -> str | int | float | bool:
    """A JSON value as a cell: a text as it stands unless it reads as JSON, a number as a number, the rest as JSON.

    :func:`value_of` reads it back. An empty cell stands for no value at all, so an empty text is ``""`` in quotes.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) <= EXACT_INTEGER:
        return value
    if isinstance(value, float) and is_exact(value):
        return value
    if isinstance(value, str) and value and not _reads_as_json(value):
        return value
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def is_exact(number: float) -> bool:
    """Whether a sheet of XLSX, which keeps sixteen digits, keeps this number."""
    return float(f"{number:.16G}") == number


def value_of(cell: Any) -> Any:
    """The value of a cell: JSON where it is JSON, otherwise the text itself."""
    if not isinstance(cell, str) or not _MAYBE_JSON.match(cell):
        return cell
    try:
        return json.loads(cell, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return cell


def plain_number(value: float) -> int | float:
    """5 for 5.0: spreadsheets know no difference."""
    return int(value) if value.is_integer() and abs(value) <= EXACT_INTEGER else value


def _reads_as_json(text: str) -> bool:
    return value_of(text) is not text


def _refuse(name: str) -> float:
    raise ValueError(name)

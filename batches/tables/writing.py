"""Writing tables: the rows of one part, and the whole of all parts.

Parts hold the rows alone, so that they can be joined by copying: CSV without its header, or JSON lines. XLSX is made of
the latter, in a process of its own.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

import orjson

from batches.tables.cells import cell_of, neutral

MEDIA_TYPES = {
    "csv": "text/csv",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def write_rows(output: IO[bytes], rows: Iterable[Mapping[str, Any]], *, form: str, columns: Sequence[str]) -> int:
    """Write the rows of one part; returns how many. A missing column is an empty cell, or left out in JSON."""
    if form != "csv":
        return _write_lines(output, rows)
    text = io.TextIOWrapper(output, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    count = 0
    for row in rows:
        writer.writerow([_text(spreadsheet_cell(row, column)) for column in columns])
        count += 1
    text.detach()
    return count


def _text(cell: str | int | float | bool) -> str | int | float:
    """Truth as JSON spells it, not as Python does."""
    return str(cell).lower() if isinstance(cell, bool) else cell


def _write_lines(output: IO[bytes], rows: Iterable[Mapping[str, Any]]) -> int:
    count = 0
    for row in rows:
        output.write(compact(row).encode() + b"\n")
        count += 1
    return count


def spreadsheet_cell(row: Mapping[str, Any], column: str) -> str | int | float | bool:
    """A value as a cell. Fields of a record are texts and numbers; ``metadata.x`` may be anything."""
    if column not in row:
        return ""
    value = row[column]
    if column.startswith("metadata."):
        value = cell_of(value)
    elif value is None:
        return ""
    elif isinstance(value, dict):
        value = compact(value) if value else ""
    elif isinstance(value, list):
        value = joined(value)
    return neutral(value) if isinstance(value, str) else value


def compact(value: Any) -> str:
    """JSON without spaces."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # whole numbers beyond 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def joined(texts: Sequence[str]) -> str:
    """``a, b``; as JSON where one of them holds what separates them."""
    if all(text and text == text.strip() and not set(text) & set(",;") for text in texts) and not (
        texts and texts[0].startswith("[")
    ):
        return ", ".join(texts)
    return orjson.dumps(list(texts)).decode()


def separated(text: str) -> list[Any] | None:
    """What :func:`joined` was given: also separated by semicolons. None where it begins as JSON and is none."""
    text = text.strip()
    if text.startswith("["):
        try:
            listed = orjson.loads(text)
        except ValueError:
            return None
        return listed if isinstance(listed, list) else None
    return [part for part in (one.strip() for one in text.split("," if "," in text else ";")) if part]


def join_parts(output: IO[bytes], parts: Iterable[IO[bytes]], *, form: str, columns: Sequence[str]) -> None:
    """Write the whole file of CSV, JSON or JSON lines."""
    if form == "csv":
        header = io.StringIO()
        csv.writer(header).writerow([neutral(column) for column in columns])
        output.write(header.getvalue().encode())
    if form != "json":
        for part in parts:
            shutil.copyfileobj(part, output, 1024 * 1024)
        return
    output.write(b"[")
    separator = b"\n"
    for part in parts:
        for line in part:
            output.write(separator + line.rstrip(b"\n"))
            separator = b",\n"
    output.write(b"\n]\n")

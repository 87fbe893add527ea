"""Reading any table: its format is what it says, or what its first bytes say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from batches.tables.csv_rows import csv_form, read_csv
from batches.tables.json_rows import read_json, read_lines
from batches.tables.rows import Row, UnreadableTable
from batches.tables.xlsx_rows import read_xlsx

FORMATS = ("csv", "json", "jsonl", "xlsx")
_BY_ENDING = {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".xlsx": "xlsx"}
_ZIP = b"PK\x03\x04"
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """What is known of a file. ``name`` is what its owner called it; ``most_bytes`` bounds what XLSX unpacks to."""

    name: str = ""
    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    most_bytes: int = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Table:
    """An open table. ``typed``: its cells are JSON values, not texts that look like some."""

    format: str
    typed: bool
    rows: Iterator[Row]
    warnings: list[str] = field(default_factory=list)


def open_table(path: Path, options: ReadingOptions) -> Table:
    """The rows of a file, one at a time. Raises :class:`UnreadableTable`, also while they are read."""
    form = _format(path, options)
    if form == "xlsx":
        return Table(form, False, read_xlsx(path, sheet=options.sheet, most_bytes=options.most_bytes))
    if form == "json":
        return Table(form, True, read_json(path))
    if form == "jsonl":
        return Table(form, True, read_lines(path))
    written = csv_form(path, encoding=options.encoding, delimiter=options.delimiter)
    warnings = [f"The file is not UTF-8: it was read as {written.encoding}."] if written.guessed else []
    return Table(form, False, read_csv(path, written), warnings)


def _format(path: Path, options: ReadingOptions) -> str:
    with path.open("rb") as file:
        start = file.read(4096)
    if start.startswith(_OLD_OFFICE):
        message = "This is an old XLS file or one with a password: save it as XLSX without a password."
        raise UnreadableTable(message, "not_xlsx")
    found = options.format or ("xlsx" if start.startswith(_ZIP) else None)
    found = found or _BY_ENDING.get(Path(options.name.lower()).suffix) or _guessed(start)
    if (found == "xlsx") != start.startswith(_ZIP):
        raise UnreadableTable(f"The file is not {found.upper()}.", "wrong_format")
    return found


def _guessed(start: bytes) -> str:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    return {b"[": "json", b"{": "jsonl"}.get(text[:1], "csv")

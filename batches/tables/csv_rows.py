"""Rows of CSV, whatever spreadsheet wrote it: delimiter and encoding are found out."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from batches.tables.cells import restored
from batches.tables.rows import LONGEST_CELL, MOST_COLUMNS, Header, Row, UnreadableTable

DELIMITERS = {",": ",", ";": ";", "\t": "\t", "|": "|", "comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
"""What a client may name."""
ENCODINGS = (
    "utf-8",
    "utf-16",
    "windows-1250",
    "windows-1251",
    "windows-1252",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-15",
    "shift_jis",
    "gb18030",
    "big5",
    "euc-kr",
)
FALLBACK = "windows-1252"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DELIMITER_LINE = re.compile(r"sep=(.)\r?\n?")
_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CsvForm:
    """How a file is written. ``guessed``: it is not UTF-8, and nobody said what it is."""

    encoding: str
    delimiter: str
    guessed: bool = False


def csv_form(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> CsvForm:
    """Find out what was not said. Raises :class:`UnreadableTable`."""
    found, guessed = (_marked(path) or encoding, False) if encoding else _encoding(path)
    return CsvForm(found or "utf-8", delimiter or _delimiter(path, found or "utf-8"), guessed)


def _encoding(path: Path) -> tuple[str, bool]:
    if marked := _marked(path):
        return marked, False
    if _decodes(path, "utf-8"):
        return "utf-8", False
    if _decodes(path, FALLBACK):
        return FALLBACK, True
    raise UnreadableTable("The text is not UTF-8: say its encoding.", "unknown_encoding")


def _marked(path: Path) -> str | None:
    with path.open("rb") as file:
        start = file.read(4)
    return next((encoding for mark, encoding in _MARKS if start.startswith(mark)), None)


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        try:
            while block := file.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _delimiter(path: Path, encoding: str) -> str:
    """The one that cuts the first row into most cells; a line ``sep=;``, as Excel writes it, says so itself."""
    try:
        with path.open(encoding=encoding, newline="") as file:
            first = file.readline(LONGEST_CELL)
            second = file.readline(LONGEST_CELL)
    except UnicodeError:
        raise _undecodable(encoding) from None
    if said := _DELIMITER_LINE.fullmatch(first):
        return said[1]
    return max(",;\t|", key=lambda delimiter: _cells(first + second, delimiter))


def _cells(text: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader(text.splitlines(keepends=True), delimiter=delimiter), []))
    except csv.Error:
        return 0


def read_csv(path: Path, form: CsvForm) -> Iterator[Row]:
    """The rows. Raises :class:`UnreadableTable` where the file breaks off."""
    csv.field_size_limit(LONGEST_CELL)
    with path.open(encoding=form.encoding, newline="") as file:
        first = _after_delimiter_line(file, form.encoding)
        reader = csv.reader(file, delimiter=form.delimiter, strict=True)
        number, header = first - 1, None
        try:
            for number, cells in enumerate(reader, start=first):
                if len(cells) > 2 * MOST_COLUMNS:
                    raise UnreadableTable(f"Row {number} has more than {2 * MOST_COLUMNS} cells.", "row_too_wide")
                if header is not None:
                    row = header.row(number, [restored(cell) for cell in cells])
                    if row is not None:
                        yield row
                elif any(cells):
                    header = Header(cells)
        except csv.Error as error:
            raise _broken(number + 1, error) from None
        except UnicodeError:
            raise _undecodable(form.encoding) from None
    if header is None:
        raise UnreadableTable("The file has no rows.", "empty")


def _after_delimiter_line(file: IO[str], encoding: str) -> int:
    """Go past Excel's ``sep=;``; returns the number of the row that follows."""
    try:
        if _DELIMITER_LINE.fullmatch(file.readline(16)):
            return 2
    except UnicodeError:
        raise _undecodable(encoding) from None
    file.seek(0)
    return 1


def _broken(number: int, error: csv.Error) -> UnreadableTable:
    if "limit" in str(error):
        return UnreadableTable(
            f"A cell of row {number} has more than {LONGEST_CELL} characters, or its quote is never closed.",
            "cell_too_long",
        )
    return UnreadableTable(f"The quotes of row {number} are broken.", "broken_quotes")


def _undecodable(encoding: str) -> UnreadableTable:
    return UnreadableTable(f"The text is not {encoding.removesuffix('-sig')} to its end.", "unknown_encoding")

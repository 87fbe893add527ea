"""Recipients out of a table that was pasted or uploaded, each remembered with its row."""

from __future__ import annotations

import csv
import functools
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings

from batches.files import FileMissing, find_file
from batches.local_copies import local_path
from batches.pages.create.controls import Choice
from batches.tables.cells import restored
from batches.tables.chunks import CutTable, read_chunk
from batches.tables.csv_rows import csv_form, read_csv
from batches.tables.isolation import cut_table
from batches.tables.names import identity_text, plain_name
from batches.tables.reading import ReadingOptions
from batches.tables.rows import Row, UnreadableTable

NUMBER_COLUMNS = ("phonenumber", "phone", "mobile", "cell", "number", "telephone", "tel", "to")
CHUNK_ROWS = 2_000
LIVE_RECIPIENTS = 2_000
"""So many are looked at while somebody types; all of them before anything is sent."""
MOST_BEGINNINGS = 16
"""Of tables, kept by a process."""
LONGEST_PASTE = 1_000_000
"""Characters: what is longer is better uploaded, once."""
_NUMBER = re.compile(r"\+?[0-9][0-9 ().\-]{4,30}")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.\-]+")
_PLACE = re.compile(r"recipients\.(\d+)(?:\.(phoneNumber)|\.variables\.(.+))?")
_REPEATED = re.compile(r"(?<=given again at )[\d, ]+|(?<=: recipients )[\d, ]+")


@dataclass(frozen=True, slots=True)
class Column:
    """A column and the variable that stands for it in a template."""

    name: str
    variable: str


@dataclass(slots=True)
class RecipientTable:
    """A table's rows, and which of its columns holds the numbers."""

    columns: list[Column]
    rows: list[tuple[int, Mapping[str, Any]]] = field(default_factory=list)
    broken: list[tuple[int, str]] = field(default_factory=list)
    warnings: Sequence[str] = ()
    number_column: str = ""
    not_read: int = 0
    """Rows after the ones that are here."""

    @property
    def choices(self) -> list[Choice]:
        """The columns to choose the numbers' from."""
        return [Choice(column.name, column.name) for column in self.columns]

    @property
    def variables(self) -> list[Column]:
        """What a template may use."""
        return [column for column in self.columns if column.name != self.number_column]

    def choose(self, wanted: str) -> None:
        """Take the numbers from this column; where there is none of that name, from the one that looks like them, and
        from none where no one does."""
        names = [column.name for column in self.columns]
        self.number_column = wanted if wanted in names else self._guess()

    def _guess(self) -> str:
        plain = {plain_name(column.name).replace("_", ""): column.name for column in reversed(self.columns)}
        named = [plain[name] for name in NUMBER_COLUMNS if name in plain]
        first = self.rows[0][1] if self.rows else {}
        like_numbers = [name for name, cell in first.items() if _NUMBER.fullmatch(text_of_cell(cell))]
        return next((name for name in named if name in like_numbers), next(iter(named or like_numbers), ""))

    def keep_beginning(self) -> None:
        """Of very many rows the first are enough for somebody who still types."""
        self.not_read = max(0, len(self.rows) - LIVE_RECIPIENTS)
        del self.rows[LIVE_RECIPIENTS:]

    def recipients(self, used: Collection[str], *, with_plus: bool) -> list[dict[str, Any]]:
        """As the body of a campaign names them, with the variables that its template uses.

        An empty cell counts as missing: a text with a hole in it is worse than an error.
        """
        wanted = [column for column in self.columns if column.variable in used]
        found = []
        for _, cells in self.rows:
            number = text_of_cell(cells.get(self.number_column))
            if with_plus and number[:1].isdigit():
                number = f"+{number}"
            variables = {each.variable: text for each in wanted if (text := text_of_cell(cells.get(each.name)))}
            found.append({"phoneNumber": number or None, "variables": variables})
        return found

    def place(self, path: str) -> tuple[int, str] | None:
        """Row and column of a problem; None where it is about no recipient."""
        match = _PLACE.match(path)
        if match is None or int(match[1]) >= len(self.rows):
            return None
        names = {column.variable: column.name for column in self.columns}
        column = self.number_column if match[2] else names.get(match[3] or "", match[3] or "")
        return self.rows[int(match[1])][0], column

    def in_rows(self, warning: str) -> str:
        """A warning with rows in the place of indexes."""
        said = _PLACE.sub(lambda match: f"row {self._row(match[1])}", warning)
        return _REPEATED.sub(lambda match: re.sub(r"\d+", lambda index: f"row {self._row(index[0])}", match[0]), said)

    def _row(self, index: str) -> int:
        return self.rows[int(index)][0] if int(index) < len(self.rows) else int(index)


def pasted_table(text: str) -> RecipientTable:
    """Lines of CSV, with or without a line that names the columns. Raises :class:`UnreadableTable`."""
    if len(text) > LONGEST_PASTE:
        message = f"This is more than {LONGEST_PASTE:,} characters: upload it as a file instead."
        raise UnreadableTable(message, "too_long")
    lines = text.lstrip("\n")
    skipped = len(text) - len(lines)
    with tempfile.NamedTemporaryFile(prefix="batchsite-") as file:
        path = Path(file.name)
        path.write_bytes(lines.encode("utf-8", "replace"))
        form = csv_form(path, encoding="utf-8")
        cells = next(csv.reader([lines.partition("\n")[0]], delimiter=form.delimiter), [])
        named = not any(_NUMBER.fullmatch(cell.strip()) for cell in cells)
        names = [cell.strip() for cell in cells] if named else _names_for(cells)
        if not named:
            path.write_bytes((form.delimiter.join(names) + "\n" + lines).encode("utf-8", "replace"))
        table = RecipientTable(_with_variables([name for name in names if name]))
        _fill(table, read_csv(path, form), moved=skipped - (not named))
    return table


def uploaded_table(owner_id: int, file_id: str) -> RecipientTable:
    """Of an uploaded CSV, XLSX, JSON or JSON lines file. Raises :class:`UnreadableTable`."""
    return _uploaded(owner_id, file_id, None)


def beginning_of_table(owner_id: int, file_id: str) -> RecipientTable:
    """Its first rows: an upload never changes, so whoever goes on typing has it read once."""
    return replace(_beginning(owner_id, file_id))


@functools.lru_cache(maxsize=MOST_BEGINNINGS)
def _beginning(owner_id: int, file_id: str) -> RecipientTable:
    return _uploaded(owner_id, file_id, LIVE_RECIPIENTS)


def _uploaded(owner_id: int, file_id: str, most: int | None) -> RecipientTable:
    try:
        stored = find_file(owner_id, file_id)
        with local_path(owner_id, file_id) as path:
            options = ReadingOptions(name=stored.name, most_bytes=settings.IMPORT_MAX_UNPACKED_BYTES)
            return _read(path, options, most)
    except FileMissing:
        raise UnreadableTable("The file is not there any more: choose it again.", "file_missing") from None


def _read(path: Path, options: ReadingOptions, most: int | None) -> RecipientTable:
    cutting = {
        "chunk_rows": CHUNK_ROWS,
        "most_rows": settings.BATCH_MAX_INLINE_ITEMS,
        "identity": [],
        "plain_identity": [],
    }
    with tempfile.NamedTemporaryFile(prefix="batchsite-") as rows:
        cut = cut_table(path, Path(rows.name), options, cutting)
        with Path(rows.name).open("rb") as file:
            found = (row for chunk in cut.chunks for row in read_chunk(file, chunk.offset, chunk.length))
            table = _table(cut, islice(found, most))
    table.not_read = 0 if most is None else max(0, cut.rows - most)
    return table


def _table(cut: CutTable, rows: Iterator[Row]) -> RecipientTable:
    names = cut.columns
    table = RecipientTable([], warnings=cut.warnings)
    if any(_NUMBER.fullmatch(name) for name in names):  # the first row names nothing: it is somebody's
        calls = dict(zip(names, _names_for(names), strict=True))
        table.columns = _with_variables(list(calls.values()))
        table.rows.append((1, {calls[name]: name for name in names}))
        rows = (replace(row, cells={calls.get(name, name): cell for name, cell in row.cells.items()}) for row in rows)
    else:
        table.columns = _with_variables(names)
    _fill(table, rows)
    return table


def _fill(table: RecipientTable, rows: Iterator[Row], *, moved: int = 0) -> None:
    """``moved``: by how many lines the rows stood further down in what was given."""
    for row in rows:
        number = row.number + moved
        if row.problem is not None:
            column, message, _ = row.problem
            table.broken.append((number, f"Column {column}: {message}" if column else message))
        else:
            table.rows.append((number, row.cells))


def _names_for(cells: Sequence[str]) -> list[str]:
    """Of columns that nobody named."""
    numbers = [place for place, cell in enumerate(cells) if _NUMBER.fullmatch(cell.strip())]
    return ["phone" if place == numbers[0] else f"column_{place + 1}" for place in range(len(cells))]


def _with_variables(names: Sequence[str]) -> list[Column]:
    columns: list[Column] = []
    taken: set[str] = set()
    for place, name in enumerate(names, start=1):
        variable = _NOT_IN_NAMES.sub("_", name.strip()).strip("_")
        if not variable or not (variable[0].isalpha() or variable[0] == "_") or variable in taken:
            variable = f"column_{place}"
        taken.add(variable)
        columns.append(Column(name, variable))
    return columns


def text_of_cell(cell: Any) -> str:
    """As it would be typed: a sheet's 15005550009.0 is 15005550009, and an export's '+15005550009 is +15005550009."""
    if isinstance(cell, str):
        return restored(cell.strip())
    if isinstance(cell, bool) or cell is None:
        return str(cell).lower() if cell is not None else ""
    return identity_text(cell) or ""

"""Recipients out of a CSV file, each remembered with its line."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management.base import CommandError

from batches.commandline.problems import option_of, refusal
from batches.problems import Problem

NUMBER_COLUMNS = ("phonenumber", "phone", "number", "mobile", "to")
DELIMITERS = (",", ";", "\t")
_INDEX = re.compile(r"recipients\.(\d+)(?:\.(phoneNumber)|\.variables\.(.+))?")
_REPEATED = re.compile(r"(?<=given again at )[\d, ]+")


@dataclass(slots=True)
class RecipientFile:
    """Recipients as the payload of an SMS batch names them, and where in the file they stand."""

    number_column: str
    recipients: list[dict[str, Any]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def where(self, path: str) -> str:
        """A problem's place as whoever edits the file sees it."""
        match = _INDEX.fullmatch(path)
        if match is None:
            return "the file" if path == "recipients" else option_of(path)
        column = self.number_column if match[2] else match[3]
        return f"line {self.lines[int(match[1])]}" + (f", column {column}" if column else "")

    def in_lines(self, warning: str) -> str:
        """A warning with line numbers in the place of indexes."""
        said = _INDEX.sub(lambda match: f"line {self.lines[int(match[1])]}", warning)
        return _REPEATED.sub(lambda match: re.sub(r"\d+", lambda index: str(self.lines[int(index[0])]), match[0]), said)


def read_recipients(path: Path, number_column: str | None, variables: Iterable[str]) -> RecipientFile:
    """Read the file row by row. Raises ``CommandError`` that names every line that cannot be read."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(file, number_column, sorted(variables))
    except OSError as error:
        raise CommandError(f"Cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is not UTF-8 text. Save it as 'CSV UTF-8'.") from error


def _read(file: IO[str], number_column: str | None, variables: list[str]) -> RecipientFile:
    first = file.readline()
    file.seek(0)
    reader = csv.reader(file, delimiter=delimiter_of(first), strict=True)
    rows = _numbered(reader)
    _, header = next(rows, (1, []))
    columns = [name.strip() for name in header]
    found = RecipientFile(number_column=_number_column(columns, number_column))
    places = _places(columns, found.number_column, variables)
    problems = []
    for line, row in rows:
        if len(row) > len(columns):
            problems.append(Problem(f"line {line}", f"Has {len(row)} cells for {len(columns)} columns.", "too_many"))
            continue
        cells = _cells(row, places)
        used = {name: cells[name] for name in variables if name in cells}
        found.recipients.append({"phoneNumber": cells.get(found.number_column), "variables": used})
        found.lines.append(line)
        if len(found.recipients) > settings.BATCH_MAX_INLINE_ITEMS:
            raise CommandError(f"The file has more than {settings.BATCH_MAX_INLINE_ITEMS} recipients; split it.")
    if problems:
        raise refusal(problems)
    return found


def delimiter_of(header: str) -> str:
    """The delimiter that makes the most columns of the first line."""
    return max(DELIMITERS, key=lambda delimiter: len(next(csv.reader([header], delimiter=delimiter), [])))


def _numbered(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line they begin on (a quoted cell may span lines); empty lines are passed over."""
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise refusal([Problem(f"line {line}", f"Is not CSV: {error}.", "invalid_csv")]) from error
        if any(cell.strip() for cell in row):
            yield line, row


def _number_column(columns: list[str], wanted: str | None) -> str:
    listed = ", ".join(columns) or "none: the file is empty"
    if wanted is not None:
        if wanted not in columns:
            raise CommandError(f"--number-column: there is no column {wanted!r}. Columns: {listed}.")
        return wanted
    simple = {re.sub(r"[\s_-]", "", name).lower(): name for name in reversed(columns)}
    for name in NUMBER_COLUMNS:
        if name in simple:
            return simple[name]
    raise CommandError(f"Which column holds the phone numbers? Say --number-column NAME. Columns: {listed}.")


def _places(columns: list[str], number_column: str, variables: list[str]) -> dict[str, int]:
    """Where the columns stand that are needed; one that is missing or there twice is refused."""
    problems = []
    counts = Counter(columns)
    for name in [number_column, *variables]:
        if not counts[name]:
            message = f"Uses {{{{{name}}}}}, but there is no such column. Columns: {', '.join(columns)}."
            problems.append(Problem("text", message, "missing_variable"))
        elif counts[name] > 1:
            problems.append(Problem("line 1", f"Has the column {name!r} {counts[name]} times.", "duplicate"))
    if problems:
        raise refusal(problems)
    return {name: columns.index(name) for name in [number_column, *variables]}


def _cells(row: list[str], places: dict[str, int]) -> dict[str, str]:
    """The cells that are needed. An empty one counts as missing: a text with a hole in it is worse than an error."""
    return {name: row[place].strip() for name, place in places.items() if place < len(row) and row[place].strip()}

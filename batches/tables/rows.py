"""What every reader yields, and why a file cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_COLUMNS = 500
LONGEST_NAME = 255
LONGEST_CELL = 1024 * 1024
"""Characters of a cell: a longer one is a mistake, such as a quote that is never closed."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row by its number as a person counts: a sheet's or a CSV's header is row 1; a list's first object is row 1.

    ``cells`` by the name of their column. ``problem`` (column, message, code) where it is none.
    """

    number: int
    cells: Mapping[str, Any]
    problem: tuple[str, str, str] | None = None


class UnreadableTable(Exception):
    """The file as a whole cannot be read. ``code`` names the kind, the message is for its owner and quotes nothing."""

    def __init__(self, message: str, code: str = "unreadable") -> None:
        super().__init__(message)
        self.code = code


class Header:
    """The columns of a table whose first row names them."""

    def __init__(self, names: list[str]) -> None:
        self.names = _checked([name.strip() for name in names])

    def row(self, number: int, cells: list[Any]) -> Row | None:
        """The row of these cells; None for an empty one."""
        if all(cell is None or cell == "" for cell in cells):
            return None
        named = dict(zip(self.names, cells, strict=False))
        outside = [index for index, cell in enumerate(cells) if cell not in (None, "") and not self._has(index)]
        if outside:
            column = str(outside[0] + 1)
            return Row(number, named, (column, "Lies in a column that has no name in the first row.", "no_column"))
        named.pop("", None)
        return Row(number, named)

    def _has(self, index: int) -> bool:
        return index < len(self.names) and bool(self.names[index])


def _checked(names: list[str]) -> list[str]:
    while names and not names[-1]:
        names.pop()
    if not any(names):
        raise UnreadableTable("The first row must name the columns.", "no_columns")
    if len(names) > MOST_COLUMNS:
        raise UnreadableTable(f"The table has more than {MOST_COLUMNS} columns.", "too_many_columns")
    if any(len(name) > LONGEST_NAME or "\x00" in name for name in names):
        raise UnreadableTable(f"The name of a column has more than {LONGEST_NAME} characters.", "column_name")
    seen: set[str] = set()
    for index, name in enumerate(names, 1):
        if name and name in seen:
            raise UnreadableTable(f"Column {index} has the name of an earlier column.", "duplicate_column")
        seen.add(name)
    return names

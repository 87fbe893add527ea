"""What a sheet of XLSX can hold."""

from __future__ import annotations

MOST_ROWS = 1_048_576
"""Its header included."""
LONGEST_CELL = 32_767
"""Characters of a cell, those beyond the basic plane counting twice."""


def is_too_long(cell: object) -> bool:
    """Whether a cell would be cut."""
    return isinstance(cell, str) and len(cell) * 2 > LONGEST_CELL and fitted(cell) != cell


def fitted(text: str) -> str:
    """As much of the text as a cell holds."""
    if len(text) * 2 <= LONGEST_CELL:
        return text
    units = text.encode("utf-16-le")
    return text if len(units) <= LONGEST_CELL * 2 else units[: LONGEST_CELL * 2].decode("utf-16-le", "ignore")

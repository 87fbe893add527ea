"""A process of its own that writes one sheet of XLSX: ``python -m batches.tables.pack``.

Takes a JSON object on its standard input (see :func:`batches.tables.isolation.write_xlsx`): the ``source`` of JSON
lines, the ``columns`` and the ``output``. Rows are written as they are read; the whole is never in memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from batches.tables.cells import neutral
from batches.tables.child import answer_request
from batches.tables.rows import UnreadableTable
from batches.tables.writing import spreadsheet_cell

MOST_ROWS = 1_048_576
"""Of a sheet, its header included."""
LONGEST_CELL = 32_767
"""Characters that XLSX holds in a cell, each of the astral planes counting twice."""
MOST_NAMED = 20


def pack(request: dict[str, Any]) -> dict[str, Any]:
    """Write the file; says how many rows it has, and how many cells had to be cut, with the first of their rows."""
    cut: list[int] = []
    # Strings go into the rows themselves: a table of all of them would be in memory. Nothing is taken for a formula.
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with Workbook(request["output"], options) as book:
        sheet = book.add_worksheet("records")
        for index, column in enumerate(request["columns"]):
            sheet.write_string(0, index, neutral(column))
        number = 0
        with Path(request["source"]).open("rb") as source:
            for number, line in enumerate(source, start=1):
                if number == MOST_ROWS:
                    raise UnreadableTable(f"A sheet of XLSX holds at most {MOST_ROWS} rows.", "too_many_rows")
                cut += [number + 1] * _write_row(sheet, number, orjson.loads(line), request["columns"])
    return {"rows": number, "cutCells": len(cut), "cutRows": sorted(set(cut))[:MOST_NAMED]}


def _write_row(sheet: Worksheet, number: int, row: dict[str, Any], columns: list[str]) -> int:
    """Returns how many of its cells were too long."""
    cut = 0
    for index, column in enumerate(columns):
        cell = spreadsheet_cell(row, column)
        if isinstance(cell, bool):
            sheet.write_boolean(number, index, cell)
        elif isinstance(cell, int | float):
            sheet.write_number(number, index, cell)
        elif cell:
            fitting = fitted(cell)
            cut += fitting != cell
            sheet.write_string(number, index, fitting)
    return cut


def fitted(text: str) -> str:
    """As much of the text as a cell holds."""
    if len(text) * 2 <= LONGEST_CELL:
        return text
    units = text.encode("utf-16-le")
    return text if len(units) <= LONGEST_CELL * 2 else units[: LONGEST_CELL * 2].decode("utf-16-le", "ignore")


if __name__ == "__main__":
    answer_request(pack)

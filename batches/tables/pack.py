"""A process of its own that writes one sheet of XLSX: ``python -m batches.tables.pack``.

Takes a JSON object on its standard input (see :func:`batches.tables.isolation.write_xlsx`): the ``source`` of JSON
lines, the ``columns`` and the ``output``. Rows are written as they are read; the whole is never in memory.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from batches.tables.cells import is_exact, neutral
from batches.tables.child import answer_request
from batches.tables.rows import UnreadableTable
from batches.tables.sheet import MOST_ROWS, fitted
from batches.tables.writing import spreadsheet_cell


def pack(request: dict[str, Any]) -> dict[str, Any]:
    """Write the file; says how many rows it has. A cell that is too long is cut."""
    # Strings go into the rows themselves: a table of all of them would be in memory. Nothing is taken for a formula.
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    number = 0
    with Workbook(request["output"], options) as book, Path(request["source"]).open("rb") as source:
        sheet = book.add_worksheet("records")
        for index, column in enumerate(request["columns"]):
            sheet.write_string(0, index, neutral(column))
        for number, line in enumerate(source, start=1):
            if number == MOST_ROWS:
                raise UnreadableTable(f"A sheet of XLSX holds at most {MOST_ROWS - 1} records.", "too_many_rows")
            _write_row(sheet, number, json.loads(line), request["columns"])
    return {"rows": number}


def _write_row(sheet: Worksheet, number: int, row: dict[str, Any], columns: list[str]) -> None:
    for index, column in enumerate(columns):
        cell = spreadsheet_cell(row, column)
        if isinstance(cell, bool):
            sheet.write_boolean(number, index, cell)
        elif isinstance(cell, int) or (isinstance(cell, float) and is_exact(cell)):
            sheet.write_number(number, index, cell)
        elif isinstance(cell, float):
            sheet.write_string(number, index, repr(cell))
        elif cell:
            sheet.write_string(number, index, fitted(cell))


if __name__ == "__main__":
    answer_request(pack)

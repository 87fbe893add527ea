"""Rows of a sheet of XLSX: formulas are their last values, dates are ISO 8601, a cell with an error is empty."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from batches.tables.cells import plain_number, restored
from batches.tables.rows import LONGEST_CELL, MOST_COLUMNS, Header, Row, UnreadableTable

MOST_PARTS = 5_000


def read_xlsx(path: Path, *, sheet: str | None, most_bytes: int) -> Iterator[Row]:
    """The rows of the sheet of that name, or of the first visible one. Raises :class:`UnreadableTable`.

    ``most_bytes``: how much the archive may hold when unpacked.
    """
    check_archive(path, most_bytes=most_bytes)
    header = None
    for number, cells in enumerate(_sheet(path, sheet).iter_rows(), start=1):
        values = [_value(cell) for cell in cells]
        if header is None:
            if any(value != "" for value in values):
                header = Header([_name(value) for value in values])
            continue
        row = header.row(number, values)
        if row is not None:
            yield row
    if header is None:
        raise UnreadableTable("The sheet is empty.", "empty")


def check_archive(path: Path, *, most_bytes: int) -> None:
    """Refuse what would grow too large: no reader unpacks more than the archive's directory announces."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise UnreadableTable("The file is not a whole XLSX file.", "not_xlsx") from None
    if len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > most_bytes:
        raise UnreadableTable(f"Unpacked, the file has more than {most_bytes} bytes.", "unpacked_too_large")
    if "xl/workbook.xml" not in {part.filename for part in parts}:
        raise UnreadableTable("The file is not an XLSX file.", "not_xlsx")


def _sheet(path: Path, name: str | None) -> CalamineSheet:
    try:
        book = CalamineWorkbook.from_path(path)
        tables = [one for one in book.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet]
        shown = [one.name for one in tables if one.visible == SheetVisibleEnum.Visible]
        if name is not None and name not in {one.name for one in tables}:
            raise UnreadableTable("The file has no sheet of this name.", "unknown_sheet")
        if name is None and not shown:
            raise UnreadableTable("The file has no visible sheet.", "unknown_sheet")
        sheet = book.get_sheet_by_name(name if name is not None else shown[0])
    except (CalamineError, OSError, ValueError):
        raise UnreadableTable("The file is not a whole XLSX file.", "not_xlsx") from None
    if sheet.width > 2 * MOST_COLUMNS:
        raise UnreadableTable(f"The sheet has more than {2 * MOST_COLUMNS} columns.", "row_too_wide")
    return sheet


def _value(cell: Any) -> str | int | float | bool:
    if isinstance(cell, str):
        if len(cell) > LONGEST_CELL:
            raise UnreadableTable(f"A cell has more than {LONGEST_CELL} characters.", "cell_too_long")
        return restored(cell)
    if isinstance(cell, bool | int):
        return cell
    if isinstance(cell, float):
        return plain_number(cell)
    if isinstance(cell, datetime) and cell.time() == time():
        return cell.date().isoformat()
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    return str(cell) if isinstance(cell, timedelta) else ""


def _name(value: str | int | float | bool) -> str:
    return value if isinstance(value, str) else str(value)

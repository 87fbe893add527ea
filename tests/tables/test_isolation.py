"""The processes that handle strangers' files: they answer, they refuse, and they die alone."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from batches.tables import isolation
from batches.tables.isolation import cut_table, write_xlsx
from batches.tables.reading import ReadingOptions
from batches.tables.rows import UnreadableTable

CUTTING: dict[str, Any] = {"chunk_rows": 10, "most_rows": 100, "identity": [], "plain_identity": ["key"]}


def cut(tmp_path: Path, content: bytes, name: str) -> Any:
    path = tmp_path / name
    path.write_bytes(content)
    return cut_table(path, tmp_path / "rows", ReadingOptions(name=name), CUTTING)


def test_a_table_is_cut_and_written_again(tmp_path: Path) -> None:
    table = cut(tmp_path, "key,ü\n1,=x\n2,b\n".encode(), "t.csv")
    assert (table.columns, table.rows, table.typed, len(table.chunks)) == (["key", "ü"], 2, False, 1)
    (tmp_path / "lines").write_bytes(b'{"key": "1", "title": "=x"}\n')
    assert write_xlsx(tmp_path / "lines", tmp_path / "t.xlsx", ["key", "title"]) == {"rows": 1}
    again = cut(tmp_path, (tmp_path / "t.xlsx").read_bytes(), "t.xlsx")
    assert (again.columns, again.rows) == (["key", "title"], 1)


def test_a_refusal_comes_back(tmp_path: Path) -> None:
    with pytest.raises(UnreadableTable) as refused:
        cut(tmp_path, b"", "t.csv")
    assert refused.value.code == "empty"


def corners() -> bytes:
    """A few kilobytes that ask for a table of a million rows and sixteen thousand columns."""
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer) as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "key")
        sheet.write(1_048_575, 16_383, "x")
    return buffer.getvalue()


def test_a_sheet_with_a_cell_in_its_last_corner_costs_no_memory_here(tmp_path: Path) -> None:
    with pytest.raises(UnreadableTable) as refused:
        cut(tmp_path, corners(), "t.xlsx")
    assert refused.value.code in {"unreadable", "row_too_wide"}


def test_one_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "LONGEST_SECONDS", 0.01)
    with pytest.raises(UnreadableTable) as refused:
        cut(tmp_path, b"a\n1", "t.csv")
    assert refused.value.code == "too_slow"


def test_it_finds_no_variable_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    variables = isolation.run("tests.tables.variables", {})["variables"]
    assert variables["TMPDIR"] == str(tmp_path)
    assert not {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"} & variables.keys()

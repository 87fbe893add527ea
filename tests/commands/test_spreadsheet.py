"""CSV files: safe in a spreadsheet, and whole or not there."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from batches.commandline.spreadsheet import require_writable, safe_cell, write_csv


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\tx", "\r=1", "=", "+12025550101=1"])
def test_a_formula_gets_a_quote(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("cell", ["", "plain", "a=b", "+12025550101", "-5.5", -5, None, "★"])
def test_everything_else_is_left_alone(cell: object) -> None:
    assert safe_cell(cell) == cell


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    rows: list[list[object]] = [["a, b", 'say "x"', "two\nlines"], ["=1", "é", 5]]
    assert write_csv(path, ["one", "two", "three"], rows) == 2
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["one", "two", "three"], ["a, b", 'say "x"', "two\nlines"], ["'=1", "é", "5"]]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")

    def broken() -> Iterator[list[object]]:
        yield ["new"]
        raise OSError(28, "No space left on device")

    with pytest.raises(CommandError, match="No space left"):
        write_csv(path, ["one"], broken())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_refused_before(tmp_path: Path) -> None:
    require_writable(None)
    require_writable(tmp_path / "out.csv")
    for path in (tmp_path, tmp_path / "gone" / "out.csv"):
        with pytest.raises(CommandError, match="cannot write"):
            require_writable(path)

"""Reading tables as people write them, and refusing what is none."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from batches.tables.chunks import Cutter, read_chunk
from batches.tables.reading import ReadingOptions, open_table
from batches.tables.rows import MOST_COLUMNS, UnreadableTable


def read(tmp_path: Path, content: bytes, name: str = "t.csv", **options: Any) -> list[tuple[int, dict[str, Any]]]:
    path = tmp_path / "table"
    path.write_bytes(content)
    table = open_table(path, ReadingOptions(name=name, **options))
    return [(row.number, dict(row.cells)) for row in table.rows]


def refusal(tmp_path: Path, content: bytes, name: str = "t.csv", **options: Any) -> str:
    with pytest.raises(UnreadableTable) as refused:
        read(tmp_path, content, name, **options)
    return refused.value.code


def xlsx(*sheets: list[list[Any]], **visible: bool) -> bytes:
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"strings_to_formulas": False}) as book:
        for index, rows in enumerate(sheets):
            sheet = book.add_worksheet(f"s{index}")
            if not visible.get(f"s{index}", True):
                sheet.hide()
            elif not visible.get("s0", True):
                sheet.activate()  # the first one is, and an active sheet is not hidden
            for number, row in enumerate(rows):
                for column, value in enumerate(row):
                    if isinstance(value, tuple):
                        sheet.write_formula(number, column, value[0], None, value[1])
                    elif hasattr(value, "isoformat"):
                        sheet.write_datetime(number, column, value, book.add_format({"num_format": "yyyy-mm-dd"}))
                    else:
                        sheet.write(number, column, value)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        "a,b\nä,1\n".encode(),
        b"\xef\xbb\xbfa,b\r\n\xc3\xa4,1\r\n",
        "a;b\nä;1".encode(),
        "a\tb\r\nä\t1\r\n".encode(),
        "a|b\nä|1".encode(),
        "sep=;\r\na;b\r\nä;1\r\n".encode(),
        "a,b\nä,1\n".encode("utf-16"),
        "a;b\rä;1\r".encode("windows-1252"),
        '"a","b"\n"ä","1"\n'.encode("utf-8-sig"),
        "\n\na,b\n\nä,1\n,\n".encode(),
    ],
)
def test_csv_as_spreadsheets_write_it(tmp_path: Path, content: bytes) -> None:
    assert [cells for _, cells in read(tmp_path, content)] == [{"a": "ä", "b": "1"}]


def test_rows_are_numbered_as_a_spreadsheet_numbers_them(tmp_path: Path) -> None:
    content = b'a,b\n1,"two\nlines"\n\n3,4\n'
    assert read(tmp_path, content) == [(2, {"a": "1", "b": "two\nlines"}), (4, {"a": "3", "b": "4"})]
    assert read(tmp_path, b"sep=,\na\n1") == [(3, {"a": "1"})]


def test_a_delimiter_inside_quotes_does_not_count(tmp_path: Path) -> None:
    assert read(tmp_path, b'"a,b,c";d\n1;2') == [(2, {"a,b,c": "1", "d": "2"})]


def test_what_is_said_is_not_guessed(tmp_path: Path) -> None:
    assert read(tmp_path, "a,b;c\nя,1;2".encode("windows-1251"), encoding="windows-1251", delimiter=",") == [
        (2, {"a": "я", "b;c": "1;2"})
    ]
    assert read(tmp_path, b'{"a": 1}', "x.csv", format="jsonl") == [(1, {"a": 1})]


def test_a_guess_is_said(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes("a\nä".encode("windows-1252"))
    assert open_table(path, ReadingOptions()).warnings == ["The file is not UTF-8: it was read as windows-1252."]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"a\n\x81", "unknown_encoding"),
        (b'a,b\n"x"y,1', "broken_quotes"),
        (b'a\n"open', "broken_quotes"),
        (b'a\n"' + b"x" * 1_100_000, "cell_too_long"),
        (b"a\n" + b"," * 2 * MOST_COLUMNS, "row_too_wide"),
        (b",".join(b"c%d" % number for number in range(MOST_COLUMNS + 1)), "too_many_columns"),
        (b"a" * 300 + b"\n1", "column_name"),
        (b"a,b,a\n1,2,3", "duplicate_column"),
        (b"", "empty"),
        (b"\n,,\n", "empty"),
    ],
)
def test_csv_that_is_refused(tmp_path: Path, content: bytes, code: str) -> None:
    assert refusal(tmp_path, content) == code


def test_csv_in_another_encoding_than_was_said(tmp_path: Path) -> None:
    assert refusal(tmp_path, b"a\n\xff", encoding="utf-8") == "unknown_encoding"


@pytest.mark.parametrize(
    "content",
    [
        b'[{"a": 1e2, "b": [null]}]',
        b'\xef\xbb\xbf {"total": {"records": []}, "records": [{"a": 100, "b": [null]}], "next": null}',
    ],
)
def test_json(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path, content, "t.json") == [(1, {"a": 100, "b": [None]})]


@pytest.mark.parametrize("content", [b"[]", b"{}", b'{"rows": [{}]}', b'{"records": {}}', b"5", b""])
def test_json_without_a_list_of_objects(tmp_path: Path, content: bytes) -> None:
    assert refusal(tmp_path, content, "t.json") in {"empty", "invalid_json"}


@pytest.mark.parametrize(
    "content",
    [
        b'[{"a": 1}, ',
        b'[{"a": NaN}]',
        b'[{"a": 1e999}]',
        b'[{"a": "\xff"}]',
        b"[" * 10_000,
        b'{"a":' * 10_000,
        b'[{"a": 1}] nonsense',
    ],
)
def test_json_that_is_broken(tmp_path: Path, content: bytes) -> None:
    assert refusal(tmp_path, content, "t.json") == "invalid_json"


def test_whole_numbers_of_any_size_survive(tmp_path: Path) -> None:
    number = 123456789012345678901234567890
    assert read(tmp_path, b'[{"a": %d}]' % number, "t.json") == [(1, {"a": number})]


def test_lines_over_the_limit(tmp_path: Path) -> None:
    assert refusal(tmp_path, b'{"a": "' + b"x" * 3_000_000 + b'"}', "t.jsonl") == "line_too_long"


def test_xlsx_reads_values(tmp_path: Path) -> None:
    from datetime import datetime

    rows: list[list[Any]] = [
        ["a", "b", "c", "d", "e", "f"],
        [1, 2.5, "=x", ("=1+1", 2), datetime(2025, 1, 31), True],
        [],
        [("=1/0", "#DIV/0!"), "'=y", " z ", datetime(2025, 1, 31, 9, 30), "", 10**15],
    ]
    assert read(tmp_path, xlsx(rows), "t.xlsx") == [
        (2, {"a": 1, "b": 2.5, "c": "=x", "d": 2, "e": "2025-01-31", "f": True}),
        (4, {"a": "", "b": "=y", "c": " z ", "d": "2025-01-31T09:30:00", "e": "", "f": 10**15}),
    ]


def test_xlsx_by_the_sheet(tmp_path: Path) -> None:
    content = xlsx([["hidden"], [1]], [["a"], [1]], [["b"], [2]], s0=False)
    assert read(tmp_path, content, "t.xlsx") == [(2, {"a": 1})]
    assert read(tmp_path, content, "t.xlsx", sheet="s2") == [(2, {"b": 2})]
    assert refusal(tmp_path, content, "t.xlsx", sheet="s3") == "unknown_sheet"


def test_xlsx_is_known_by_its_bytes(tmp_path: Path) -> None:
    assert read(tmp_path, xlsx([["a"], [1]]), "noname") == [(2, {"a": 1})]


def bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"")
        archive.writestr("xl/worksheets/sheet1.xml", b" " * 50_000_000)
    return buffer.getvalue()


def many_parts() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(5_001):
            archive.writestr(str(number), b"")
    return buffer.getvalue()


def other_archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", b"<a/>")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (bomb(), "unpacked_too_large"),
        (many_parts(), "unpacked_too_large"),
        (other_archive(), "not_xlsx"),
        (xlsx([["a"], [1]])[:-40], "not_xlsx"),
        (b"\xd0\xcf\x11\xe0" + b"0" * 600, "not_xlsx"),
        (xlsx([]), "empty"),
        (xlsx([["a"] * 2]), "duplicate_column"),
        (xlsx([[f"c{number}" for number in range(2 * MOST_COLUMNS + 1)]]), "row_too_wide"),
    ],
)
def test_xlsx_that_is_refused(tmp_path: Path, content: bytes, code: str) -> None:
    assert refusal(tmp_path, content, "t.xlsx", most_bytes=40_000_000) == code


def test_chunks_can_be_found_again(tmp_path: Path) -> None:
    path, rows = tmp_path / "t.csv", tmp_path / "rows"
    path.write_bytes(b"Key,n\n" + b"".join(b"k%d,%d\n" % (number % 4, number) for number in range(7)))
    with rows.open("wb") as output:
        cutter = Cutter(output, chunk_rows=3, most_rows=10, identity=[], plain_identity=["key", "id"])
        chunks = cutter.cut(open_table(path, ReadingOptions(name="t.csv")).rows)
    assert [(chunk.first, chunk.last, chunk.rows, chunk.duplicates) for chunk in chunks] == [
        (2, 4, 3, {}),
        (5, 7, 3, {"6": 2, "7": 3}),
        (8, 8, 1, {"8": 4}),
    ]
    with rows.open("rb") as file:
        assert [row.cells["n"] for row in read_chunk(file, chunks[1].offset, chunks[1].length)] == ["3", "4", "5"]

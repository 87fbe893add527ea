"""No text is run as a formula, and every value comes back as it was."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batches.tables.cells import cell_of, neutral, restored, value_of
from batches.tables.sheet import LONGEST_CELL, fitted
from batches.tables.writing import joined, separated

RISKY = "=+-@\t\r\n＝＋－＠'"
texts = st.one_of(st.text(), st.text(alphabet=RISKY + "1a"))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=5,
)


@given(texts)
def test_a_neutral_text_is_no_formula_and_comes_back(text: str) -> None:
    cell = neutral(text)
    assert not cell.startswith(tuple("=+-@\t\r\n"))
    assert restored(cell) == text


@pytest.mark.parametrize(
    ("text", "cell"),
    [("=1+1", "'=1+1"), ("'=1", "''=1"), ("'quoted'", "'quoted'"), ("a=b", "a=b"), ("", ""), ("+49 228", "'+49 228")],
)
def test_neutral_texts(text: str, cell: str) -> None:
    assert neutral(text) == cell


@given(values)
def test_a_value_comes_back_from_its_cell(value: Any) -> None:
    cell = cell_of(value)
    assert cell != ""
    assert value_of(cell) == value
    assert type(value_of(cell)) is type(value)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("5", 5),
        ("0123", "0123"),
        ("true", True),
        ("True", "True"),
        ("NaN", "NaN"),
        ('"5"', "5"),
        ("[1", "[1"),
        ("-", "-"),
    ],
)
def test_what_a_cell_says(cell: str, value: Any) -> None:
    assert value_of(cell) == value


@given(st.lists(st.text(min_size=1), unique=True))
def test_tags_come_back(tags: list[str]) -> None:
    assert separated(joined(tags)) == tags


@pytest.mark.parametrize(
    ("text", "tags"), [("a, b", ["a", "b"]), ("a;b c", ["a", "b c"]), (" ", []), ('["a,b"]', ["a,b"]), ("[a", None)]
)
def test_tags_as_people_write_them(text: str, tags: list[str] | None) -> None:
    assert separated(text) == tags


@pytest.mark.parametrize("text", ["a" * (LONGEST_CELL + 1), "😀" * 16_384, "a" * LONGEST_CELL, "😀" * 16_383])
def test_a_long_text_is_cut_to_what_a_cell_holds(text: str) -> None:
    assert text.startswith(fitted(text))
    assert LONGEST_CELL - 1 <= len(fitted(text).encode("utf-16-le")) // 2 <= LONGEST_CELL

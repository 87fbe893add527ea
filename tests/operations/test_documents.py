"""JSON from outside: the quick reader takes nothing that the strict one refuses, and reads nothing otherwise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batches.operations import documents
from batches.operations.documents import NotAnObject, read_object
from batches.problems import InvalidInput

NAMES = st.sampled_from(["a", "b", ":", '":', "", "ä", '"', "\\", " "])
NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**30, 1e18, 1e19, 1e308])
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, NAMES, st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.lists(st.tuples(NAMES, inner), max_size=3)),
    max_leaves=8,
)
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=4)


def written(value: Any, colon: str) -> str:
    """As JSON; lists of pairs are objects, which may hold a name twice."""
    if isinstance(value, list) and (not value or isinstance(value[0], tuple)):
        return "{" + ", ".join(f"{json.dumps(name)}{colon}{written(inner, colon)}" for name, inner in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(written(inner, colon) for inner in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def outcome(content: bytes, read: Any) -> tuple[str, Any]:
    try:
        return "read", repr(read(content))
    except (NotAnObject, InvalidInput) as error:
        return type(error).__name__, str(error)


@given(pairs=PAIRS, colon=st.sampled_from([":", ": ", " :", "\t: "]))
@example(pairs=[("a", 1), ("a", 2)], colon=" :")
@example(pairs=[("a", ":"), ("a", ":")], colon=":")
@example(pairs=[("a", 10**30)], colon=": ")
def test_both_readers_agree(pairs: list[tuple[str, Any]], colon: str) -> None:
    content = written(pairs, colon).encode("utf-8", "surrogatepass")
    strict = outcome(content, documents._read_strictly)
    quick = documents._read_quickly(content)
    if quick is not None:
        assert strict == ("read", repr(quick))


@pytest.mark.parametrize(
    "content",
    [b'{"a":1}', b'{"id": "i1", "filename": "1.jpg", "url": "https://example.com/photos/1.jpg"}', b'{"a":[{"b":{}}]}'],
)
def test_what_clients_usually_send_is_read_quickly(content: bytes) -> None:
    assert documents._read_quickly(content) == json.loads(content)


@pytest.mark.parametrize(
    "content",
    [b'{"a":1,"a":2}', b'{"a":1,"a" :2}', b'{"b":[{"a":1,"a":2}]}', b'{"a":NaN}', b'{"a":1e999}', b'{"a":"\\u0000"}',
     b'{"a":"\\ud800"}'],
)  # fmt: skip
def test_what_must_not_be_stored_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_object(content)


@pytest.mark.parametrize("content", [b"", b"[]", b"1", b'{"a":1', b"\xff", b'\xef\xbb\xbf{"a":1}', b"[" * 100_000])
def test_what_is_no_object_is_none(content: bytes) -> None:
    with pytest.raises(NotAnObject):
        read_object(content)


def test_integers_keep_all_their_digits() -> None:
    assert read_object(b'{"a":123456789012345678901234567890}') == {"a": 123456789012345678901234567890}

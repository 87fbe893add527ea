"""The vectors are those of Twilio's own calculator."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.sms.segments import LIMITS, Encoding, segments

VECTORS = [
    ("", 1),
    ("a" * 160, 1),
    ("a" * 161, 2),
    ("a" * 306, 2),
    ("a" * 307, 3),
    ("a" * 158 + "€", 1),
    ("a" * 159 + "€", 2),
    ("a" * 152 + "€" + "a" * 151, 2),
    ("a" * 152 + "€" + "a" * 152, 3),
    ("ж" * 70, 1),
    ("ж" * 71, 2),
    ("ж" * 134, 2),
    ("ж" * 135, 3),
    ("😀" * 35, 1),
    ("😀" * 36, 2),
    ("ж" * 66 + "😀" + "ж" * 65, 2),
    ("ж" * 66 + "😀" + "ж" * 66, 3),
    ("Ç" * 160, 1),
    ("ç" * 71, 2),
]


@pytest.mark.parametrize(("text", "number"), VECTORS)
def test_a_text_is_billed_as_its_provider_does(text: str, number: int) -> None:
    assert segments(text).number == number


@pytest.mark.parametrize("odd", ["`", "\t", "ç", "“", "”", "’", "😀", "ж"])
def test_one_odd_character_changes_the_whole_text(odd: str) -> None:
    assert segments("a" * 100 + odd).encoding == Encoding.UCS_2
    assert segments("a" * 100).encoding == Encoding.GSM_7


@pytest.mark.parametrize("double", "^{}\\[]~|€\f")
def test_the_second_table_takes_two_units(double: str) -> None:
    assert (segments(double).encoding, segments(double).units) == (Encoding.GSM_7, 2)


@given(st.text(max_size=800))
def test_no_text_needs_more_than_a_unit_of_padding_a_message(text: str) -> None:
    counted = segments(text)
    whole, part = LIMITS[counted.encoding]
    if counted.units <= whole:
        assert counted.number == 1
    else:
        assert -(-counted.units // part) <= counted.number <= -(-counted.units // (part - 1))

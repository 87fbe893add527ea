"""How many messages a text is billed as: the encodings of GSM 03.38.

A text of the 7-bit alphabet takes 160 units, or 153 each when it is split; a single other character makes all of it
UCS-2, which takes 70 or 67 units of 16 bits. A character of two units is never split between two messages.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

ONE_UNIT = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
TWO_UNITS = frozenset("^{}\\[~]|€\f")


class Encoding(StrEnum):
    """How a text travels."""

    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


LIMITS = {Encoding.GSM_7: (160, 153), Encoding.UCS_2: (70, 67)}
"""Units of a text that is one message, and of each message of a longer one."""


@dataclass(frozen=True, slots=True)
class Segments:
    """What a text costs. ``units``: of its encoding, 7 or 16 bits each."""

    number: int
    encoding: Encoding
    units: int


def segments(text: str) -> Segments:
    """Count a text's messages; the empty text is one."""
    characters = set(text)
    if characters <= ONE_UNIT:
        widths = [1] * len(text)
        encoding = Encoding.GSM_7
    elif characters <= ONE_UNIT | TWO_UNITS:
        widths = [2 if character in TWO_UNITS else 1 for character in text]
        encoding = Encoding.GSM_7
    else:
        widths = [2 if character > "\uffff" else 1 for character in text]
        encoding = Encoding.UCS_2
    whole, part = LIMITS[encoding]
    units = sum(widths)
    return Segments(1 if units <= whole else _packed(widths, part), encoding, units)


def _packed(widths: Iterable[int], size: int) -> int:
    number, used = 1, 0
    for width in widths:
        if used + width > size:
            number, used = number + 1, 0
        used += width
    return number

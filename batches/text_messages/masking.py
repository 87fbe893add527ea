"""Phone numbers where they are not needed in full: pages and error reports."""

from __future__ import annotations

DIGITS_SHOWN = 3


def masked(number: str) -> str:
    """A phone number of which only the last digits can be read."""
    return "•" * max(0, len(number) - DIGITS_SHOWN) + number[-DIGITS_SHOWN:]

"""The words with which people end and begin messages, of all providers: the whole text is one of them, or none is."""

from __future__ import annotations

from enum import StrEnum

STOP = frozenset(
    {
        *("STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT", "OPT-OUT"),
        *("ARRET", "ARRÊT", "REMOVE", "TD"),
    }
)
START = frozenset({"START", "YES", "UNSTOP"})
LONGEST = 32


class Wish(StrEnum):
    """What a person wants of us."""

    STOP = "stop"
    START = "start"


def keyword_of(text: str) -> str:
    """The word that a text is as a whole, in capitals; empty for any other text."""
    word = " ".join(text[: 4 * LONGEST].split()).upper().strip(".!\"'")
    return word if word in STOP or word in START else ""


def wish_of(keyword: str) -> Wish | None:
    """What a word of :func:`keyword_of` asks for."""
    if not keyword:
        return None
    return Wish.STOP if keyword in STOP else Wish.START

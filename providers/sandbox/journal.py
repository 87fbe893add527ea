"""The list of every request received: the witness in tests.

A million entries must cost neither much memory nor the garbage collector's time, so an entry is one line of
encoded JSON, without its end, plus two numbers in arrays.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from json.encoder import encode_basestring_ascii
from typing import Any

ENTRIES_PER_CHUNK = 2000


def _quoted(text: str | None) -> str:
    return "null" if text is None else encode_basestring_ascii(text)


class Journal:
    """Append-only; emptied by putting a new one in its place, so that late answers cannot hit another's entry."""

    def __init__(self) -> None:
        self._heads: list[bytes] = []
        self._statuses = array("h")
        self._accepted = bytearray()

    def __len__(self) -> int:
        return len(self._heads)

    def open(
        self,
        at: float,
        path: str,
        *,
        provider: str | None = None,
        reference: str | None = None,
        to: str | None = None,
        image: str | None = None,
    ) -> int:
        """Write down an arrival; returns the number of the entry."""
        self._heads.append(
            f'{{"at": {at:.6f}, "path": {_quoted(path)}, "provider": {_quoted(provider)}, '
            f'"reference": {_quoted(reference)}, "to": {_quoted(to)}, "image": {_quoted(image)}'.encode()
        )
        self._statuses.append(0)
        self._accepted.append(0)
        return len(self._heads) - 1

    def accept(self, entry: int) -> None:
        """The provider would have acted on it."""
        self._accepted[entry] = 1

    def answered(self, entry: int, status: int) -> None:
        self._statuses[entry] = status

    def chunks(self, since: int = 0) -> Iterator[bytes]:
        """The entries from number ``since`` on as a JSON list, in pieces."""
        end = len(self._heads)
        yield b"["
        for start in range(since, end, ENTRIES_PER_CHUNK):
            lines = [self._line(number) for number in range(start, min(end, start + ENTRIES_PER_CHUNK))]
            yield (b",\n" if start > since else b"") + b",\n".join(lines)
        yield b"]"

    def _line(self, number: int) -> bytes:
        status: Any = self._statuses[number] or "null"
        accepted = "true" if self._accepted[number] else "false"
        return self._heads[number] + f', "status": {status}, "accepted": {accepted}}}'.encode()

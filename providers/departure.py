"""When a call may leave: the last word before its first byte.

Whoever is responsible for the moment of a call, as the engine is for the slot it has reserved, lays a departure
around it. The HTTP door connects first, handshake included, and asks then, so nothing slow is left between the word
and the first byte. An adapter that speaks through the door has no line about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Departure = Callable[[], None]
"""Returns when the call may leave now, however long that takes; raises when it must not leave at all."""

_awaited: ContextVar[Departure | None] = ContextVar("departure", default=None)


@contextmanager
def departing(departure: Departure) -> Iterator[None]:
    """The first request of this greenlet or thread within the block awaits the departure; later ones follow freely."""
    token = _awaited.set(departure)
    try:
        yield
    finally:
        _awaited.reset(token)


@contextmanager
def guarded(guard: Departure) -> Iterator[None]:
    """Every request within the block asks the guard, which raises where nothing may leave any more."""

    def departure() -> None:
        _awaited.set(departure)
        guard()

    with departing(departure):
        yield


def depart() -> bool:
    """For the door: call it when all that is missing is the first byte. Returns whether there was anything to await."""
    departure = _awaited.get()
    if departure is None:
        return False
    _awaited.set(None)
    departure()
    return True

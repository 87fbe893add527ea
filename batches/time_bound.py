"""A bound on how long a computation may take, in a process where nothing else could interrupt it.

A greenlet that computes stops every other one; a pattern such as ``(a+)+$`` computes for centuries. A timer of the
operating system interrupts it: Python looks for signals between any two steps, and so does its regular expression
engine inside of a match. The timer counts the CPU time of the process: on a busy machine a computation that is
harmless may take long by the clock.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TooSlow(BaseException):
    """The computation was interrupted. Not an ``Exception``, so that no library on the way swallows it."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise :class:`TooSlow` when the block takes more CPU. Only in the main thread, where greenlets run as well.

    The block must compute and nothing else: no switch to another greenlet, which the timer would hit instead.
    """
    inside = True

    def interrupt(number: int, frame: FrameType | None) -> None:
        if inside:  # a signal that was on its way when the block ended interrupts nobody
            raise TooSlow

    before = signal.signal(signal.SIGVTALRM, interrupt)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        inside = False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)

"""A bound on how long a computation may take, in a process where nothing else could interrupt it.

A greenlet that computes stops every other one; a pattern such as ``(a+)+$`` computes for centuries. A timer of the
operating system interrupts it: Python looks for signals between any two steps, and so does its regular expression
engine inside of a match. The timer counts the CPU time of the process: on a busy machine a computation that is
harmless may take long by the clock.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType

AGAIN_SECONDS = 0.05
"""An interrupt can be lost: what is raised within a destructor or a tracer, Python prints and drops. The next one
comes after so much more CPU."""


class TooSlow(BaseException):
    """The computation was interrupted. Not an ``Exception``, so that no library on the way swallows it."""


class at_most:  # noqa: N801 - reads as a phrase: with at_most(seconds)
    """Raise :class:`TooSlow` when the block takes more CPU. Only in the main thread, where greenlets run as well.

    The block must compute and nothing else: no switch to another greenlet, which the timer would hit instead.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._inside = False

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGVTALRM, self._interrupt)
        self._inside = True
        signal.setitimer(signal.ITIMER_VIRTUAL, self._seconds, AGAIN_SECONDS)

    def __exit__(self, *raised: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._inside = False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, self._before)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        leaving = frame is not None and frame.f_code is at_most.__exit__.__code__
        if self._inside and not leaving:  # a signal that was on its way when the block ended interrupts nobody
            raise TooSlow

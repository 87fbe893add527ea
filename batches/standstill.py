"""Ends a process that stands still: the last resort, for what nothing inside its own loop could notice.

A thread of the operating system, which gevent knows nothing of, counts seconds without a beat. It counts its own
ticks and not the clock: a process that was stopped (SIGSTOP, a frozen virtual machine) and goes on did not stand still.
"""

from __future__ import annotations

import faulthandler
import os
from typing import NoReturn

import gevent.monkey

EXIT_CODE = os.EX_TEMPFAIL
"""By which supervisors see that the process gave up and wants to be started again."""
TICK_SECONDS = 1.0
STANDARD_ERROR = 2

_start_thread = gevent.monkey.get_original("_thread", "start_new_thread")
_sleep = gevent.monkey.get_original("time", "sleep")


class Alarm:
    """Rings when nobody called :meth:`beat` for ``seconds``: the traceback of every thread, and the end."""

    def __init__(self, seconds: float) -> None:
        self._ticks_allowed = max(1, round(seconds / TICK_SECONDS))
        self._beats = 0
        self._is_on = False
        self._ticks_left: int | None = None

    def start(self) -> None:
        """Begin to count."""
        self._is_on = True
        _start_thread(self._count, ())

    def beat(self) -> None:
        """Say that the process goes on."""
        self._beats += 1

    def end_within(self, seconds: float) -> None:
        """Whatever happens, also if it goes on beating."""
        self._ticks_left = max(1, round(seconds / TICK_SECONDS))

    def stop(self) -> None:
        """The process ends in order; nobody beats any more."""
        self._is_on = False

    def _count(self) -> None:
        heard, silent = -1, 0
        while True:
            _sleep(TICK_SECONDS)
            if self._ticks_left is not None:
                self._ticks_left -= 1
                if self._ticks_left <= 0:
                    end_now("it did not end in order")
            if not self._is_on:
                continue
            silent = silent + 1 if self._beats == heard else 0
            heard = self._beats
            if silent >= self._ticks_allowed:
                end_now(f"its loop has stood still for {silent * TICK_SECONDS:.0f} s")


def end_now(why: str) -> NoReturn:
    """End this process at once. Writes to the descriptor itself: a lock of logging may be what everybody waits for."""
    os.write(STANDARD_ERROR, f"Process {os.getpid()} ends itself: {why}. Where it stands:\n".encode())
    faulthandler.dump_traceback(STANDARD_ERROR, all_threads=True)
    os._exit(EXIT_CODE)

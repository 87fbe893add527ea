"""When the sandbox itself stood still: what arrived meanwhile bears the time of its waking, not its own."""

from __future__ import annotations

import asyncio
import time
from collections import deque

TICK_SECONDS = 0.05
LEAST_SECONDS = 0.1
REMEMBERED = 1000


class Stalls:
    """Notices that the loop ran late: a machine without a core to spare, or a process that was stopped."""

    def __init__(self) -> None:
        self._stalls: deque[tuple[float, float]] = deque(maxlen=REMEMBERED)
        self._task: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Begin, with the first call: there is no loop before."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._tick())

    def as_list(self) -> list[tuple[float, float]]:
        """Each stall's beginning and end, as the journal's ``at``."""
        return list(self._stalls)

    async def _tick(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(TICK_SECONDS)
            late = time.monotonic() - began - TICK_SECONDS
            if late > LEAST_SECONDS:
                now = time.time()
                self._stalls.append((now - late - TICK_SECONDS, now))

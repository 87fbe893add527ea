"""At most so many permits in any window of time."""

from __future__ import annotations

import asyncio
from collections import deque


class RateLimiter:
    """Grants at most ``limit`` permits in *any* window of ``window_seconds``, in the order they were asked for.

    The first ``limit`` come at once, the next one a window after the first: no minute, wherever it is laid, holds
    more than ``limit``. A waiter that is cancelled takes nothing. ``limit`` None grants without end, but pauses.
    One limiter serves one event loop at a time, and any number of loops one after the other.
    """

    def __init__(self, limit: int | None, window_seconds: float = 60.0) -> None:
        if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
            raise ValueError("limit must be a whole number of at least 1, or None")
        if not 0 < window_seconds < float("inf"):
            raise ValueError("window_seconds must be above 0 and finite")
        self.limit = limit
        self.window_seconds = window_seconds
        self._granted: deque[float] = deque(maxlen=limit or 0)
        self._paused_until = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = asyncio.Lock()
        self._sleeper: asyncio.Future[None] | None = None

    async def acquire(self) -> None:
        """Return once the caller may make one call."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # a lock belongs to the loop in which it was first waited for
            self._loop, self._turn, self._sleeper = loop, asyncio.Lock(), None
        async with self._turn:
            while (wait := self._next_permit_at() - loop.time()) > 0:
                await self._sleep(loop, wait)
            self._granted.append(loop.time())

    def reset(self) -> None:
        """Forget every permit granted so far and any pause: a whole window is free at once, also for who waits."""
        self._granted.clear()
        self._paused_until = 0.0
        self._wake()

    def pause(self, seconds: float) -> None:
        """Grant nothing for so long, as a server asks with Retry-After; a longer pause in force stays."""
        now = asyncio.get_running_loop().time()
        self._paused_until = max(self._paused_until, now + seconds)

    def _next_permit_at(self) -> float:
        if len(self._granted) == self.limit:
            return max(self._paused_until, self._granted[0] + self.window_seconds)
        return self._paused_until

    async def _sleep(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """Until the time has passed or :meth:`reset` wakes the one whose turn it is."""
        self._sleeper = loop.create_future()
        alarm = loop.call_later(seconds, self._wake)
        try:
            await self._sleeper
        finally:
            alarm.cancel()
            self._sleeper = None

    def _wake(self) -> None:
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

"""An event loop whose time jumps to the next timer: minutes pass in microseconds, and exactly."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Selector(selectors.SelectSelector):
    """Does not wait for time to pass: tells the loop that it has."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "every task waits for something that nobody will do"
            self.loop.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop, with a clock that starts at 1000 s."""

    def __init__(self) -> None:
        self.now = 1000.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run it to its end in virtual time; a task that is left running fails the test."""

    async def watched() -> Result:
        before = asyncio.all_tasks()
        try:
            return await coroutine
        finally:
            left = asyncio.all_tasks() - before
            assert not left, f"left running: {left}"

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(watched())


def now() -> float:
    """Seconds since the virtual loop began."""
    return asyncio.get_running_loop().time() - 1000.0

"""Delivery receipts and people's answers, posted as each provider does: signed, sent once, failures ignored."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from providers.sandbox.shares import Check, draw_of, is_number, problem_of_settings, problem_of_shares

AT_ONCE = 64
TIMEOUT_SECONDS = 15
FAULTS = ("lost", "repeated", "reordered", "early", "forged")
"""A message of which nothing is told; each receipt twice; the last one first; the first before the send is answered;
each signed by somebody else."""


@dataclass(frozen=True, slots=True)
class Post:
    """A signed request to whoever sent the message."""

    url: str
    body: bytes
    headers: Mapping[str, str]

    def forged(self) -> Post:
        """The same, signed by somebody who does not know the secret: each value ends otherwise."""
        kept = {"Content-Type"}
        return replace(
            self,
            headers={name: value if name in kept else f"{value[:-4]}AAA=" for name, value in self.headers.items()},
        )


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one message: when it is sent, when it ends and how, and what goes wrong with its receipts."""

    sent_after: float
    ended_after: float
    end: str
    error_code: str
    fault: str | None

    def state(self, age: float) -> str | None:
        """Where it stands after so many seconds."""
        if age >= self.ended_after:
            return self.end
        return "sent" if age >= self.sent_after else None


class ReceiptSettings:
    """The current settings."""

    def __init__(self) -> None:
        self.sent_ms: float = 100
        self.ended_ms: float = 300
        self.undelivered_rate: float = 0
        self.error_code: str = ""
        self.faults: dict[str, float] = {}

    def as_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    def change(self, wanted: Mapping[str, Any]) -> None:
        """Take over values that were checked."""
        vars(self).update(wanted)

    def draw(self) -> Fate:
        """What becomes of the next message."""
        undelivered = random.random() < self.undelivered_rate  # noqa: S311
        end, code = ("undelivered", self.error_code) if undelivered else ("delivered", "")
        return Fate(self.sent_ms / 1000, max(self.sent_ms, self.ended_ms) / 1000, end, code, draw_of(self.faults))


def problem_of(wanted: Any) -> str | None:
    """Why these settings are refused."""
    return problem_of_settings(wanted, CHECKS)


def _milliseconds(value: Any) -> str | None:
    return None if is_number(value) and 0 <= value <= 86_400_000 else "must be a number from 0 to 86400000"


def _rate(value: Any) -> str | None:
    return None if is_number(value) and 0 <= value <= 1 else "must be a number from 0 to 1"


def _code(value: Any) -> str | None:
    return None if isinstance(value, str) and len(value) <= 32 else "must be a short text"


def _faults(value: Any) -> str | None:
    return problem_of_shares(value, FAULTS)


CHECKS: Mapping[str, Check] = {
    "sent_ms": _milliseconds,
    "ended_ms": _milliseconds,
    "undelivered_rate": _rate,
    "error_code": _code,
    "faults": _faults,
}


class Receipts:
    """Posts receipts after their time, a bounded number at once."""

    def __init__(self, settings: ReceiptSettings) -> None:
        self.settings = settings
        self._places = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[int]] = set()
        self._waiting: set[asyncio.TimerHandle] = set()
        self.forgotten_with: list[Callable[[], None]] = []
        """What providers do when all messages are to be forgotten."""

    async def tell(self, fate: Fate, receipt: Callable[[str], Post]) -> None:
        """Tell, in time, what becomes of a message; ``receipt`` makes the request that says so of a state."""
        if fate.fault == "lost":
            return
        moments = [(fate.sent_after, "sent"), (fate.ended_after, fate.end)]
        if fate.fault == "reordered":
            moments = [(fate.sent_after, fate.end), (fate.ended_after, "sent")]
        if fate.fault == "repeated":
            moments *= 2
        if fate.fault == "early":
            await self.post(receipt("sent"))
            del moments[0]
        for after, state in moments:
            post = receipt(state).forged() if fate.fault == "forged" else receipt(state)
            self._post_later(after, post)

    def _post_later(self, after: float, post: Post) -> None:
        loop = asyncio.get_running_loop()
        handle: asyncio.TimerHandle = loop.call_later(after, lambda: self._start(post, handle))
        self._waiting.add(handle)

    def _start(self, post: Post, handle: asyncio.TimerHandle) -> None:
        self._waiting.discard(handle)
        task = asyncio.ensure_future(self.post(post))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def forget(self) -> None:
        """Tell nothing more of the messages there were; returns when what is being told was heard."""
        while self._waiting:
            self._waiting.pop().cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for forget in self.forgotten_with:
            forget()

    async def post(self, post: Post) -> int:
        """Post it; returns the status of the answer, 0 where there was none."""
        # A caller whose receipt address is wrong, slow or gone must not disturb the sandbox.
        with contextlib.suppress(OSError, ValueError, IndexError, asyncio.IncompleteReadError):
            async with self._places, asyncio.timeout(TIMEOUT_SECONDS):
                return await _send(post)
        return 0


async def _send(post: Post) -> int:
    address = urlsplit(post.url)
    secure = address.scheme == "https"
    target = (address.path or "/") + (f"?{address.query}" if address.query else "")
    lines = "".join(f"{name}: {value}\r\n" for name, value in post.headers.items())
    head = (
        f"POST {target} HTTP/1.1\r\nHost: {address.netloc}\r\n{lines}"
        f"Content-Length: {len(post.body)}\r\nConnection: close\r\n\r\n"
    )
    port = address.port or (443 if secure else 80)
    reader, writer = await asyncio.open_connection(address.hostname, port, ssl=secure or None)
    try:
        writer.write(head.encode() + post.body)
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()

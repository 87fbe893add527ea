"""One batch from its creation to its end: checked, run line by line as its time passes, and cancelled if asked."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from providers.sandbox.batches.reading import Reader, any_id, checked
from providers.sandbox.batches.settings import BatchSettings
from providers.sandbox.batches.spelling import ENDED, Phase, Problem, Spelling
from providers.sandbox.chat import Chat
from providers.sandbox.journal import Journal
from providers.sandbox.wire import Answer, Request

CHECKED_AFTER = 0.15
RUN_AFTER = 0.9
"""Of the seconds until it is done: when it has been checked, and when all lines have been run."""
LINES_AT_ONCE = 20


@dataclass(slots=True)
class Work:
    """One batch. ``lines``: what was ordered; ``successes`` and ``failures``: what came of it, complete at its end."""

    id: str
    alias: str
    marker: str
    lines: Path
    successes: Path
    failures: Path
    headers: dict[bytes, bytes]
    chat: Chat
    spelling: Spelling
    journal: Journal
    settings: BatchSettings
    refusal: Problem | None = None
    described: dict[str, Any] = field(default_factory=dict)
    """What its provider says of it besides."""
    created: float = field(default_factory=time.time)
    phase: Phase = Phase.CHECKING
    problems: list[Problem] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    """Lines ``succeeded``, ``failed``, ``expired`` and ``cancelled`` so far."""
    total: int = 0
    ended: float | None = None
    cancel_asked: float | None = None
    _cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.ensure_future(self._run())

    def stop(self) -> None:
        """Forget it, whatever it is doing."""
        if self._task is not None:
            self._task.cancel()

    def discard(self) -> None:
        """Forget it, and what came of it."""
        self.stop()
        for path in (self.successes, self.failures):
            path.unlink(missing_ok=True)

    def cancel(self) -> None:
        """Ask for its end."""
        if self.phase not in ENDED and self.cancel_asked is None:
            self.cancel_asked = time.time()
            self.phase = Phase.CANCELLING
            self._cancelled.set()

    @property
    def is_ended(self) -> bool:
        return self.phase in ENDED

    @property
    def pending(self) -> int:
        """Lines of which nothing is known yet."""
        return max(0, self.total - sum(self.counts.values()))

    async def _run(self) -> None:
        began = time.monotonic()
        seconds = self.settings.seconds
        await self._pause(began + CHECKED_AFTER * seconds)
        # The file may be large: reading it must not hold up the answers to others.
        starts, self.problems = await asyncio.get_running_loop().run_in_executor(
            None, checked, self.lines, self.spelling
        )
        if self.refusal is not None:
            self.problems = [self.refusal]
        if self.problems and (self.refusal is not None or self.spelling.refuses_wrong_lines):
            self._end(Phase.REFUSED)
            return
        self.total = len(starts)
        if self.phase is Phase.CHECKING:
            self.phase = Phase.RUNNING
        with self.lines.open("rb") as lines, self.successes.open("wb") as good, self.failures.open("wb") as bad:
            await self._run_lines(Reader(lines, starts), good, bad, began)
        if self.phase is Phase.RUNNING:
            self.phase = Phase.FINISHING
        await self._pause(began + seconds)
        if self.phase is Phase.CANCELLING:
            self._end(Phase.CANCELLED)
        else:
            self._end(Phase.EXPIRED if self.counts["expired"] else Phase.COMPLETED)

    def _end(self, phase: Phase) -> None:
        self.ended = time.time()
        self.phase = phase

    async def _pause(self, until: float) -> None:
        """Wait until a moment, or until somebody asks for the end."""
        delay = until - time.monotonic()
        if delay > 0 and not self._cancelled.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._cancelled.wait()

    async def _run_lines(self, reader: Reader, good: BinaryIO, bad: BinaryIO, began: float) -> None:
        order = list(range(self.total))
        random.shuffle(order)
        span = (RUN_AFTER - CHECKED_AFTER) * self.settings.seconds
        for done, number in enumerate(order):
            due = began + CHECKED_AFTER * self.settings.seconds + span * done / self.total
            if due - time.monotonic() > 0.02:
                await self._pause(due)
            elif done % LINES_AT_ONCE == 0:
                await asyncio.sleep(0)
            line = reader.line(number)
            if self._cancelled.is_set():
                self._write(bad, line, self.spelling.ended, Phase.CANCELLED)
            else:
                await self._run_line(line, good, bad)

    def _write(self, bad: BinaryIO, line: bytes, ended: Callable[[str, Phase], bytes], phase: Phase) -> None:
        custom_id, _, _ = self.spelling.read_line(orjson.loads(line))
        bad.write(ended(custom_id, phase) + b"\n")
        self.counts[phase.value] += 1

    async def _run_line(self, line: bytes, good: BinaryIO, bad: BinaryIO) -> None:
        try:
            custom_id, path, body = self.spelling.read_line(orjson.loads(line))
        except Exception:  # those that refuse no batch for a wrong line
            bad.write(self.spelling.wrong(any_id(line), Problem("invalid_request", "No request.")) + b"\n")
            self.counts["failed"] += 1
            return
        fault = self.settings.draw()
        if fault == "expired":
            self._write(bad, line, self.spelling.ended, Phase.EXPIRED)
            return
        if fault == "missing":
            self.counts["failed"] += 1
            return
        if fault in {"failed", "refused"}:
            answer = self.chat.error(500) if fault == "failed" else self.chat.error(400, permanent=True)
        else:
            answer = await self._answer(custom_id, path, body)
        result = self.spelling.result(custom_id, answer)
        succeeded = answer.status < 300
        file = good if succeeded else bad
        self.counts["succeeded" if succeeded else "failed"] += 1
        file.write((self.spelling.broken(custom_id, result) if fault == "broken" else result) + b"\n")
        if fault == "twice":
            file.write(result + b"\n")
        if fault == "unknown":
            file.write(self.spelling.result(f"stranger-{self.total}-{self.counts.total()}", answer) + b"\n")

    async def _answer(self, custom_id: str, path: str, body: Any) -> Answer:
        """As a fast call would be answered; what is answered well is paid for, so it is written down."""
        call = self.chat.read(Request("POST", path, self.headers, orjson.dumps(body), alias=self.alias))
        answer = call.refusal or await self.chat.act(call)
        if answer.status < 300:
            where = f"/{self.alias}/batches/{self.id}/lines"
            entry = self.journal.open(time.time(), where, provider=self.alias, reference=custom_id, image=call.image)
            self.journal.accept(entry)
            self.journal.answered(entry, answer.status)
        return answer

"""Progress on a terminal as moving bars, anywhere else as a plain line now and then."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from django.utils import timezone
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from batches.commandline.screen import plain, printable
from batches.models import Batch
from batches.states import BatchStatus

PLAIN_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Line:
    """How far one batch is."""

    key: int
    title: str
    status: str
    total: int
    finished: int
    succeeded: int
    failed: int
    cancelled: int
    unknown: int
    rate: float | None
    eta: int | None
    seconds: float
    done: bool

    @classmethod
    def of(cls, batch: Batch, *, rate: float | None, eta: int | None) -> Line:
        """A batch as it was read; it is done when its last item is final and its status says so."""
        return cls(
            key=batch.pk,
            title=printable(batch.name or batch.subject or batch.operation)[:40],
            status=batch.status,
            total=batch.total,
            finished=batch.finished,
            succeeded=batch.succeeded,
            failed=batch.failed,
            cancelled=batch.cancelled,
            unknown=batch.unknown,
            rate=rate,
            eta=eta,
            seconds=batch.seconds_running(timezone.now()),
            done=batch.settled_at is not None,
        )

    @property
    def percent(self) -> int:
        """Rounded down: 100 only with the last item."""
        return self.finished * 100 // self.total if self.total else 100 * self.done

    @property
    def counts(self) -> str:
        """Final items of all; the kinds other than success only where there are any."""
        bad = {"failed": self.failed, "cancelled": self.cancelled, "unknown": self.unknown}
        extra = "".join(f", {count} {word}" for word, count in bad.items() if count)
        return f"{self.finished}/{self.total}{extra}"

    @property
    def pace(self) -> str:
        """Items a second and the time left, or the status where it explains why nothing moves."""
        if self.done:
            return f"{self.status} in {f'{self.seconds:.1f} s' if self.seconds < 60 else duration(int(self.seconds))}"
        if self.status != BatchStatus.RUNNING:
            return f"({self.status})"
        if self.rate is None:
            return "ETA unknown"
        return f"{self.rate:.1f}/s, ETA {duration(self.eta)}"


def duration(seconds: int | None) -> str:
    """Seconds as people say them: ``42 s``, ``3:05``, ``2:03:05``."""
    if seconds is None:
        return "unknown"
    if seconds < 60:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Display(Protocol):
    """Shows the same lines again and again."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...

    def show(self, lines: Sequence[Line], note: str) -> None:
        """The latest reading; ``note`` says why nothing moves, if so."""


class LiveDisplay:
    """One bar per batch, redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[counts]}", markup=False),
            TextColumn("{task.fields[pace]}", style="cyan", markup=False),
            console=console,
            auto_refresh=False,
        )
        self._tasks: dict[int, TaskID] = {}
        self._note = ""
        self._live = Live(get_renderable=self._render, console=console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def show(self, lines: Sequence[Line], note: str) -> None:
        """Move the bars."""
        for line in lines:
            if line.key not in self._tasks:
                self._tasks[line.key] = self._progress.add_task(line.title, total=100, counts="", pace="")
            self._progress.update(self._tasks[line.key], completed=line.percent, counts=line.counts, pace=line.pace)
        self._note = note
        self._live.refresh()

    def _render(self) -> Group:
        note = [Text(self._note, style="yellow")] if self._note else []
        return Group(self._progress.get_renderable(), *note)


class PlainDisplay:
    """A line per batch every few seconds, and one when it is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown_at = 0.0
        self._done: set[int] = set()
        self._note = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None

    def show(self, lines: Sequence[Line], note: str) -> None:
        """Print what is worth a line."""
        due = time.monotonic() - self._shown_at >= PLAIN_SECONDS
        if due:
            self._shown_at = time.monotonic()
        for line in lines:
            if line.key not in self._done and (due or line.done):
                self._console.print(plain(f"{line.title}: {line.percent} % ({line.counts}), {line.pace}"))
        self._done |= {line.key for line in lines if line.done}
        if note and (due or note != self._note):
            self._console.print(plain(note), soft_wrap=True)
        self._note = note

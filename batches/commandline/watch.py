"""Watching batches until their last item is final, read from Postgres: the ledger, which needs no web server."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType

from django.db import DatabaseError, connection
from django.db.models.functions import Now
from rich.console import Console

from batches.commandline.display import Line, LiveDisplay, PlainDisplay
from batches.live.eta import Sample, items_per_second, seconds_left, within_window
from batches.models import Batch, Worker, WorkerRole
from batches.states import BatchStatus

POLL_SECONDS = 0.25
ROLES_SECONDS = 1.0
SEEN_WITHIN_SECONDS = 10
PATIENCE_SECONDS = 3.0
"""So long a part may be missing before it is mentioned: at a start everything is missing for a moment."""

MISSING = {
    WorkerRole.WORKER: "no worker is running",
    WorkerRole.DISPATCHER: "no dispatcher is running",
}


def watch(console: Console, batches: Sequence[Batch]) -> list[Batch]:
    """Show how far they are until all are settled, and return them as they ended.

    Ctrl-C and SIGTERM raise ``KeyboardInterrupt``; the batches go on.
    """
    watcher = Watcher(batches)
    display = LiveDisplay(console) if console.is_terminal else PlainDisplay(console)
    with interruptible() as interruption, display:
        while True:
            lines = watcher.look()
            display.show(lines, watcher.note)
            if all(line.done for line in lines):
                return watcher.batches
            time.sleep(POLL_SECONDS)
            if interruption.asked:
                raise KeyboardInterrupt


class Interruption:
    """Somebody asked for the end. It is noted first, and raised where the loop looks: an exception out of a signal
    can hit code that swallows it. Who asks again does not wait for that."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """As a signal's handler."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """SIGTERM ends the watching as Ctrl-C does, so that the terminal gets its cursor back."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = {number: signal.signal(number, interruption) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Watcher:
    """What was read last, and how fast each batch went lately."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = list(batches)
        self.note = ""
        self._samples: dict[int, list[Sample]] = {batch.pk: [] for batch in batches}
        self._lines = [Line.of(batch, rate=None, eta=None) for batch in batches]
        self._roles_read_at = 0.0
        self._missing_since: float | None = None

    def look(self) -> list[Line]:
        """One reading; a database that does not answer is said and asked again."""
        try:
            self._read()
        except DatabaseError:
            self.note = "The database does not answer; trying again ..."
            connection.close()
        return self._lines

    def _read(self) -> None:
        read = Batch.objects.in_bulk([batch.pk for batch in self.batches])
        self.batches = [read.get(batch.pk, batch) for batch in self.batches]
        now = time.time()
        self._lines = [self._line(batch, now) for batch in self.batches]
        if now - self._roles_read_at >= ROLES_SECONDS:
            self._roles_read_at = now
            self.note = self._note(now)

    def _line(self, batch: Batch, now: float) -> Line:
        samples = self._samples[batch.pk]
        samples.append(Sample(now, batch.finished))
        samples[:] = within_window(samples, now)
        rate = items_per_second(samples, now)
        return Line.of(batch, rate=rate, eta=seconds_left(batch.total - batch.finished, rate))

    def _note(self, now: float) -> str:
        paused = [batch.public_id for batch in self.batches if batch.status == BatchStatus.PAUSED]
        if paused:
            return f"Paused: {', '.join(paused)}. Resume it on its page."
        missing = missing_roles()
        if not missing:
            self._missing_since = None
            return ""
        self._missing_since = self._missing_since or now
        if now - self._missing_since < PATIENCE_SECONDS:
            return ""
        reasons = " and ".join(MISSING[role] for role in missing)
        return f"Waiting: {reasons} (none seen for {SEEN_WITHIN_SECONDS} s). bin/up starts everything; see Procfile."


def missing_roles() -> list[WorkerRole]:
    """Which parts of the engine were not seen lately, by the database's clock."""
    recent = Worker.objects.filter(seen_at__gte=Now() - timedelta(seconds=SEEN_WITHIN_SECONDS))
    seen = set(recent.order_by().values_list("role", flat=True).distinct())
    return [role for role in WorkerRole if role not in seen]

"""Waiting for a batch with a progress bar."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from batchsite.client.errors import WaitTimedOut
from batchsite.client.shapes import Batch

SHORTEST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0


def wait(get: Callable[[], Batch], *, timeout_seconds: float | None, show: bool | None) -> Batch:
    """Ask again and again, less often as time passes, until the batch is final."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[words]}", markup=False),
        TimeRemainingColumn(),
        console=console,
        disable=not (console.is_terminal if show is None else show),
    ) as bar:
        started = time.monotonic()
        line = bar.add_task("", total=None, words="")
        while True:
            batch = get()
            failed = f", {batch.failed} failed" if batch.failed else ""
            bar.update(
                line,
                description=batch.operation,
                completed=batch.processed,
                total=batch.total or None,
                words=f"{batch.status}{failed}",
            )
            if batch.is_final:
                return batch
            elapsed = time.monotonic() - started
            if timeout_seconds is not None and elapsed >= timeout_seconds:
                raise WaitTimedOut(f"{batch.id} is {batch.status} after {elapsed:.0f} s; it goes on.")
            pause = min(LONGEST_PAUSE_SECONDS, max(SHORTEST_PAUSE_SECONDS, elapsed / 10))
            time.sleep(pause if timeout_seconds is None else min(pause, timeout_seconds - elapsed))

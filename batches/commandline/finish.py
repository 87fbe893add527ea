"""What follows a submission: watching, tables, the CSV file, the exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from batches.commandline.screen import plain, say_goes_on, say_submitted
from batches.commandline.spreadsheet import write_csv
from batches.commandline.tables import (
    PHOTO_COLUMNS,
    SMS_COLUMNS,
    all_succeeded,
    photo_rows,
    show_failures,
    show_messages,
    show_photos,
    sms_rows,
)
from batches.commandline.watch import watch
from batches.models import Batch

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Report:
    """How the results of one operation are shown and written."""

    show: Callable[[Console, Batch], None]
    columns: Sequence[str]
    rows: Callable[[Batch], Iterator[list[object]]]


PHOTO_REPORT = Report(show_photos, PHOTO_COLUMNS, photo_rows)
SMS_REPORT = Report(show_messages, SMS_COLUMNS, sms_rows)


def finish(
    console: Console,
    batch: Batch,
    report: Report,
    options: Mapping[str, Any],
    *,
    in_own_words: Callable[[str], str] = str,
) -> None:
    """Say that it was submitted, wait for its end, report. Exits with 1 unless every item succeeded."""
    say_submitted(console, batch)
    show_warnings(console, batch.warnings, in_own_words)
    if batch.scheduled_at is not None:
        console.print(plain(f"It starts at {batch.scheduled_at.isoformat(timespec='seconds')}."))
    if options["no_wait"] or batch.scheduled_at is not None:
        if options["csv"]:
            console.print(plain("Not waiting for its end, so no CSV file is written."))
        return
    (ended,) = watch_or_leave(console, [batch])
    report.show(console, ended)
    show_failures(console, ended)
    if options["csv"]:
        count = write_csv(options["csv"], report.columns, report.rows(ended))
        console.print(plain(f"Wrote {count} rows to {options['csv']}"), soft_wrap=True)
    if not all_succeeded(ended):
        sys.exit(1)


def show_warnings(console: Console, warnings: Sequence[str], in_own_words: Callable[[str], str] = str) -> None:
    """What is odd but allowed."""
    for warning in warnings:
        console.print(plain(f"Note: {in_own_words(warning)}", "yellow"))


def watch_or_leave(console: Console, batches: Sequence[Batch]) -> list[Batch]:
    """The batches as they ended; Ctrl-C ends the command and not the batches."""
    try:
        return watch(console, batches)
    except KeyboardInterrupt:
        say_goes_on(console, batches)
        sys.exit(INTERRUPTED)

"""The lines of a provider batch, written to a file on disk in constant memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

import gevent
from django.conf import settings
from django.db import connection
from gevent.pool import Pool

from batches.economy.claims import Work
from batches.economy.held_items import give_back_from, held_pages
from batches.economy.kept_answers import KeptAnswers
from batches.economy.questions import LineId, digest_of
from batches.economy.recording import change_in_economy, record
from batches.economy.replay import KnownAnswers, Said, failed_with, replay
from batches.outcomes import Fault, Outcome, Rejected, Retry, Snooze
from batches.running.changes import Change
from batches.running.context import BatchContext
from batches.running.leases import LeasedItem
from providers.base import BatchProvider, ErrorCategory, ProviderError

FOLDER = "economy"
ABANDONED_SECONDS = 2 * 86_400.0
AT_ONCE = 4
"""Items whose questions are made side by side: documents are read in processes of their own."""
MOST_SNOOZES = 5
LONGEST_SNOOZE_SECONDS = 15.0
GROUP = 200

LINE_TOO_LARGE = Fault(ErrorCategory.CONTENT, "too_large", "The question is larger than a provider's whole batch.")


@contextmanager
def lines_file(marker: str) -> Iterator[Path]:
    """A place for the lines, gone afterwards; what killed workers left is removed some day."""
    folder = Path(settings.DATA_DIR) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(folder)
    path = folder / f"{marker}.jsonl"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _remove_abandoned(folder: Path) -> None:
    for path in folder.glob("*.jsonl"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                path.unlink()


@dataclass(slots=True)
class Prepared:
    """What was written. ``first_left``: the id of the first item that did not fit."""

    number: int = 0
    size: int = 0
    first_left: int | None = None
    ended: list[Change] = field(default_factory=list)


def prepare(work: Work, context: BatchContext, path: Path) -> int:
    """Write a line per item that has a question, in the order of their ids; returns how many.

    Items that need no answer, or cannot ask, are recorded and leave the lease. Beyond the provider's limits the rest
    is given back.
    """
    prepared, kept = Prepared(), KeptAnswers(work.row.batch_id)
    with path.open("wb") as file:
        for page in held_pages(work.row.lease_id):
            connection.close()
            with questions_of(work, context, page, kept) as questions:
                _write_lines(work, context, questions, file, prepared)
            if prepared.first_left is not None:
                break
    record(prepared.ended)
    if prepared.first_left is not None:
        give_back_from(work, prepared.first_left)
    return prepared.number


@contextmanager
def questions_of(
    work: Work, context: BatchContext, page: Sequence[LeasedItem], kept: KeptAnswers
) -> Iterator[Iterator[tuple[LeasedItem, bytes | Change]]]:
    """Each item with its line, or with what became of it without one; a few are made ahead."""
    pool = Pool(AT_ONCE)
    ahead = pool.imap(lambda item: _ask(work, context, item, kept), page, maxsize=AT_ONCE)
    try:
        yield zip(page, ahead, strict=True)
    finally:
        ahead.kill()
        pool.kill()


def _write_lines(
    work: Work,
    context: BatchContext,
    questions: Iterator[tuple[LeasedItem, bytes | Change]],
    file: IO[bytes],
    prepared: Prepared,
) -> None:
    limits = cast(BatchProvider, context.provider).batch_limits
    for item, asked in questions:
        work.check()
        if isinstance(asked, Change):
            prepared.ended.append(asked)
        elif len(asked) > limits.size:
            prepared.ended.append(change_in_economy(Rejected(LINE_TOO_LARGE), work.row, context, item))
        elif prepared.number == limits.lines or prepared.size + len(asked) > limits.size:
            prepared.first_left = item.id
            return
        else:
            file.write(asked)
            prepared.number += 1
            prepared.size += len(asked)
        if len(prepared.ended) >= GROUP:
            record(prepared.ended)
            prepared.ended.clear()
        gevent.sleep(0)


def _ask(work: Work, context: BatchContext, item: LeasedItem, kept: KeptAnswers) -> bytes | Change:
    """The item's line, or what became of it without one. Never raises."""
    answers = KnownAnswers(kept.of(item.id))
    said = _patiently(work, context, item, answers)
    if said.question is not None:
        name = LineId(work.row.marker, item.id, digest_of(said.question))
        try:
            return cast(BatchProvider, context.provider).batch_line(str(name), said.question)
        except ProviderError as error:
            outcome: Outcome = Rejected(Fault(error.category, error.code, error.message))
        except Exception as error:
            outcome = Rejected(failed_with(error))
    else:
        outcome = cast(Outcome, said.outcome)
        if isinstance(outcome, Retry) and answers.given:
            kept.forget(item.id)
    return change_in_economy(outcome, work.row, context, item, said.used)


def _patiently(work: Work, context: BatchContext, item: LeasedItem, answers: KnownAnswers) -> Said:
    """An operation that only wants to be called again is: a later provider batch may be hours away."""
    said = replay(context, item, answers)
    for _ in range(MOST_SNOOZES):
        wants_more = isinstance(said.outcome, Snooze) and said.outcome.delay_seconds <= LONGEST_SNOOZE_SECONDS
        if not wants_more or not work.is_held:
            break
        gevent.sleep(cast(Snooze, said.outcome).delay_seconds)
        said = replay(context, item, answers)
    return said

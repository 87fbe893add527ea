"""Reading what came back: streamed, recorded in groups, and begun anew wherever it was cut off."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

import gevent
from django.db import connection
from django.db.models.functions import Now

from batches.economy.claims import Work, objection
from batches.economy.held_items import MOST_DEATHS, dissolve, held_items, held_pages
from batches.economy.kept_answers import KeptAnswers, keep_answers
from batches.economy.questions import LineId, line_id
from batches.economy.recording import change_in_economy, record
from batches.economy.refusals import waits
from batches.economy.remote_rows import asked_provider, remote_of
from batches.economy.replay import KnownAnswers, replay
from batches.economy.submitting import disown
from batches.economy.waits import SECOND_READING_SECONDS, SNOOZED_ACCOUNT_SECONDS, scaled
from batches.models import ProviderBatch
from batches.outcomes import Fault, Outcome, Retry, Snooze, outcome_of_error
from batches.running.changes import Change
from batches.running.context import BatchContext
from batches.running.leases import LeasedItem
from batches.states import Step
from providers.base import ChatAnswer, ErrorCategory, LineResult, ProviderError
from providers.departure import guarded
from providers.prices import tokens_of

logger = logging.getLogger(__name__)

GROUP = 200
GROUP_CHARACTERS = 4 * 1024 * 1024
MOST_FAILURES = 60
"""Readings in a row that were cut off, ten minutes apart in the end; what is still missing then is asked again."""

MISSING = Fault(ErrorCategory.SERVER, "missing_line", "The provider's batch ended without a word about this item.")
QUESTION_CHANGED = Fault(
    ErrorCategory.CONTENT, "question_changed", "What was asked about changed before the answer came."
)

Group = dict[int, tuple[LineId, LineResult]]
"""Lines of ours by their item; of repeated ones the first."""


class Reading:
    """Counts what came: lines of ours, of other batches of ours, and of nobody we know."""

    def __init__(self, row: ProviderBatch) -> None:
        self._row = row
        self.ours = self.others = self.strange = 0

    def groups(self, results: Iterable[LineResult]) -> Iterator[Group]:
        """Lines in groups. What came before a reading is cut off is a group as well."""
        group: Group = {}
        characters = 0
        try:
            for result in results:
                name = self._name(result)
                if name is None:
                    continue
                group.setdefault(name.item_id, (name, result))
                characters += len(result.answer.text) if result.answer else 0
                if len(group) >= GROUP or characters >= GROUP_CHARACTERS:
                    yield group
                    group, characters = {}, 0
        except ProviderError:
            yield group
            raise
        yield group

    def _name(self, result: LineResult) -> LineId | None:
        name = line_id(result.custom_id)
        if name is None:
            self.strange += 1
        elif name.marker != self._row.marker:
            self.others += 1
        else:
            self.ours += 1
            return name
        return None

    def tell(self) -> None:
        """Say how much there was that nobody asked for."""
        if self.others or self.strange:
            logger.warning(
                "Provider batch %s: of its results %d lines were of other batches and %d of nobody",
                *(self._row.marker, self.others, self.strange),
            )


def collect(work: Work, context: BatchContext) -> None:
    """Record every line that came back; what never came is tried again once that is certain."""
    if work.row.deaths >= MOST_DEATHS:
        dissolve(work, suspects=True)
        return
    reading = Reading(work.row)
    try:
        if not work.row.remote.get("gone"):
            _read(work, context, reading)
    except ProviderError as error:
        if work.row.failures < MOST_FAILURES:
            work.failed(error)
            return
    finally:
        reading.tell()
    if reading.others and not reading.ours:
        disown(work, work.row.remote_id)
    elif next(held_pages(work.row.lease_id, 1), None) and not _is_certain(work):
        work.put_off(scaled(SECOND_READING_SECONDS), remote={**work.row.remote, "read": True})
    else:
        _give_up_missing(work, context)
        work.move(step=Step.DONE, failures=0, collected_at=Now(), step_claim=None, claimed_until=None)


def _read(work: Work, context: BatchContext, reading: Reading) -> None:
    kept = KeptAnswers(work.row.batch_id)
    with guarded(work.check):
        for group in reading.groups(asked_provider(context).batch_results(remote_of(work.row))):
            held = held_items(work.row.lease_id, group)
            connection.close()
            changes = []
            for item_id, item in held.items():
                work.check()
                changes.append(_change(work, context, item, group[item_id], kept))
                gevent.sleep(0)
            record(changes)
            if changes and work.row.deaths:
                work.move(deaths=0)  # it goes on: whoever ended those workers, it was none of these


def _change(
    work: Work, context: BatchContext, item: LeasedItem, line: tuple[LineId, LineResult], kept: KeptAnswers
) -> Change:
    name, result = line
    if result.answer is None:
        billed = result.error.billed if result.error else None
        used = tokens_of(billed, economy=True) if billed else None
        return change_in_economy(_outcome_of_failure(work, result.error), work.row, context, item, used)
    outcome, used = _outcome(context, item, name, result.answer, kept)
    used = {**used, **tokens_of(result.answer, economy=True)}
    return change_in_economy(outcome, work.row, context, item, used)


def _outcome_of_failure(work: Work, error: ProviderError | None) -> Outcome:
    if error is None:
        return Retry(MISSING)
    if error.category == ErrorCategory.CANCELLED and work.row.cancelling:
        return Snooze()  # it was us: nothing was spent
    if error.category in {ErrorCategory.AUTHENTICATION, ErrorCategory.BUDGET} and waits(work, error):
        # True of all items alike, and mended by a person: they wait, and say why.
        if work.row.error_code != objection(error)["error_code"]:
            work.move(**objection(error))
        return Snooze(scaled(SNOOZED_ACCOUNT_SECONDS))
    return outcome_of_error(error, idempotent=True)


def _outcome(
    context: BatchContext, item: LeasedItem, name: LineId, answer: ChatAnswer, kept: KeptAnswers
) -> tuple[Outcome, dict[str, int]]:
    """What the operation makes of the answer. One that is needed again is kept before anything is recorded."""
    answers = KnownAnswers({**kept.of(item.id), name.digest: answer})
    said = replay(context, item, answers)
    used = dict(said.used)
    if said.question is not None and name.digest not in answers.given:
        return Retry(QUESTION_CHANGED), used
    if said.question is None and said.outcome is not None and not isinstance(said.outcome, Snooze):
        return said.outcome, used
    keep_answers(item.id, {digest: answers.known[digest] for digest in {*answers.given, name.digest}})
    return said.outcome or Snooze(), used


def _is_certain(work: Work) -> bool:
    """Whether missing lines are missing for good: a second whole reading did not find them either.

    An answer without a length may end early and look whole, and what is asked again is paid again.
    """
    return bool(work.row.remote.get("read") or work.row.remote.get("gone"))


def _give_up_missing(work: Work, context: BatchContext) -> None:
    outcome: Outcome = Snooze() if work.row.cancelling else Retry(MISSING)
    for page in held_pages(work.row.lease_id):
        work.check()
        record([change_in_economy(outcome, work.row, context, item) for item in page])

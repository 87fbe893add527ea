"""From items to a batch at the provider: prepared, submitted once, and searched for where the answer never came."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from batches.economy.claims import Work, objection
from batches.economy.held_items import MOST_DEATHS, dissolve
from batches.economy.preparing import lines_file, prepare
from batches.economy.refusals import refused
from batches.economy.remote_rows import asked_provider, fields_of
from batches.economy.switching import PROBE, goes_elsewhere, note_taken
from batches.economy.waits import MOST_SEARCHES, PAUSED_SECONDS, scaled, until_next_look, until_search
from batches.models import ProviderBatch
from batches.running.changes import clean
from batches.running.context import BatchContext
from batches.states import BatchStatus, Step
from providers.base import ProviderError, RemoteBatch
from providers.departure import guarded

LONGEST_REMOTE_ID = 200
KNOWN_FOR = timedelta(days=3)
"""A batch that is older than this one by more is not looked for."""
FOREIGN = "foreign"
"""In ``remote``: ids of batches that were taken for this one and proved to be others."""


def submit(work: Work, context: BatchContext) -> None:
    """The first step: write the lines, commit that they are being submitted, and submit them."""
    if work.is_unwanted:
        dissolve(work)
        return
    if work.row.batch.status != BatchStatus.RUNNING:
        work.put_off(scaled(PAUSED_SECONDS))
        return
    if work.row.deaths >= MOST_DEATHS:
        dissolve(work, suspects=True)
        return
    if PROBE not in work.row.remote and goes_elsewhere(work.row):
        dissolve(work)
        return
    with lines_file(work.row.marker) as path:
        number = prepare(work, context, path)
        if number == 0:
            dissolve(work)
            return
        if not _may_submit(work):
            work.put_off(scaled(PAUSED_SECONDS))
            return
        work.move(step=Step.SUBMITTING, size=number, submitting_at=Now())
        connection.close()
        provider = asked_provider(context)
        try:
            with guarded(work.check):
                remote = provider.submit_batch(path, number, work.row.marker)
        except ProviderError as error:
            if error.surely_not_sent:
                refused(work, context, error)
            else:
                work.put_off(until_search(1), **objection(error))
            return
    submitted(work, remote)


def _may_submit(work: Work) -> bool:
    """The last look at the batch before it costs something."""
    work.row.batch.refresh_from_db(fields=["status", "fast_since", "deleted_at"])
    return work.row.batch.status == BatchStatus.RUNNING and not work.is_unwanted


def submitted(work: Work, remote: RemoteBatch) -> None:
    """It is at the provider, under its id there. One that cannot be kept is no batch: it stays in doubt."""
    if clean(remote.id) != remote.id or not 0 < len(remote.id) <= LONGEST_REMOTE_ID:
        work.put_off(until_search(work.row.failures + 1), error_code="odd_id", error="The provider's id is none.")
        return
    note_taken(work.row)
    work.step_on(
        Step.SUBMITTED,
        remote_id=remote.id,
        submitted_at=Now(),
        due_at=Now() + timedelta(seconds=until_next_look(0.0)),
        step_claim=None,
        claimed_until=None,
        **fields_of(remote, work.row.remote),
    )


def search(work: Work, context: BatchContext) -> None:
    """Whether a submit whose answer never came made a batch. Only after several searches it is submitted again.

    A create that was cut off may arrive at the provider a while after we gave up on it.
    """
    row = work.row
    assert row.submitting_at is not None  # noqa: S101 - committed together with the step
    known = _known_ids(row)
    connection.close()
    try:
        with guarded(work.check):
            found = asked_provider(context).find_batch(row.marker, row.size, row.submitting_at, known)
    except ProviderError as error:
        age = (timezone.now() - row.submitting_at).total_seconds()
        work.put_off(max(until_search(row.failures + 1), until_next_look(age)), **objection(error))
        return
    searches = row.failures + 1
    if found is not None:
        submitted(work, found)
    elif searches < MOST_SEARCHES:
        work.put_off(until_search(searches), failures=searches)
    elif work.is_unwanted:
        dissolve(work)
    else:
        work.step_on(Step.GATHERED, submitting_at=None, due_at=Now(), step_claim=None, claimed_until=None)


def _known_ids(row: ProviderBatch) -> set[str]:
    """Of batches that are not this one: other rows', and those that were taken for it."""
    others = ProviderBatch.objects.exclude(remote_id="").exclude(pk=row.pk)
    lately = others.filter(created_at__gt=row.created_at - KNOWN_FOR)
    return {*lately.values_list("remote_id", flat=True), *row.remote.get(FOREIGN, ())}


def disown(work: Work, remote_id: str) -> None:
    """What was found was another's batch, of as many lines: search on for ours."""
    foreign = [*work.row.remote.get(FOREIGN, ()), remote_id]
    work.step_on(
        Step.SUBMITTING,
        remote_id="",
        remote={FOREIGN: foreign},
        submitted_at=None,
        ended_at=None,
        due_at=Now(),
        step_claim=None,
        claimed_until=None,
    )

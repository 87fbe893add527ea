"""Looking at a batch at its provider, often at first and rarely later, and asking for its end where nobody wants it."""

from __future__ import annotations

from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from batches.economy.claims import Work
from batches.economy.refusals import refused
from batches.economy.remote_rows import asked_provider, fields_of
from batches.economy.waits import CANCELLING_SECONDS, scaled, until_next_look
from batches.running.context import BatchContext
from batches.states import Step
from providers.base import ErrorCategory, ProviderError, RemoteState
from providers.departure import guarded

MOST_MISSES = 6
"""So many looks in a row that find no such batch, minutes apart: it is gone, and its lines with it."""


def look(work: Work, context: BatchContext) -> None:
    """Where it stands now; what has ended goes on to be collected."""
    row, provider = work.row, asked_provider(context)
    connection.close()
    try:
        with guarded(work.check):
            if work.is_unwanted and not row.cancelling:
                provider.cancel_batch(row.remote_id)
                work.move(cancelling=True)
                connection.close()
            remote = provider.look_at_batch(row.remote_id)
    except ProviderError as error:
        if error.category == ErrorCategory.NOT_FOUND and work.row.failures + 1 >= MOST_MISSES:
            work.step_on(Step.COLLECTING, remote={**work.row.remote, "gone": True}, ended_at=Now())
        else:
            work.failed(error)
        return
    match remote.state:
        case RemoteState.ENDED:
            work.step_on(Step.COLLECTING, ended_at=Now(), **fields_of(remote, work.row.remote))
        case RemoteState.FAILED:
            refused(work, context, remote.error or _unexplained(work), remote)
        case _:
            changes = fields_of(remote, work.row.remote)
            work.put_off(_until_next_look(work), failures=0, error="", error_code="", **changes)


def _until_next_look(work: Work) -> float:
    if work.row.cancelling:
        return scaled(CANCELLING_SECONDS)
    age = (timezone.now() - work.row.submitted_at).total_seconds() if work.row.submitted_at else 0.0
    return until_next_look(age)


def _unexplained(work: Work) -> ProviderError:
    return ProviderError(
        f"{work.row.provider} failed the batch and did not say why",
        category=ErrorCategory.SERVER,
        code="batch_failed",
        permanent=False,
        surely_not_sent=True,
    )

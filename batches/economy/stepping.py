"""One step of one provider batch, taken by a worker: claimed, made, and given back whatever happens."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from django.db import Error, InterfaceError, OperationalError, connection
from gevent.lock import BoundedSemaphore

from batches.economy.bell import STEPS_AT_ONCE
from batches.economy.claims import ClaimLost, Stopping, Work, claimed
from batches.economy.collecting import collect
from batches.economy.polling import look
from batches.economy.submitting import search, submit
from batches.economy.waits import after_failures
from batches.logs.fields import bind
from batches.models import Batch
from batches.running import context
from batches.running.context import BatchContext, Misconfigured
from batches.states import Step
from providers.base import answers_batches

logger = logging.getLogger(__name__)

STEPS: dict[str, Callable[[Work, BatchContext], None]] = {
    Step.GATHERED: submit,
    Step.SUBMITTING: search,
    Step.SUBMITTED: look,
    Step.COLLECTING: collect,
}

_room = BoundedSemaphore(STEPS_AT_ONCE)


def never() -> bool:
    """Nobody stops this worker."""
    return False


def advance(row_id: int, stopping: Callable[[], bool] = never) -> None:
    """Take the next step of a provider batch, and those that follow from it at once.

    Does nothing where another worker is at it, or where this one has enough to do: it is rung for again. It must not
    wait for room here: messages of leases would wait behind it.
    """
    if not _room.acquire(blocking=False):
        return
    try:
        with claimed(row_id, stopping) as work:
            if work is not None:
                bind(batch=work.row.batch.public_id, lease=work.row.lease_id, provider=work.row.provider)
                _advance(work)
    finally:
        _room.release()
        connection.close()


def _advance(work: Work) -> None:
    try:
        found = context.read(work.row.batch_id, work.row.provider)
        if not answers_batches(found.provider):
            raise LookupError(found.provider.alias)
        while work.row.step in STEPS and work.row.step_claim is not None:
            step = work.row.step
            STEPS[step](work, found)
            if work.row.step == step:
                break
    except (ClaimLost, Batch.DoesNotExist):
        logger.info("Provider batch %s: somebody else has it, or it is gone", work.row.marker)
    except Stopping:
        with suppress(ClaimLost, Error):
            work.put_off(0.0)
    except (OperationalError, InterfaceError):
        raise  # the database's fault: it is rung for again
    except (Misconfigured, LookupError) as error:
        _not_here(work, type(error).__name__)
    except Exception as error:
        # The kind alone: the message may quote what an item holds.
        kind = type(error).__name__
        logger.error("Provider batch %s: its step %s failed: %s", work.row.marker, work.row.step, kind)
        _try_again(work, "internal", f"The step failed: {type(error).__name__}.")


def _not_here(work: Work, kind: str) -> None:
    logger.error("Provider batch %s cannot be worked on here: %s", work.row.marker, kind)
    _try_again(work, "misconfigured", "The worker does not know this operation or provider, or has no key for it.")


def _try_again(work: Work, code: str, message: str) -> None:
    failures = work.row.failures + 1
    with suppress(ClaimLost):
        work.put_off(after_failures(failures), failures=failures, error_code=code, error=message)

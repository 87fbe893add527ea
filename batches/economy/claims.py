"""A worker's right to take a provider batch's next step: claimed, renewed, checked before anything leaves."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from django.db import Error, connection
from django.db.models.functions import Now

from batches.economy.waits import CLAIM_SECONDS, MARGIN_SECONDS, RENEW_SECONDS, after_failures, scaled
from batches.models import ProviderBatch
from batches.running.changes import clean
from batches.states import BatchStatus, Step
from providers.base import ProviderError

logger = logging.getLogger(__name__)

MESSAGE_LIMIT = 2_000


class ClaimLost(BaseException):
    """Somebody else may have it by now. No ``Exception``: nothing on the way takes it for a failed call."""


class Stopping(BaseException):
    """The worker stops: what is half done is done anew elsewhere."""


class Work:
    """A provider batch in this worker's hands. ``row`` is as it was when it was claimed, or last moved."""

    def __init__(self, row: ProviderBatch, claim: uuid.UUID, claimed_at: float, stopping: Callable[[], bool]) -> None:
        self.row = row
        self._claim = claim
        self._stopping = stopping
        self._valid_until = claimed_at + scaled(CLAIM_SECONDS - MARGIN_SECONDS)

    @property
    def is_unwanted(self) -> bool:
        """Whether nothing more is to be asked for it: its batch was cancelled or given up, or goes on fast."""
        batch = self.row.batch
        return batch.status == BatchStatus.CANCELLED or batch.fast_since is not None or batch.deleted_at is not None

    @property
    def is_held(self) -> bool:
        """Whether this worker may go on."""
        return time.monotonic() <= self._valid_until and not self._stopping()

    def check(self) -> None:
        """Raise :class:`ClaimLost` or :class:`Stopping` unless this worker may go on."""
        if time.monotonic() > self._valid_until:
            raise ClaimLost
        if self._stopping():
            raise Stopping

    def move(self, **changes: Any) -> None:
        """Change the row, if it is still ours. Raises :class:`ClaimLost`."""
        ours = ProviderBatch.objects.filter(pk=self.row.pk, step=self.row.step, step_claim=self._claim)
        if not ours.update(**changes):
            raise ClaimLost
        self.row = _read(self.row.pk)

    def step_on(self, step: Step, **changes: Any) -> None:
        """To another step, with nothing that went wrong at this one."""
        self.move(**{"step": step, "failures": 0, "deaths": 0, "error": "", "error_code": "", **changes})

    def put_off(self, seconds: float, **changes: Any) -> None:
        """Give it back, to be rung for again after so long."""
        self.move(due_at=Now() + timedelta(seconds=seconds), step_claim=None, claimed_until=None, **changes)

    def failed(self, error: ProviderError) -> None:
        """Give it back after a call that told nothing new; later and later."""
        failures = self.row.failures + 1
        self.put_off(after_failures(failures, error.retry_after), failures=failures, **objection(error))

    def renew(self) -> bool:
        """Keep the claim for another while; False when it is lost."""
        asked_at = time.monotonic()
        ours = ProviderBatch.objects.filter(pk=self.row.pk, step_claim=self._claim)
        if not ours.update(claimed_until=Now() + timedelta(seconds=scaled(CLAIM_SECONDS))):
            self._valid_until = 0.0
            return False
        self._valid_until = asked_at + scaled(CLAIM_SECONDS - MARGIN_SECONDS)
        return True


def objection(error: ProviderError) -> dict[str, str]:
    """What a provider has against it, as fields of the row."""
    return {"error": clean(error.message)[:MESSAGE_LIMIT], "error_code": clean(error.code)[:64]}


def _read(row_id: int) -> ProviderBatch:
    return ProviderBatch.objects.select_related("batch").get(pk=row_id)


@contextmanager
def claimed(row_id: int, stopping: Callable[[], bool]) -> Iterator[Work | None]:
    """The work of this provider batch's next step, renewed within the block; None where there is none for us."""
    claim, claimed_at = uuid.uuid4(), time.monotonic()
    free = ProviderBatch.objects.filter(pk=row_id, step_claim=None).exclude(step=Step.DONE)
    if not free.update(step_claim=claim, claimed_until=Now() + timedelta(seconds=scaled(CLAIM_SECONDS))):
        yield None
        return
    work = Work(_read(row_id), claim, claimed_at, stopping)
    done = threading.Event()
    thread = threading.Thread(target=_renew, args=(work, done), name="economy-claim", daemon=True)
    thread.start()
    try:
        yield work
    finally:
        done.set()
        thread.join()
        with suppress(Error):
            # What was not put off is rung for again at once, and no death is counted.
            ProviderBatch.objects.filter(pk=row_id, step_claim=claim).update(step_claim=None, claimed_until=None)


def _renew(work: Work, done: threading.Event) -> None:
    while not done.wait(scaled(RENEW_SECONDS)):
        try:
            if not work.renew():
                return
        except Error as error:
            logger.warning("The claim of a provider batch was not renewed: %s", type(error).__name__)
        finally:
            connection.close()

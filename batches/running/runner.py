"""Runs the items of leases: permits, gates, the call, its outcome; one greenlet per item.

Nothing is held during a call: no database connection, no transaction, no Redis connection.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable

import gevent
import redis
from django.conf import settings
from django.db import Error, connection
from gevent.event import Event
from gevent.lock import Semaphore
from gevent.pool import Pool

from batches.backoff import RetryPolicy
from batches.limits import HORIZON_SECONDS, reserve
from batches.operations import Attempt
from batches.outcomes import Fault, Outcome, Rejected, Retry, Snooze, Unknown, outcome_of_error
from batches.running import leases
from batches.running.changes import Change, Held, change_of, closed_seconds
from batches.running.context import BatchContext, Contexts
from batches.running.leases import AcceptedLease, LeasedItem
from batches.running.watch import HeldLease, Watch
from batches.states import SOLO_LANE
from providers.base import ErrorCategory, ProviderError

logger = logging.getLogger(__name__)

START_LEAD_SECONDS = 0.1
"""The start of a call that must not happen twice is committed so long before its slot."""
SLOT_TOLERANCE_SECONDS = 0.06
"""A slot missed by more is given up and reserved anew, or two late calls would crowd one second."""
NO_PERMIT_SNOOZE_SECONDS = 1.0
DEADLINE_GRACE_SECONDS = 1.0

NO_ANSWER = Fault(ErrorCategory.TIMEOUT, "deadline_exceeded", "The call did not end before its deadline.")
MISCONFIGURED = Fault(ErrorCategory.INTERNAL, "misconfigured", "No worker knows this operation and provider.")
STOPPED = Fault(ErrorCategory.INTERNAL, "worker_stopped", "The worker stopped before the answer came.")


class DeadlineExceeded(BaseException):
    """The hard deadline of a call. Not an ``Exception``, so that no library on the way swallows it."""


class Abandoned(BaseException):
    """The worker stops and cannot wait for this call any longer."""


class Runner:
    """The process-wide executor of items."""

    def __init__(self, boot_id: str, watch: Watch, record: Callable[[Change], None]) -> None:
        self.boot_id = boot_id
        self.stopping = Event()
        self._watch = watch
        self._record = record
        self._contexts = Contexts()
        self._pools = {channel: Pool(capacity) for channel, capacity in settings.WORKER_CAPACITY.items()}
        self._solo = Semaphore(1)

    @property
    def in_flight(self) -> int:
        """Items that are being run in this process."""
        return sum(len(pool) for pool in self._pools.values())

    def run_lease(self, lease_id: int) -> None:
        """Accept a lease and start its items; returns when the last of them has started."""
        if self.stopping.is_set():
            return  # not accepted: it expires within seconds and is dispatched again
        accepted_at = time.monotonic()
        accepted = leases.accept(lease_id, self.boot_id)
        if accepted is None:
            return
        held = self._watch.add(accepted, accepted_at)
        try:
            context = self._contexts.get(accepted.batch_id)
        except Exception as error:
            self._give_back(held, accepted, error)
            return
        finally:
            connection.close()
        if accepted.lane == SOLO_LANE:
            with self._solo:
                self._start_items(held, context, accepted)
                self._wait_for(held)
        else:
            self._start_items(held, context, accepted)

    def drain(self, timeout_seconds: float) -> None:
        """Wait for the calls in flight; what is still running then is abandoned and recorded as such."""
        deadline = time.monotonic() + timeout_seconds
        for pool in self._pools.values():
            pool.join(timeout=max(0.0, deadline - time.monotonic()))
        for pool in self._pools.values():
            pool.kill(Abandoned, timeout=5)

    def _give_back(self, held: HeldLease, accepted: AcceptedLease, error: Exception) -> None:
        """The batch cannot be read: later, when the database is back; never, when this worker lacks its provider."""
        logger.error("Lease %d of batch %d cannot run: %s", held.id, held.batch_id, type(error).__name__)
        outcome = Snooze(NO_PERMIT_SNOOZE_SECONDS) if isinstance(error, Error) else Rejected(MISCONFIGURED)
        policy = RetryPolicy(max_retries=None, window_seconds=0, backoff_seconds=None)
        for item in accepted.items:
            self._record(change_of(outcome, Held(item, held.batch_id, held.id, "", True, policy)))

    def _wait_for(self, held: HeldLease) -> None:
        while held.remaining > 0 and not self.stopping.is_set() and not self._watch.is_lost(held):
            gevent.sleep(0.05)

    def _start_items(self, held: HeldLease, context: BatchContext, accepted: AcceptedLease) -> None:
        waiting = list(accepted.items)
        slots: list[float | None] = [None] * len(waiting)
        if context.limits and not self.stopping.is_set():
            waiting, slots = self._with_permits(held, context, waiting)
        pool = self._pools[context.channel]
        for item, slot in zip(waiting, slots, strict=True):
            while not self.stopping.is_set() and not pool.wait_available(timeout=0.5):
                pass
            if self.stopping.is_set():
                self._record(change_of(Snooze(), self._held(held, context, item)))
            else:
                pool.spawn(self._run_item, held, context, item, slot)

    def _with_permits(
        self, held: HeldLease, context: BatchContext, items: list[LeasedItem]
    ) -> tuple[list[LeasedItem], list[float | None]]:
        """Reserve a slot per item; those without one within the horizon are snoozed until theirs may be near."""
        try:
            reservation = reserve(context.limits, len(items))
        except redis.RedisError as error:
            logger.warning("No permits without Redis: %s", type(error).__name__)
            for item in items:
                self._record(change_of(Snooze(NO_PERMIT_SNOOZE_SECONDS), self._held(held, context, item)))
            return [], []
        granted = len(reservation.slots)
        for index, item in enumerate(items[granted:]):
            delay = reservation.next_wait_seconds + index * reservation.spacing_seconds
            self._record(change_of(_until_near(delay), self._held(held, context, item)))
        return items[:granted], list(reservation.slots)

    def _run_item(self, held: HeldLease, context: BatchContext, item: LeasedItem, slot: float | None) -> None:
        attempt_id = uuid.uuid4()
        ran = time.monotonic()
        called: float | None = None
        outcome: Outcome
        try:
            refusal = self._wait_for_start(held, context, item, slot, attempt_id)
            if refusal is not None:
                outcome = refusal
            else:
                called = time.monotonic()
                outcome = self._call(context, item, attempt_id)
        except Abandoned:
            outcome = Snooze() if called is None or context.provider.idempotent else Unknown(STOPPED)
        except Error as error:
            # Only the marks before the call use the database, so nothing was sent.
            logger.warning("Item %d could not be marked as started: %s", item.id, type(error).__name__)
            outcome = Snooze(NO_PERMIT_SNOOZE_SECONDS)
        ended = time.monotonic()
        self._record(
            change_of(
                outcome,
                self._held(held, context, item),
                attempt_id=attempt_id if called is not None else None,
                duration_seconds=ended - called if called is not None else 0.0,
                elapsed_seconds=item.elapsed_seconds + (ended - ran),
            )
        )

    def _wait_for_start(
        self, held: HeldLease, context: BatchContext, item: LeasedItem, slot: float | None, attempt_id: uuid.UUID
    ) -> Snooze | None:
        """Wait for the item's slot and pass every gate; a Snooze when it may not start."""
        if context.provider.idempotent:
            self._sleep_until(slot)
            return self._gate(held, context)
        return self._start_once(held, context, item, slot, attempt_id)

    def _start_once(
        self, held: HeldLease, context: BatchContext, item: LeasedItem, slot: float | None, attempt_id: uuid.UUID
    ) -> Snooze | None:
        """Commit the start before the bytes leave, because afterwards nobody could tell whether they did."""
        while True:
            self._sleep_until(slot - START_LEAD_SECONDS if slot is not None else None)
            refusal = self._gate(held, context)
            if refusal is not None:
                return refusal
            try:
                if not leases.mark_started(item.id, held.id, attempt_id):
                    return Snooze()
            finally:
                connection.close()
            self._sleep_until(slot)
            refusal = self._gate(held, context)
            if refusal is None and not _is_late(slot):
                return None
            try:
                leases.clear_started(item.id, held.id, attempt_id)
            finally:
                connection.close()
            if refusal is not None:
                return refusal
            slot, refusal = self._reserve_again(context)
            if refusal is not None:
                return refusal

    def _reserve_again(self, context: BatchContext) -> tuple[float | None, Snooze | None]:
        try:
            reservation = reserve(context.limits, 1)
        except redis.RedisError:
            return None, Snooze(NO_PERMIT_SNOOZE_SECONDS)
        if not reservation.slots:
            return None, _until_near(reservation.next_wait_seconds)
        return reservation.slots[0], None

    def _gate(self, held: HeldLease, context: BatchContext) -> Snooze | None:
        """Whether a call may start now."""
        while self._watch.is_stale and not self.stopping.is_set() and not self._watch.is_lost(held):
            gevent.sleep(0.05)
        if self.stopping.is_set() or self._watch.is_lost(held) or self._watch.is_stopped(held.batch_id):
            return Snooze()
        closed = self._watch.seconds_closed(context.provider.alias)
        return Snooze(closed) if closed else None

    def _sleep_until(self, instant: float | None) -> None:
        """Sleep, but not past the order to stop."""
        if instant is not None:
            delay = instant - time.monotonic()
            if delay > 0:
                self.stopping.wait(delay)

    def _call(self, context: BatchContext, item: LeasedItem, attempt_id: uuid.UUID) -> Outcome:
        attempt = Attempt(
            item_id=item.id,
            owner_id=context.owner_id,
            key=item.key,
            input=item.input,
            parameters=context.parameters,
            provider=context.provider,
            reference=str(attempt_id),
            timeout_seconds=context.timeout_seconds,
        )
        deadline = gevent.Timeout(context.timeout_seconds + DEADLINE_GRACE_SECONDS, DeadlineExceeded)
        deadline.start()
        try:
            return context.operation.run(attempt)
        except ProviderError as error:
            outcome = outcome_of_error(error, idempotent=context.provider.idempotent)
            self._note_closed_account(context, outcome)
            return outcome
        except DeadlineExceeded:
            return Retry(NO_ANSWER) if context.provider.idempotent else Unknown(NO_ANSWER)
        except Exception as error:
            # The traceback names code, not content: exceptions of parsers may quote what they parsed.
            logger.error("Item %d: %s in operation %s", item.id, type(error).__name__, context.operation.name)
            return self._bug(context, error)
        finally:
            deadline.close()

    def _bug(self, context: BatchContext, error: Exception) -> Outcome:
        fault = Fault(ErrorCategory.INTERNAL, "operation_failed", f"The operation failed: {type(error).__name__}.")
        return Rejected(fault) if context.provider.idempotent else Unknown(fault)

    def _note_closed_account(self, context: BatchContext, outcome: Outcome) -> None:
        fault = getattr(outcome, "fault", None)
        if fault and fault.category == ErrorCategory.RATE_LIMIT and fault.retry_after:
            self._watch.close_account(context.provider.alias, closed_seconds(fault))

    def _held(self, held: HeldLease, context: BatchContext, item: LeasedItem) -> Held:
        return Held(item, held.batch_id, held.id, context.provider.alias, context.provider.idempotent, context.policy)


def _until_near(wait_seconds: float) -> Snooze:
    """Back while the slot is still ahead, or it would pass unused on the way through the dispatcher."""
    return Snooze(max(0.05, wait_seconds - HORIZON_SECONDS / 2))


def _is_late(slot: float | None) -> bool:
    return slot is not None and time.monotonic() > slot + SLOT_TOLERANCE_SECONDS

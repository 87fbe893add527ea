"""Runs the items of leases: permits, gates, the call, its outcome; one greenlet per item.

Nothing is held during a call: no database connection, no transaction, no Redis connection.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from typing import Any

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

    @property
    def has_room(self) -> bool:
        """Whether an item of any channel would find a place."""
        return all(pool.free_count() > 0 for pool in self._pools.values())

    def run_lease(self, lease_id: int) -> None:
        """Accept a lease and start its items; returns when the last of them has started."""
        if self.stopping.is_set():
            return  # not accepted: it expires within seconds and is dispatched again
        accepted_at = time.monotonic()
        accepted = leases.accept(lease_id, self.boot_id)
        if accepted is None:
            return
        if accepted.lane == SOLO_LANE and self._solo.locked():
            # Waiting here it would be blamed when the one that runs ends this worker.
            leases.hand_back(lease_id, self.boot_id)
            return
        held = self._watch.add(accepted, accepted_at)
        waiting = list(accepted.items)
        try:
            self._run_accepted(held, accepted, waiting)
        finally:
            # Whatever stopped it, also a kill: an item left in a lease that is renewed would be running for ever.
            for item in waiting:
                self._record(change_of(Snooze(NO_PERMIT_SNOOZE_SECONDS), _stranger(held, item)))

    def _run_accepted(self, held: HeldLease, accepted: AcceptedLease, waiting: list[LeasedItem]) -> None:
        """Start the items; each leaves ``waiting`` with its greenlet or its record."""
        if not accepted.runs:
            self._give_back(held, waiting, Snooze())
            return
        try:
            context = self._contexts.get(accepted.batch_id)
        except Exception as error:
            # Later, when the database is back; never, when this worker lacks the provider.
            logger.error("Lease %d of batch %d cannot run: %s", held.id, held.batch_id, type(error).__name__)
            later = Snooze(NO_PERMIT_SNOOZE_SECONDS)
            self._give_back(held, waiting, later if isinstance(error, Error) else Rejected(MISCONFIGURED))
            return
        finally:
            connection.close()
        if accepted.lane == SOLO_LANE:
            with self._solo:
                self._start_items(held, context, waiting)
                self._wait_for(held)
        else:
            self._start_items(held, context, waiting)

    def drain(self, timeout_seconds: float) -> None:
        """Wait for the calls in flight; what is still running then is abandoned and recorded as such."""
        deadline = time.monotonic() + timeout_seconds
        for pool in self._pools.values():
            pool.join(timeout=max(0.0, deadline - time.monotonic()))
        for pool in self._pools.values():
            pool.kill(Abandoned, timeout=5)

    def _give_back(self, held: HeldLease, waiting: list[LeasedItem], outcome: Outcome) -> None:
        while waiting:
            self._record(change_of(outcome, _stranger(held, waiting.pop())))

    def _wait_for(self, held: HeldLease) -> None:
        while held.remaining > 0 and not self.stopping.is_set() and not self._watch.is_lost(held):
            gevent.sleep(0.05)

    def _start_items(self, held: HeldLease, context: BatchContext, waiting: list[LeasedItem]) -> None:
        slots: list[float | None] = [None] * len(waiting)
        if context.limits and not self.stopping.is_set():
            slots = self._take_permits(held, context, waiting)
        pool = self._pools[context.channel]
        for slot in slots:
            while not self.stopping.is_set() and not pool.wait_available(timeout=0.5):
                pass
            if self.stopping.is_set():
                self._record(change_of(Snooze(), self._held(held, context, waiting[0])))
            else:
                pool.spawn(self._run_item, held, context, waiting[0], slot)
            del waiting[0]

    def _take_permits(self, held: HeldLease, context: BatchContext, waiting: list[LeasedItem]) -> list[float | None]:
        """Reserve a slot per item; those without one within the horizon are snoozed until theirs may be near."""
        try:
            reservation = reserve(context.limits, len(waiting))
        except redis.RedisError as error:
            logger.warning("No permits without Redis: %s", type(error).__name__)
            self._give_back(held, waiting, Snooze(NO_PERMIT_SNOOZE_SECONDS))
            return []
        granted = len(reservation.slots)
        for index, item in enumerate(waiting[granted:]):
            delay = reservation.next_wait_seconds + index * reservation.spacing_seconds
            self._record(change_of(_until_near(delay), self._held(held, context, item)))
        del waiting[granted:]
        return list(reservation.slots)

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
        except BaseException as error:
            # Also SystemExit and a deadline that came a moment late: an item without a record is running for ever.
            logger.error("Item %d: %s outside of its call", item.id, type(error).__name__)
            outcome = Snooze(NO_PERMIT_SNOOZE_SECONDS) if called is None else self._bug(context, error)
        ended = time.monotonic()
        facts: dict[str, Any] = {
            "attempt_id": attempt_id if called is not None else None,
            "duration_seconds": ended - called if called is not None else 0.0,
            "elapsed_seconds": item.elapsed_seconds + (ended - ran),
        }
        try:
            change = change_of(outcome, self._held(held, context, item), **facts)
        except Exception as error:
            change = change_of(self._bug(context, error), self._held(held, context, item), **facts)
        self._record(change)

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
        lead = START_LEAD_SECONDS
        while True:
            self._sleep_until(slot - lead if slot is not None else None)
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
            # The database is slow: with the same lead the next slot would be missed as well, and the next.
            lead = min(HORIZON_SECONDS, lead * 2)
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

    def _bug(self, context: BatchContext, error: BaseException) -> Outcome:
        fault = Fault(ErrorCategory.INTERNAL, "operation_failed", f"The operation failed: {type(error).__name__}.")
        return Rejected(fault) if context.provider.idempotent else Unknown(fault)

    def _note_closed_account(self, context: BatchContext, outcome: Outcome) -> None:
        fault = getattr(outcome, "fault", None)
        if fault and fault.category == ErrorCategory.RATE_LIMIT and fault.retry_after:
            self._watch.close_account(context.provider.alias, closed_seconds(fault))

    def _held(self, held: HeldLease, context: BatchContext, item: LeasedItem) -> Held:
        return Held(item, held.batch_id, held.id, context.provider.alias, context.provider.idempotent, context.policy)


def _stranger(held: HeldLease, item: LeasedItem) -> Held:
    """An item of a batch that this worker could not or need not read; nothing of it was called."""
    policy = RetryPolicy(max_retries=None, window_seconds=0, backoff_seconds=None)
    return Held(item, held.batch_id, held.id, "", True, policy)


def _until_near(wait_seconds: float) -> Snooze:
    """Back while the slot is still ahead, or it would pass unused on the way through the dispatcher."""
    return Snooze(max(0.05, wait_seconds - HORIZON_SECONDS / 2))


def _is_late(slot: float | None) -> bool:
    return slot is not None and time.monotonic() > slot + SLOT_TOLERANCE_SECONDS

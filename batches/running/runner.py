"""Runs the items of leases: permits, gates, the call, its outcome; one greenlet per item.

Nothing is held during a call: no database connection, no transaction, no Redis connection.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import gevent
import redis
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from gevent.event import Event
from gevent.lock import Semaphore
from gevent.pool import Pool

from batches.backoff import RetryPolicy
from batches.limits import USUAL_TOKENS, reserve, settle
from batches.logs.fields import bind
from batches.operations import Attempt
from batches.outcomes import Fault, Outcome, Rejected, Retry, Snooze, Unknown, outcome_of_error
from batches.provider_accounts.account_states import PATIENCE_SECONDS
from batches.running import attempt_log, leases
from batches.running.account_health import AccountHealth, Judgement
from batches.running.changes import Change, Held, change_of, closed_seconds
from batches.running.context import BatchContext, Contexts, Misconfigured
from batches.running.departures import (
    NO_PERMIT_SNOOZE_SECONDS,
    Departing,
    Departures,
    HeldBack,
    Slot,
    slots_of,
    until_near,
)
from batches.running.elsewhere import elsewhere
from batches.running.learning import Usage
from batches.running.leases import AcceptedLease, LeasedItem
from batches.running.watch import HeldLease, Watch
from batches.states import SOLO_LANE
from providers.base import ChatRequest, ErrorCategory, ProviderError
from providers.departure import departing
from providers.tokens import tokens_of_question

logger = logging.getLogger(__name__)

DEADLINE_GRACE_SECONDS = 1.0

NO_ANSWER = Fault(ErrorCategory.TIMEOUT, "deadline_exceeded", "The call did not end before its deadline.")
MISCONFIGURED = Fault(
    ErrorCategory.INTERNAL,
    "misconfigured",
    "The worker does not know this operation or provider, or has no key for it.",
)
STOPPED = Fault(ErrorCategory.INTERNAL, "worker_stopped", "The worker stopped before the answer came.")


class DeadlineExceeded(BaseException):
    """The hard deadline of a call. Not an ``Exception``, so that no library on the way swallows it."""


class Abandoned(BaseException):
    """The worker stops and cannot wait for this call any longer."""


@dataclass(slots=True)
class Call:
    """What is known of one attempt while it is made.

    ``began``: when, monotonic; None where nothing was. ``left``: whether its first byte may be on the way.
    ``waited_seconds``: until limits let it leave. ``used``: see :class:`batches.operations.Attempt`.

    Where the account's tokens are limited: ``questions`` asked so far, ``guessed_tokens`` of the first one,
    ``expected_tokens`` of it and its answer, ``reserved_tokens``: what was taken of the limit before it left.
    """

    attempt_id: uuid.UUID = field(default_factory=uuid.uuid4)
    began: float | None = None
    left: bool = False
    deadline: gevent.Timeout | None = None
    waited_seconds: float = 0.0
    used: Counter[str] = field(default_factory=Counter)
    questions: int = 0
    guessed_tokens: int = 0
    expected_tokens: int = 0
    reserved_tokens: int = 0


class Runner:
    """The process-wide executor of items."""

    def __init__(self, boot_id: str, watch: Watch, record: Callable[[Change], None]) -> None:
        self.boot_id = boot_id
        self.stopping = Event()
        self._watch = watch
        self._record = record
        self._contexts = Contexts()
        self._departures = Departures(watch, self.stopping)
        self._health = AccountHealth()
        self.usage = Usage()
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
        bind(lease=lease_id)
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
            context = self._contexts.get(accepted.batch_id, accepted.provider)
            held.calls_anyway = accepted.probe or not context.waits
        except Misconfigured as error:
            logger.error("Lease %d of batch %d: %s: %s", held.id, held.batch_id, error, type(error.__cause__).__name__)
            self._leave_to_others(held, waiting, error.policy)
            return
        except Exception as error:
            # The database is away, or the batch is gone, and then nothing can be written of it either.
            logger.warning("Lease %d of batch %d cannot run: %s", held.id, held.batch_id, type(error).__name__)
            self._give_back(held, waiting, Snooze(NO_PERMIT_SNOOZE_SECONDS))
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

    def _leave_to_others(self, held: HeldLease, waiting: list[LeasedItem], policy: RetryPolicy) -> None:
        """Back for a worker that knows how, later and later; an error that staff sees, which spends only the window."""
        patient = replace(policy, max_retries=None, backoff_seconds=None)
        while waiting:
            item = waiting.pop()
            mine = replace(_stranger(held, item), policy=patient)
            change = change_of(Retry(MISCONFIGURED), mine, elapsed_seconds=item.elapsed_seconds)
            self._record(replace(change, failures=0))

    def _wait_for(self, held: HeldLease) -> None:
        while held.remaining > 0 and not self.stopping.is_set() and not self._watch.is_lost(held):
            gevent.sleep(0.05)

    def _start_items(self, held: HeldLease, context: BatchContext, waiting: list[LeasedItem]) -> None:
        slots: list[Slot | None] = [None] * len(waiting)
        ahead = context.limits and not context.counts_tokens
        if ahead and context.provider.idempotent and not self.stopping.is_set():
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

    def _take_permits(self, held: HeldLease, context: BatchContext, waiting: list[LeasedItem]) -> list[Slot | None]:
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
            looked = item.queued_seconds + (time.monotonic() - held.accepted_at)
            self._record(change_of(until_near(delay), self._held(held, context, item), queued_seconds=looked))
        del waiting[granted:]
        return list(slots_of(reservation))

    def _run_item(self, held: HeldLease, context: BatchContext, item: LeasedItem, slot: Slot | None) -> None:
        call = Call()
        ran = time.monotonic()
        _bind_log(held, context, item, call)
        outcome: Outcome
        try:
            outcome = self._call(held, context, item, slot, call)
        except HeldBack as held_back:
            outcome = held_back.snooze
        except Abandoned:
            outcome = Unknown(STOPPED) if call.left and not context.provider.idempotent else Snooze()
        except BaseException as error:
            # Also SystemExit and a deadline that came a moment late: an item without a record is running for ever.
            logger.error("Item %d: %s outside of its call", item.id, type(error).__name__)
            outcome = bug(error, call, context) if call.left else Snooze(NO_PERMIT_SNOOZE_SECONDS)
        if isinstance(outcome, Snooze) and not call.left:
            call.began = None  # it came as far as to connect, and no attempt was made
        judgement = self._judge(context, item, outcome)
        if judgement is not None:
            outcome = judgement.outcome
            if judgement.fault is not None:
                call.began = None  # it was answered, and its account is to blame: nothing is spent
        self._settle_tokens(context, call)
        ended = time.monotonic()
        facts: dict[str, Any] = {
            "attempt_id": call.attempt_id if call.began is not None else None,
            "duration_seconds": ended - call.began if call.began is not None else 0.0,
            "elapsed_seconds": item.elapsed_seconds + (ended - ran),
            "waited_seconds": call.waited_seconds,
            "queued_seconds": item.queued_seconds + (ran - held.accepted_at),
            "used": call.used,
        }
        mine = self._held(held, context, item)
        try:
            change = change_of(outcome, mine, **facts)
        except Exception as error:
            change = change_of(bug(error, call, context), mine, **facts)
        if judgement is not None:
            change = replace(change, opens_account=judgement.opens_for, fault=judgement.fault or change.fault)
        if context.chain:
            seconds = facts["elapsed_seconds"]
            change = elsewhere(change, outcome, mine, context.chain, self._is_available, elapsed_seconds=seconds)
        attempt_log.note(context.operation.name, item, change, facts["elapsed_seconds"])
        self._record(change)

    def _judge(self, context: BatchContext, item: LeasedItem, outcome: Outcome) -> Judgement | None:
        """What the answer says of the account; an account that refuses everybody is held against no item."""
        alias = context.provider.alias
        judgement = self._health.judge(alias, item.id, outcome, waits=context.waits)
        if judgement is None or not judgement.opens_for:
            return judgement
        if self._watch.is_open(alias):
            return replace(judgement, opens_for="")
        logger.warning("The breaker of account %s opens: %s", alias, judgement.opens_for)
        self._watch.open_account(alias)
        return judgement

    def _is_available(self, alias: str) -> bool:
        """Whether an account takes calls, or will in a moment."""
        return not self._watch.is_open(alias) and self._watch.seconds_closed(alias) <= PATIENCE_SECONDS

    def _foresee(self, context: BatchContext, call: Call, request: ChatRequest) -> None:
        """Expect what the first question will use; others of the same item follow it freely, and are settled."""
        call.questions += 1
        if not call.left:
            call.guessed_tokens = tokens_of_question(request)
            call.expected_tokens = self.usage.expected(context.provider.alias, request)

    def _settle_tokens(self, context: BatchContext, call: Call) -> None:
        """Correct what was reserved of the account's tokens by what was used. Without Redis it counts anew anyway."""
        if not call.reserved_tokens:
            return
        received, given = call.used["input_tokens"], call.used["output_tokens"]
        if given:
            guessed = 0 if call.questions > 1 else call.guessed_tokens
            alias = context.provider.alias
            self.usage.note(alias, guessed=guessed, input_tokens=received, output_tokens=given)
        for limit in context.limits:
            try:
                settle(limit, call.reserved_tokens, received + given)
            except redis.RedisError as error:
                logger.warning("Tokens were not settled without Redis: %s", type(error).__name__)

    def _call(self, held: HeldLease, context: BatchContext, item: LeasedItem, slot: Slot | None, call: Call) -> Outcome:
        """Let the operation make its call, which leaves at its moment."""
        self._departures.pass_gates(held, context.provider.alias)
        call.began = time.monotonic()
        if context.is_open:
            call.left = True
            return self._run(context, item, call)
        moment = Departing(held, context, item.id, call.attempt_id, slot)
        if not context.provider.departs:
            self._depart(moment, call)
            return self._run(context, item, call)
        with departing(partial(self._depart, moment, call)):
            return self._run(context, item, call)

    def _depart(self, moment: Departing, call: Call) -> None:
        """The wait is ours: it counts neither for the provider's deadline nor as the call's duration."""
        if call.deadline is not None:
            call.deadline.cancel()
        arrived = time.monotonic()
        tokens = 0
        if moment.context.counts_tokens:
            tokens = call.expected_tokens or round(self.usage.usual(moment.context.provider.alias) or USUAL_TOKENS)
        try:
            self._departures.await_moment(replace(moment, tokens=tokens))
        finally:
            if moment.context.limits:
                call.waited_seconds += time.monotonic() - arrived
        if call.deadline is not None:
            call.deadline.start()
        call.began = time.monotonic()
        call.left = True
        call.reserved_tokens = tokens

    def _run(self, context: BatchContext, item: LeasedItem, call: Call) -> Outcome:
        attempt = Attempt(
            item_id=item.id,
            owner_id=context.owner_id,
            key=item.key,
            input=item.input,
            parameters=context.parameters,
            provider=context.provider,
            reference=str(call.attempt_id),
            timeout_seconds=context.timeout_seconds,
            used=call.used,
            foresee=partial(self._foresee, context, call) if context.counts_tokens else None,
        )
        call.deadline = gevent.Timeout(context.timeout_seconds + DEADLINE_GRACE_SECONDS, DeadlineExceeded)
        call.deadline.start()
        try:
            return context.operation.run(attempt)
        except ProviderError as error:
            outcome = outcome_of_error(error, idempotent=context.provider.idempotent)
            self._note_closed_account(context, outcome)
            return outcome
        except DeadlineExceeded:
            if call.left:
                return Retry(NO_ANSWER) if context.provider.idempotent else Unknown(NO_ANSWER)
            return Retry(replace(NO_ANSWER, elsewhere=True))
        except Exception as error:
            if is_ledgers(error, context):
                return Snooze(NO_PERMIT_SNOOZE_SECONDS)
            # The traceback names code, not content: exceptions of parsers may quote what they parsed.
            logger.error("Item %d: %s in operation %s", item.id, type(error).__name__, context.operation.name)
            return bug(error, call, context)
        finally:
            call.deadline.close()
            if context.operation.uses_database:
                connection.close()

    def _note_closed_account(self, context: BatchContext, outcome: Outcome) -> None:
        fault = getattr(outcome, "fault", None)
        if fault and fault.category == ErrorCategory.RATE_LIMIT and fault.retry_after:
            self._watch.close_account(context.provider.alias, closed_seconds(fault))

    def _held(self, held: HeldLease, context: BatchContext, item: LeasedItem) -> Held:
        provider = context.provider
        return Held(
            item, held.batch_id, held.id, provider.alias, provider.idempotent, context.policy, provider.uses_sandbox
        )


def _bind_log(held: HeldLease, context: BatchContext, item: LeasedItem, call: Call) -> None:
    """What is logged from here on in this greenlet is about this attempt."""
    bind(
        batch=context.public_id,
        item=item.id,
        lease=held.id,
        provider=context.provider.alias,
        attempt=call.attempt_id,
    )


def _stranger(held: HeldLease, item: LeasedItem) -> Held:
    """An item of a batch that this worker could not or need not read; nothing of it was called."""
    policy = RetryPolicy(max_retries=None, window_seconds=0, backoff_seconds=None)
    return Held(item, held.batch_id, held.id, "", True, policy)


def is_ledgers(error: Exception, context: BatchContext) -> bool:
    """Whether an operation over our own database only met its absence: nothing was spent, and it runs again."""
    return (
        context.operation.uses_database
        and context.provider.idempotent
        and isinstance(error, OperationalError | InterfaceError)
    )


def bug(error: BaseException, call: Call, context: BatchContext) -> Outcome:
    """What a failure of ours around a call means, which may have reached a person."""
    fault = Fault(ErrorCategory.INTERNAL, "operation_failed", f"The operation failed: {type(error).__name__}.")
    return Unknown(fault) if call.left and not context.provider.idempotent else Rejected(fault)

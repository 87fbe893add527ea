"""The way of one call to its first byte: its slot, the gates, and the committed start where it must not happen twice.

All of it happens after the connection is made and before anything is sent (``providers/departure.py``), so that a call
leaves exactly at its slot: neither a slow handshake nor a stopped process nor a slow database makes it late unnoticed.
A slot that was missed is lost; the call reserves another one.
"""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass

import gevent
from django.db import connection
from gevent.event import Event

from batches.limits import HORIZON_SECONDS, Limit, Reservation, reserve
from batches.outcomes import Snooze
from batches.running import leases
from batches.running.context import BatchContext
from batches.running.watch import HeldLease, Watch

logger = logging.getLogger(__name__)

SLOT_TOLERANCE_SECONDS = 0.06
"""A slot missed by more is lost, or late calls would crowd one second; half the way to the next where that is more."""
LARGEST_TOLERANCE_SECONDS = 0.25
ONCE_HORIZON_SECONDS = 0.15
"""A call that must not happen twice reserves no further ahead: enough to commit its start. What a worker holds when it
stops is lost to all, and what it has committed is in doubt when it dies."""
PATIENCE_SECONDS = 2.0
"""So long such a call waits for a slot within its horizon, connected and holding nothing."""
ASK_AGAIN_SECONDS = 0.1
"""Also before one can come: a limit that Redis forgot counts anew from the first question."""
MOST_MISSED_SLOTS = 5
"""A worker that is so late again and again leaves the item, and the slots, to others."""
NO_PERMIT_SNOOZE_SECONDS = 1.0


class HeldBack(BaseException):
    """The call must not leave now, and nothing of it has. Not an ``Exception``, so that no library swallows it."""

    def __init__(self, snooze: Snooze) -> None:
        super().__init__()
        self.snooze = snooze


@dataclass(frozen=True, slots=True)
class Slot:
    """When a call may leave: between two instants of ``time.monotonic()``."""

    earliest: float
    latest: float

    @property
    def is_missed(self) -> bool:
        """Whether it is too late to leave in it."""
        return time.monotonic() > self.latest


@dataclass(frozen=True, slots=True)
class Departing:
    """An attempt that is about to be made. ``slot``: reserved already; only calls that may be repeated have one.
    ``tokens``: what it is expected to use, where tokens are limited."""

    held: HeldLease
    context: BatchContext
    item_id: int
    attempt_id: uuid.UUID
    slot: Slot | None
    tokens: int = 0

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The limits as this call meets them."""
        return tuple(limit.for_call(self.tokens) for limit in self.context.limits)


def slots_of(reservation: Reservation) -> list[Slot]:
    """The reserved slots. What is uncertain about their instants is taken off the time in which they may be used."""
    tolerance = max(SLOT_TOLERANCE_SECONDS, min(LARGEST_TOLERANCE_SECONDS, reservation.spacing_seconds / 2))
    usable = tolerance - reservation.uncertain_seconds
    return [Slot(instant, instant + usable) for instant in reservation.slots]


def until_near(wait_seconds: float) -> Snooze:
    """Back while the slot is still ahead, or it would pass unused on the way through the dispatcher."""
    return Snooze(max(0.05, wait_seconds - HORIZON_SECONDS / 2), for_limits=True)


class Departures:
    """Brings the calls of this process to their moment."""

    def __init__(self, watch: Watch, stopping: Event) -> None:
        self._watch = watch
        self._stopping = stopping
        self._mark_first = False

    def pass_gates(self, held: HeldLease, alias: str) -> None:
        """Raises :class:`HeldBack` where no call may start now: stopped, lost, paused, closed."""
        while self._watch.is_stale and not self._stopping.is_set() and not self._watch.is_lost(held):
            gevent.sleep(0.05)
        if self._stopping.is_set() or self._watch.is_lost(held) or self._watch.is_stopped(held.batch_id):
            raise HeldBack(Snooze())
        if not held.calls_anyway and self._watch.is_open(alias):
            raise HeldBack(Snooze(NO_PERMIT_SNOOZE_SECONDS))
        closed = self._watch.seconds_closed(alias)
        if closed:
            raise HeldBack(Snooze(closed, for_limits=True))

    def await_moment(self, departing: Departing) -> None:
        """Return at the moment at which the call may leave. Raises :class:`HeldBack` and nothing else."""
        try:
            if departing.context.provider.idempotent:
                self._keep_slot(departing)
            else:
                self._start_once(departing)
        except Exception as error:
            # Redis, the database, or a bug of ours: nothing was sent, so nothing is spent.
            logger.warning("Item %d may not leave: %s", departing.item_id, type(error).__name__)
            raise HeldBack(Snooze(NO_PERMIT_SNOOZE_SECONDS)) from error

    def _keep_slot(self, departing: Departing) -> None:
        slot = departing.slot
        if departing.context.counts_tokens:
            slot = self._reserve(departing, HORIZON_SECONDS)
        for _ in range(MOST_MISSED_SLOTS):
            if self._is_on_time(departing, slot):
                return
            slot = self._reserve(departing, HORIZON_SECONDS, patience_seconds=0.0)
        raise HeldBack(Snooze(NO_PERMIT_SNOOZE_SECONDS))

    def _start_once(self, departing: Departing) -> None:
        """Commit the start before the bytes leave, because afterwards nobody could tell whether they did.

        It is committed shortly before the slot, since a worker that dies between them leaves an item in doubt. Where
        that takes long it is committed before the slot is reserved: a slow database costs one slot, not all of them.
        """
        mark_first = self._mark_first
        for _ in range(MOST_MISSED_SLOTS):
            if mark_first:
                self._reserve(departing, ONCE_HORIZON_SECONDS, number=0)
                self._mark(departing)
            slot = self._reserve(departing, ONCE_HORIZON_SECONDS)
            if not mark_first:
                self._mark(departing)
            if self._is_on_time(departing, slot):
                return
            mark_first = True
        raise HeldBack(Snooze(NO_PERMIT_SNOOZE_SECONDS))

    def _is_on_time(self, departing: Departing, slot: Slot | None) -> bool:
        """Wait for the slot; whether the call may leave in it."""
        self._sleep_until(slot.earliest if slot is not None else None)
        self.pass_gates(departing.held, departing.context.provider.alias)
        return slot is None or not slot.is_missed

    def _mark(self, departing: Departing) -> None:
        """Commit the start; a second time as well, to see that lease and batch are still what they were."""
        self.pass_gates(departing.held, departing.context.provider.alias)
        began = time.monotonic()
        try:
            marked = leases.mark_started(departing.item_id, departing.held.id, departing.attempt_id)
        finally:
            connection.close()
        self._mark_first = time.monotonic() - began > ONCE_HORIZON_SECONDS / 2
        if not marked:
            raise HeldBack(Snooze())

    def _reserve(
        self,
        departing: Departing,
        horizon_seconds: float,
        *,
        number: int = 1,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> Slot | None:
        """Reserve a slot, or wait until one comes within the horizon; None where nothing is limited.

        With ``number`` 0 none is reserved, only waited until one is within the horizon.
        """
        limits = departing.limits
        if not limits:
            return None
        given_up_at = time.monotonic() + patience_seconds
        while True:
            reservation = reserve(limits, number, horizon_seconds=horizon_seconds)
            if reservation.slots:
                return slots_of(reservation)[0]
            until_in_reach = reservation.next_wait_seconds - horizon_seconds
            if number == 0 and until_in_reach <= 0:
                return None
            if time.monotonic() + until_in_reach > given_up_at:
                raise HeldBack(until_near(reservation.next_wait_seconds))
            self._sleep_until(time.monotonic() + min(ASK_AGAIN_SECONDS, max(0.005, until_in_reach)))
            self.pass_gates(departing.held, departing.context.provider.alias)

    def _sleep_until(self, instant: float | None) -> None:
        """Sleep, but not past the order to stop."""
        if instant is not None:
            delay = instant - time.monotonic()
            if delay > 0:
                self._stopping.wait(delay)

"""The dispatcher: a process of its own that claims, publishes, rescues, starts, sweeps and settles.

Any number may run; the one that holds the advisory lock works. It keeps nothing that another could not read anew.
"""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from django.conf import settings
from django.db import Error, InterfaceError, InternalError, OperationalError

from batches import finishing, loading
from batches.dispatching import claim, rescue, settle
from batches.dispatching.allotment import Allotment
from batches.dispatching.concerns import Concerns, idle_workers, waiting_lanes
from batches.dispatching.detours import with_detours
from batches.dispatching.elsewhere import Elsewhere
from batches.dispatching.floors import Floors
from batches.dispatching.leader import Leadership
from batches.dispatching.probes import claim_probes
from batches.dispatching.publish import MESSAGE_LOST_SECONDS, Publication
from batches.dispatching.window import Window, read_window
from batches.economy import bell, deadline, gathering
from batches.money.budgets import hold_spent
from batches.progress import BatchFacts, publisher
from batches.provider_accounts.credentials import look_again
from batches.running.watch import farewell, forget_silent, heartbeat
from batches.states import FINAL_BATCH_STATUSES
from batches.text_messages import receipts

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.1
STANDBY_SECONDS = 1.0
HEARTBEAT_SECONDS = 2.0
UPKEEP_SECONDS = 0.25
ECONOMY_SECONDS = 0.5
RECEIPTS_SECONDS = 2.0
OLD_RECEIPTS_SECONDS = 300.0
RESCUE_SECONDS = 1.0
STEADY_SECONDS = 15.0
"""Rescue only after so much unbroken database: after an outage workers must have had time to renew their leases."""
WORKER_FORGOTTEN_SECONDS = 3600
REST_SECONDS = 5.0
"""A duty that failed is not tried again for so long."""

Result = TypeVar("Result")


class Every:
    """Says when a duty is due again."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def due(self, now: float) -> bool:
        """Whether the time has come; if so, the next time is set."""
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


class Dispatcher:
    """The loop. ``stop`` may be called from a signal handler; ``beat`` is called after each round."""

    def __init__(self, publication: Publication, *, beat: Callable[[], None] = lambda: None) -> None:
        self.boot_id = f"dispatcher-{socket.gethostname()[:32]}-{secrets.token_hex(8)}"
        self._publication = publication
        self._beat = beat
        self._leadership = Leadership()
        self._allotment = Allotment()
        self._elsewhere = Elsewhere(self._allotment)
        self._concerns = Concerns()
        self._floors = Floors()
        self._stopping = threading.Event()
        self._heartbeat = Every(HEARTBEAT_SECONDS)
        self._upkeep = Every(UPKEEP_SECONDS)
        self._rescue = Every(RESCUE_SECONDS)
        self._lost = Every(1.0)
        self._finishes = Every(UPKEEP_SECONDS)
        self._economy = Every(ECONOMY_SECONDS)
        self._steps = Every(ECONOMY_SECONDS)
        self._receipts = Every(RECEIPTS_SECONDS)
        self._old_receipts = Every(OLD_RECEIPTS_SECONDS)
        self._depose = Every(10.0)
        self._worry = Every(10.0)
        self._tidy = Every(60.0)
        self._resting_until: dict[str, float] = {}
        self._rescued = 0

    def stop(self) -> None:
        """End after the tick under way."""
        self._stopping.set()

    def run(self) -> None:
        """Work until stopped; a database fault ends the leadership, not the process."""
        logger.info("Dispatcher %s started", self.boot_id)
        while not self._stopping.is_set():
            try:
                pause = self.tick()
            except Error as error:
                logger.warning("The database did not answer: %s", type(error).__name__)
                self._leadership.lose()
                pause = STANDBY_SECONDS
            self._beat()
            self._stopping.wait(pause)
        self._goodbye()

    def tick(self) -> float:
        """One round of duties; returns how long to sleep after it."""
        now = time.monotonic()
        if self._heartbeat.due(now):
            heartbeat(self.boot_id, "dispatcher", {"leader": 1} if self._leadership.is_held else {}, 0)
        led = self._leadership.is_held
        if not self._leadership.hold():
            if self._depose.due(now) and self._leadership.depose_silent():
                logger.warning("The leading dispatcher was silent for too long: its session was ended")
            return STANDBY_SECONDS
        if not led:  # said at once, or a standby takes the new leader for one that fell silent
            heartbeat(self.boot_id, "dispatcher", {"leader": 1}, 0)
        self._tend(now)
        loaded = self._attend(loading.load_chunk, now)
        if self._rescue.due(now) and self._leadership.steady_seconds >= STEADY_SECONDS:
            self._attend(self._rescue_all, now)
        if self._publication.is_open(now):
            self._ring_for_finishes(now)
            self._ring_for_steps(now)
            if self._lost.due(now):
                self._publication.publish_lost(claim.unaccepted(MESSAGE_LOST_SECONDS), now)
            self._dispatch(now)
        self._attend(self._tell_concerns, now)
        return 0.0 if loaded else TICK_SECONDS

    def _tend(self, now: float) -> None:
        """What looks at batches and at what came in, and hands nothing out."""
        if self._upkeep.due(now):
            look_again()
            for duty in (settle.start_scheduled, settle.sweep_cancelled, settle.settle, hold_spent):
                self._announce(self._attend(duty, now) or ())
        if self._receipts.due(now):
            old = self._old_receipts.due(now)
            self._announce(self._attend(receipts.match_all_open if old else receipts.match_open, now) or ())
        if self._economy.due(now):
            for economy_duty in (deadline.turn_fast, gathering.gather, bell.hasten):
                self._attend(economy_duty, now)

    def _attend(self, duty: Callable[[], Result], now: float) -> Result | None:
        """See to one duty. What one odd row does to it must not keep the others from theirs; it rests a while."""
        name = duty.__name__
        if now < self._resting_until.get(name, 0.0):
            return None
        try:
            return duty()
        except (OperationalError, InterfaceError, InternalError):
            raise  # the database's, not the duty's
        except Exception as error:
            # The kind alone: Postgres quotes the row that it refused.
            logger.error("The dispatcher's duty %s failed: %s", name, type(error).__name__)
            self._resting_until[name] = now + REST_SECONDS
            return None

    def _ring_for_finishes(self, now: float) -> None:
        """Have a worker finish the batches whose last item is final: making a file of them all takes its time."""
        if self._finishes.due(now):
            self._publication.publish_finishes(self._attend(finishing.ring, now) or (), now)

    def _ring_for_steps(self, now: float) -> None:
        """Have workers take the next steps of batches at providers: calling those is nothing for a dispatcher."""
        if self._steps.due(now):
            self._publication.publish_steps(self._attend(bell.ring, now) or (), now)

    def _tell_concerns(self) -> None:
        now = time.monotonic()
        if not self._worry.due(now):
            return
        found = idle_workers()
        if self._leadership.steady_seconds >= settings.LANE_WAIT_SECONDS:  # who led before served lanes as well
            found += waiting_lanes(read_window(), self._allotment.served_at, now)
        self._concerns.tell(self.boot_id, found, now, rescued=self._rescued)

    def _rescue_all(self) -> None:
        while True:
            leases, facts = rescue.rescue()
            self._announce(facts)
            self._rescued += leases
            if leases:
                logger.warning("Rescued %d leases", leases)
            if leases < rescue.RESCUE_LIMIT:
                return

    def _dispatch(self, now: float) -> None:
        window = read_window()
        if self._tidy.due(now):
            self._allotment.forget_ended(window, now)
            forget_silent(WORKER_FORGOTTEN_SECONDS)
        if window.workers == 0 or not window.batches:
            return
        suspects = rescue.claim_suspects(window)
        if suspects:
            self._publish(suspects, now)
            window = read_window()  # they take of the room of their batches
        probes = claim_probes(window)
        if probes:
            self._publish(probes, now)
        elsewhere = self._elsewhere.claim(window, now)
        if elsewhere:
            self._publish(elsewhere, now)
            window = read_window()
        while self._claim_once(with_detours(window), now) >= claim.FULL_CLAIM and self._may_claim_more(now):
            window = read_window()

    def _may_claim_more(self, now: float) -> bool:
        """Not while nothing can be published: the same items would be claimed and given back for ever."""
        return self._publication.is_open(now) and not self._stopping.is_set()

    def _claim_once(self, window: Window, now: float) -> int:
        shares, routes = self._allotment.shares(window, now)
        if not shares:
            return 0
        claimed = claim.claim(shares, routes, self._floors)
        self._publish(claimed.leases, now)
        for batch_id in self._allotment.took(window, shares, claimed.taken, now):
            if not self._floors.leave(batch_id):
                self._allotment.nothing_due(batch_id, claim.seconds_until_due(batch_id), now)
        return sum(claimed.taken.values())

    def _publish(self, leases: Sequence[tuple[int, str]], now: float) -> None:
        """After the commit: a message per lease. What cannot be published is given back at once."""
        failed = self._publication.publish(leases, now)
        if failed:
            claim.release(failed)
            self._floors.clear()

    def _announce(self, facts: Iterable[BatchFacts]) -> None:
        for fact in facts:
            publisher.announce("completed" if fact.status in FINAL_BATCH_STATUSES else "progress", fact)

    def _goodbye(self) -> None:
        for duty in (publisher.flush, lambda: farewell(self.boot_id), self._leadership.lose):
            _quietly(duty)
        logger.info("Dispatcher %s stopped", self.boot_id)


def _quietly(duty: Callable[[], None]) -> None:
    try:
        duty()
    except Error:
        logger.warning("The database did not answer at the end; nothing depends on it")

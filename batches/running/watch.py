"""What may stop a call from starting, kept fresh in this process by two loops.

Every half second: which batches in hand are not running any more, and which accounts are closed. Every five seconds:
all leases are renewed. A call may start only while both are fresh, so a process that was stopped, or cut off from the
database, starts nothing when it wakes.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import gevent
from django.conf import settings
from django.db import Error, connection

from batches.provider_accounts.account_states import known_accounts, read_states
from batches.provider_accounts.credentials import look_again
from batches.running import leases

logger = logging.getLogger(__name__)

WATCH_SECONDS = 0.5
RENEW_SECONDS = 5.0
HEARTBEAT_SECONDS = 2.0
STALE_SECONDS = 3.0
LEASE_MARGIN_SECONDS = 2.0
NOTED_SECONDS = 5.0
"""An account closed by an answer here counts as closed for so long, whether or not it is recorded by then."""


class HeldLease:
    """A lease this process has. ``valid_until`` (monotonic) is a little before the database's expiry.

    ``remaining``: items that are not recorded yet. ``running``: those of them that have no outcome yet, either;
    ``moved_at``: when one had. ``accepted_at``: monotonic. ``calls_anyway``: also a provider whose breaker is open.
    """

    __slots__ = ("accepted_at", "batch_id", "calls_anyway", "id", "moved_at", "remaining", "running", "valid_until")

    def __init__(self, lease_id: int, batch_id: int, size: int, accepted_at: float) -> None:
        self.id = lease_id
        self.batch_id = batch_id
        self.remaining = self.running = size
        self.accepted_at = self.moved_at = accepted_at
        self.calls_anyway = False
        self.valid_until = accepted_at + leases.LEASE_SECONDS - LEASE_MARGIN_SECONDS


class Watch:
    """The state of everything this process has in hand."""

    def __init__(self, boot_id: str) -> None:
        self.boot_id = boot_id
        self.in_flight = 0
        self.accepted = self.recorded_items = self.unrecorded = 0
        self.accepted_at = self.moved_at = time.monotonic()
        self._timeouts: dict[int, float] = {}
        self._leases: dict[int, HeldLease] = {}
        self._stopped: frozenset[int] = frozenset()
        self._closed_until: dict[str, float] = {}
        self._noted: dict[str, tuple[float, float]] = {}
        self._noted_open: dict[str, float] = {}
        self._read_at = 0.0
        self._beaten_at = 0.0
        self._greenlets: list[gevent.Greenlet[..., None]] = []

    def start(self) -> None:
        """Begin to watch and to renew."""
        self._greenlets = [
            gevent.spawn(self._repeat, self._look, WATCH_SECONDS),
            gevent.spawn(self._repeat, self._renew, RENEW_SECONDS),
        ]

    def stop(self) -> None:
        """End both loops."""
        gevent.killall(self._greenlets)

    def add(self, lease: leases.AcceptedLease, accepted_at: float) -> HeldLease:
        """Begin to hold a lease; it is renewed until its last item is recorded."""
        held = HeldLease(lease.id, lease.batch_id, len(lease.items), accepted_at)
        self._leases[lease.id] = held
        self.accepted += 1
        self.accepted_at = time.monotonic()
        return held

    def has_outcome(self, lease_id: int) -> None:
        """An item of this lease came back, and waits to be recorded."""
        self.unrecorded += 1
        self.moved_at = time.monotonic()
        held = self._leases.get(lease_id)
        if held is not None:
            held.running -= 1
            held.moved_at = self.moved_at

    def recorded(self, numbers: Counter[int]) -> None:
        """So many items of these leases are recorded."""
        for lease_id, number in numbers.items():
            self.recorded_items += number
            self.unrecorded -= number
            held = self._leases.get(lease_id)
            if held is not None:
                held.remaining -= number
                if held.remaining <= 0:
                    del self._leases[lease_id]

    def close_account(self, alias: str, seconds: float) -> None:
        """Known here at once; everybody else reads it from the database."""
        now = time.monotonic()
        until = max(self._closed_until.get(alias, 0.0), now + seconds)
        self._closed_until[alias] = until
        self._noted[alias] = (now, until)

    def open_account(self, alias: str) -> None:
        """Its breaker opens: known here at once, in the database within a moment."""
        self._noted_open[alias] = time.monotonic()

    def is_open(self, alias: str) -> bool:
        """Whether the account's breaker is open, so that nothing but a probe is sent."""
        noted = self._noted_open.get(alias)
        return known_accounts.state(alias).is_open or (noted is not None and time.monotonic() - noted < NOTED_SECONDS)

    def seconds_closed(self, alias: str) -> float:
        """How much longer the account is closed; 0 when it is open."""
        until = self._closed_until.get(alias)
        return max(0.0, until - time.monotonic()) if until else 0.0

    def is_lost(self, held: HeldLease) -> bool:
        """Whether the lease may be somebody else's by now."""
        return time.monotonic() > held.valid_until

    def is_stopped(self, batch_id: int) -> bool:
        """Whether the batch was paused, cancelled or deleted at the last look."""
        return batch_id in self._stopped

    def stop_batch(self, batch_id: int) -> None:
        """Known here at once: what was recorded last has paused it. The next look says whether it still is."""
        self._stopped |= {batch_id}

    @property
    def longest_call_seconds(self) -> float:
        """How long a call of the batches in hand may take."""
        return max(self._timeouts.values(), default=0.0)

    def seconds_unrenewed(self) -> float:
        """How long the oldest lease in hand has been invalid, although it should have been renewed or dropped."""
        oldest = min((held.valid_until for held in self._leases.values()), default=float("inf"))
        return max(0.0, time.monotonic() - oldest)

    @property
    def is_stale(self) -> bool:
        """Whether the last look is too old to start anything on it."""
        return time.monotonic() - self._read_at > STALE_SECONDS

    def _repeat(self, action: Callable[[], None], interval: float) -> None:
        while True:
            # Whatever happens: without these loops nothing starts here, or nothing ends.
            try:
                action()
            except Error as error:
                logger.warning("The database did not answer: %s", type(error).__name__)
            except Exception:
                logger.exception("A look or a renewal failed")
            with suppress(Error):
                connection.close()
            gevent.sleep(interval)

    def _look(self) -> None:
        now = time.monotonic()
        in_hand = {held.batch_id for held in self._leases.values()}
        with connection.cursor() as cursor:
            if in_hand:
                cursor.execute(
                    "SELECT id, status = 'running', timeout_ms FROM batches_batch WHERE id = ANY(%s)", [sorted(in_hand)]
                )
                rows = cursor.fetchall()
                self._stopped = frozenset(in_hand - {batch_id for batch_id, runs, _ in rows if runs})
                self._timeouts = {batch_id: timeout / 1000 for batch_id, _, timeout in rows}
            else:
                self._stopped = frozenset()
            states = read_states(cursor)
            known_accounts.replace(states)
            closed = {alias: state.reopening_in or 0.0 for alias, state in states.items()}
            self._closed_until = self._with_noted(
                {alias: now + seconds for alias, seconds in closed.items() if seconds > 0}, now
            )
            self._read_at = now
            look_again()
            if now - self._beaten_at >= HEARTBEAT_SECONDS:
                heartbeat(self.boot_id, "worker", dict(settings.WORKER_CAPACITY), self.in_flight)
                self._beaten_at = now

    def _with_noted(self, recorded: dict[str, float], now: float) -> dict[str, float]:
        """What the database knows, and what it does not know yet."""
        self._noted = {alias: note for alias, note in self._noted.items() if now - note[0] < NOTED_SECONDS}
        return recorded | {alias: max(until, recorded.get(alias, 0.0)) for alias, (_, until) in self._noted.items()}

    def _renew(self) -> None:
        self._give_up_silent()
        if not self._leases:
            return
        asked = list(self._leases)
        before = time.monotonic()
        held = leases.renew(self.boot_id, asked)
        for lease_id in asked:
            lease = self._leases.get(lease_id)
            if lease is None:
                continue
            if lease_id in held:
                lease.valid_until = before + leases.LEASE_SECONDS - LEASE_MARGIN_SECONDS
            else:
                lease.valid_until = 0.0
                del self._leases[lease_id]

    def _give_up_silent(self) -> None:
        """Do not renew for ever what makes no outcome, long after its calls should have ended.

        It expires, and rescue treats its items as those of a dead worker. A call may take its timeout; before it, an
        item may wait for the place of another that takes as long.
        """
        now, limit = time.monotonic(), patience(self.longest_call_seconds)
        for held in list(self._leases.values()):
            if held.running <= 0 or now - held.moved_at <= limit:
                continue
            logger.error(
                "Lease %d of batch %d: %d items made no outcome for %.0f s; it is given up",
                *(held.id, held.batch_id, held.running, now - held.moved_at),
            )
            held.valid_until = 0.0
            del self._leases[held.id]


def patience(call_seconds: float) -> float:
    """Seconds after which nothing will come any more of items whose calls may take so long."""
    return 2 * call_seconds + float(settings.STANDSTILL_SECONDS)


def heartbeat(boot_id: str, role: str, capacity: dict[str, int], in_flight: int) -> None:
    """Say that this process lives, by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO batches_worker (boot_id, role, hostname, process_id, capacity, in_flight)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (boot_id) DO UPDATE"
            " SET seen_at = clock_timestamp(), in_flight = EXCLUDED.in_flight, capacity = EXCLUDED.capacity",
            [boot_id, role, socket.gethostname(), os.getpid(), json.dumps(capacity), in_flight],
        )


def farewell(boot_id: str) -> None:
    """Remove the process's row: it has ended in order."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM batches_worker WHERE boot_id = %s", [boot_id])


def forget_silent(seconds: float) -> None:
    """Remove the rows of processes that were not heard of for so long: killed ones say no goodbye."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM batches_worker WHERE seen_at < now() - %s * interval '1 second'", [seconds])

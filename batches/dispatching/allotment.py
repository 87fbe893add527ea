"""From the window to shares: what each batch may be given now, by lane, limit and fairness."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

from batches.dispatching.claim import FULL_CLAIM, LEASE_SIZE, Route
from batches.dispatching.pace import Paces, acquaintance, slow_start
from batches.dispatching.shares import Demand, fair_shares
from batches.dispatching.window import LOW_SHARE, Runnable, Window
from batches.limits import Limit, limits_of, slowest
from batches.provider_accounts.accounts import known_provider
from batches.states import Channel, Priority, WhenUnavailable, lane_name

UNACCEPTED_SECONDS = 2.0
"""So many seconds' worth of a limit's permits may wait in the queue and no more. Workers that are too slow to take
messages as fast as the limit passes would else find only such whose leases have expired, and serve nobody."""
LIMITED_LEASE_SECONDS = 0.2
"""A lease of a limited lane holds so many seconds' worth of permits, at least one."""


class Allotment:
    """Remembers between claims who was served when, how fast limits pass, and which batches have nothing due."""

    def __init__(self, beside: Allotment | None = None) -> None:
        """``beside``: another one, whose paces and memory of who was served it shares: other items of the batches."""
        self._paces: Paces = Paces() if beside is None else beside._paces
        self._last_served: dict[int, float] = {} if beside is None else beside._last_served
        self._nothing_due_until: dict[int, float] = {}
        self._first_called: dict[str, float] = {}
        self._first_calls = Counter[str]()

    def shares(self, window: Window, now: float) -> tuple[dict[int, int], dict[int, Route]]:
        """Slots per batch for one claim, and the route of each batch."""
        shares: dict[int, int] = {}
        used_by_provider: dict[str, int] = {}
        permits_left: dict[str, int] = {}
        waiting = _waiting_by_limit(window)
        for channel in Channel.values:
            for priority in (Priority.HIGH, Priority.LOW, Priority.NORMAL):
                batches = [batch for batch in window.batches if (batch.channel, batch.priority) == (channel, priority)]
                slots = self._slots(window, channel, priority, shares)
                demands = [Demand(b.id, b.owner_id, self._wanted(window, b, used_by_provider, now)) for b in batches]
                given = fair_shares(slots, demands, self._last_served)
                self._bound_by_accounts(window, batches, given, used_by_provider, now)
                self._bound_by_limits(batches, given, permits_left, waiting, now)
                for batch in batches:
                    taken = given.get(batch.id, 0)
                    used_by_provider[batch.provider] = used_by_provider.get(batch.provider, 0) + taken
                shares |= {batch_id: number for batch_id, number in given.items() if number > 0}
        served = [batch for batch in window.batches if batch.id in shares]
        by_lane = Counter[tuple[str, str]]()
        for batch in served:
            by_lane[batch.channel, batch.priority] += shares[batch.id]
        routes = {batch.id: self._route(window, batch, by_lane[batch.channel, batch.priority]) for batch in served}
        return shares, routes

    def took(self, window: Window, shares: Mapping[int, int], taken: Mapping[int, int], now: float) -> list[int]:
        """Settle a claim; returns the batches that had fewer due items than their share."""
        by_id = {batch.id: batch for batch in window.batches}
        for batch_id, number in taken.items():
            self._last_served[batch_id] = now
            if by_id[batch_id].provider in self._first_called:
                self._first_calls[by_id[batch_id].provider] += number
            for limit in _limits(by_id[batch_id]):
                self._paces.get(limit.name, limit.per_second, now).spend(number)
        return [batch_id for batch_id, share in shares.items() if taken.get(batch_id, 0) < share]

    @property
    def served_at(self) -> Mapping[int, float]:
        """When something of a batch was handed out last (monotonic)."""
        return self._last_served

    def nothing_due(self, batch_id: int, seconds: float | None, now: float) -> None:
        """Leave the batch out until its next item is due, but look again after a second: it may be changed."""
        self._nothing_due_until[batch_id] = now + min(1.0, 1.0 if seconds is None else max(0.0, seconds))

    def forget_ended(self, window: Window, now: float) -> None:
        """Drop what is remembered of batches that are not running any more."""
        running = {batch.id for batch in window.batches}
        for memory in (self._last_served, self._nothing_due_until):
            for batch_id in memory.keys() - running:
                del memory[batch_id]
        self._paces.forget_idle(now)

    def _slots(self, window: Window, channel: str, priority: str, shares: Mapping[int, int]) -> int:
        lanes = {batch.id: (batch.channel, batch.priority) for batch in window.batches}
        claimed = sum(number for batch_id, number in shares.items() if lanes[batch_id][0] == channel)
        free = window.free(channel, priority) - claimed
        if priority == Priority.LOW and any(lane == (channel, Priority.NORMAL) for lane in lanes.values()):
            free = math.ceil(free * LOW_SHARE)
        if priority == Priority.HIGH and any(lane[0] == channel and lane[1] != priority for lane in lanes.values()):
            free -= window.kept_from_high(channel)
        return max(0, min(FULL_CLAIM, free))

    def _wanted(self, window: Window, batch: Runnable, used: Mapping[str, int], now: float) -> int:
        if self._nothing_due_until.get(batch.id, 0.0) > now or window.reopening_in.get(batch.provider, -1.0) > 0:
            return 0
        if window.state(batch.provider).is_open and batch.when_unavailable != WhenUnavailable.FAIL:
            return 0
        leased = window.leased_by_batch.get(batch.id, 0)
        wanted = batch.unfinished - leased
        if batch.concurrency is not None:
            wanted = min(wanted, batch.concurrency - leased)
        wanted = min(wanted, window.affordable.get(batch.id, wanted))
        provider_slots = self._provider_slots(window, batch.provider, now)
        if provider_slots is not None:
            wanted = min(wanted, provider_slots - used.get(batch.provider, 0))
        for limit in _limits(batch):
            wanted = min(wanted, self._paces.get(limit.name, limit.per_second, now).available(now))
        return max(0, wanted)

    def _provider_slots(self, window: Window, alias: str, now: float) -> int | None:
        """Calls in flight an account may still take: its own ceiling, what it was seen to bear, a slow start after it
        reopened; and, until its first answer said what its limits are, few calls in all."""
        if not alias:
            return None
        ceilings: list[int] = []
        provider, state = known_provider(alias), window.state(alias)
        if provider is not None and provider.limits.max_in_flight is not None:
            ceilings.append(provider.limits.max_in_flight)
        if state.concurrency is not None:
            ceilings.append(max(1, int(state.concurrency)))
        reopened = window.reopening_in.get(alias)
        if reopened is not None and not state.requests_per_minute:
            ceilings.append(slow_start(-reopened))
        slots = [ceiling - window.leased_by_provider.get(alias, 0) for ceiling in ceilings]
        if not state.is_known and getattr(provider, "names_limits", False):
            seconds = now - self._first_called.setdefault(alias, now)
            slots.append(acquaintance(seconds) - self._first_calls[alias])
        elif self._first_called.pop(alias, None) is not None:
            del self._first_calls[alias]
        return max(0, min(slots)) if slots else None

    def _bound_by_accounts(
        self, window: Window, batches: Iterable[Runnable], given: dict[int, int], used: Mapping[str, int], now: float
    ) -> None:
        """Batches of one account share the calls in flight that it takes; those served longest ago first."""
        left: dict[str, int] = {}
        for batch in sorted(batches, key=lambda batch: self._last_served.get(batch.id, 0.0)):
            slots = self._provider_slots(window, batch.provider, now)
            if slots is None or batch.id not in given:
                continue
            left.setdefault(batch.provider, max(0, slots - used.get(batch.provider, 0)))
            given[batch.id] = min(given[batch.id], left[batch.provider])
            left[batch.provider] -= given[batch.id]

    def _bound_by_limits(
        self,
        batches: Iterable[Runnable],
        given: dict[int, int],
        left: dict[str, int],
        waiting: Mapping[str, int],
        now: float,
    ) -> None:
        """Batches that share a limit share its pace as well, across priorities; those served longest ago first."""
        for batch in sorted(batches, key=lambda batch: self._last_served.get(batch.id, 0.0)):
            for limit in _limits(batch):
                pace = self._paces.get(limit.name, limit.per_second, now)
                room = max(2, int(limit.per_second * UNACCEPTED_SECONDS)) - waiting.get(limit.name, 0)
                left.setdefault(limit.name, max(0, min(pace.available(now), room)))
            allowed = min((left[limit.name] for limit in _limits(batch)), default=None)
            if allowed is None or batch.id not in given:
                continue
            given[batch.id] = min(given[batch.id], allowed)
            for limit in _limits(batch):
                left[limit.name] -= given[batch.id]

    def _route(self, window: Window, batch: Runnable, in_lane: int) -> Route:
        """Few big leases on an open lane, but enough of them for every worker to have some; small ones under a limit.

        Workers take from all batches of a lane: of what is claimed ``in_lane``, not of each batch, all must have some.
        """
        size = min(LEASE_SIZE, max(1, math.ceil(in_lane / (2 * max(1, window.workers)))))
        limit = slowest(_limits(batch))
        if limit is not None:
            size = min(size, max(1, int(limit.per_second * LIMITED_LEASE_SECONDS)))
        lane = lane_name(batch.channel, batch.priority)
        return Route(lane, batch.channel, batch.provider, size, batch.least_attempts)


def _waiting_by_limit(window: Window) -> Counter[str]:
    """Items of each limit that no worker has taken yet."""
    waiting = Counter[str]()
    for batch in window.batches:
        if number := window.unaccepted_by_batch.get(batch.id, 0):
            waiting.update({limit.name: number for limit in _limits(batch)})
    return waiting


def _limits(batch: Runnable) -> tuple[Limit, ...]:
    return limits_of(batch, known_provider(batch.provider))

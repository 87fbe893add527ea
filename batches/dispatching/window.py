"""How much may be under way now, read from the ledger: workers' capacity, leases, closed accounts."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import connection

from batches.money import budgets
from batches.provider_accounts.account_states import NOTHING_KNOWN, AccountState, known_accounts, read_states
from batches.states import ECONOMY_LANE, Channel, Priority, WhenUnavailable

AHEAD = 1.2
"""Leased beyond what the workers can run at once, so that they never wait for the dispatcher."""
ORDINARY_SHARE = 0.8
"""Of the window, for normal and low together: high always finds a slot."""
LOW_SHARE = 0.2
"""Of the ordinary part, for low while normal has work as well: slow, but never starved."""
ORDINARY_MINIMUM = 0.1
"""Of the window, kept for normal and low while they have work: endless urgency must not starve them."""
WORKER_SEEN_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Runnable:
    """A running batch with items that are not final."""

    id: int
    owner_id: int
    channel: str
    priority: str
    provider: str
    concurrency: int | None
    rate_limit: float | None
    unfinished: int
    least_attempts: int = 0
    """Of an economy batch only what was tried already may run fast, where it may at all."""
    when_unavailable: str = WhenUnavailable.WAIT
    fallbacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """Everything one claim decides on. Closed accounts: seconds until (or, negative, since) reopening."""

    batches: tuple[Runnable, ...]
    capacity: Mapping[str, int]
    workers: int
    leased_by_batch: Mapping[int, int]
    leased_by_lane: Mapping[tuple[str, str], int]
    leased_by_provider: Mapping[str, int]
    reopening_in: Mapping[str, float]
    unaccepted_by_batch: Mapping[int, int] = field(default_factory=dict)
    """Items whose lease no worker has taken yet."""
    affordable: Mapping[int, int] = field(default_factory=dict)
    """Items that the batches' budgets still pay for, beside those that are leased."""
    states: Mapping[str, AccountState] = field(default_factory=dict)
    """What is known of the accounts."""

    def state(self, alias: str) -> AccountState:
        """What is known of an account."""
        return self.states.get(alias, NOTHING_KNOWN)

    def kept_from_high(self, channel: str) -> int:
        """Slots of the ordinary priorities' minimum that they do not use yet."""
        ordinary = sum(self.leased_by_lane.get((channel, each), 0) for each in (Priority.NORMAL, Priority.LOW))
        return max(0, math.ceil(self.capacity.get(channel, 0) * AHEAD * ORDINARY_MINIMUM) - ordinary)

    def free(self, channel: str, priority: str) -> int:
        """Slots left in a channel for a priority."""
        size = self.capacity.get(channel, 0) * AHEAD
        leased = {each: self.leased_by_lane.get((channel, each), 0) for each in Priority.values}
        left = size - sum(leased.values())
        if priority != Priority.HIGH:
            left = min(left, size * ORDINARY_SHARE - leased[Priority.NORMAL] - leased[Priority.LOW])
        return max(0, int(left))


_BATCHES = f"""
    SELECT id, owner_id, channel, priority, provider, concurrency, rate_limit,
           total - succeeded - failed - cancelled - unknown - CASE WHEN mode = 'economy' THEN (
               SELECT COALESCE(sum(lease.remaining), 0) FROM batches_lease AS lease
                WHERE lease.batch_id = batch.id AND lease.lane = '{ECONOMY_LANE}') ELSE 0 END,
           CASE WHEN mode = 'economy' AND fast_since IS NULL THEN 1 ELSE 0 END,
           when_unavailable, fallbacks
      FROM batches_batch AS batch
     WHERE settled_at IS NULL AND status = 'running'
       AND total > succeeded + failed + cancelled + unknown
       AND (mode <> 'economy' OR fast_since IS NOT NULL OR economy_retries = 'fast')
"""
_LEASES = f"""
    SELECT lease.batch_id, lease.channel, lease.lane, lease.provider, sum(lease.remaining)::int,
           COALESCE(sum(lease.remaining) FILTER (WHERE lease.worker = ''), 0)::int
      FROM batches_lease AS lease WHERE lease.lane <> '{ECONOMY_LANE}' GROUP BY 1, 2, 3, 4
"""
_WORKERS = f"""
    SELECT capacity FROM batches_worker
     WHERE role = 'worker' AND seen_at > now() - interval '{WORKER_SEEN_SECONDS} seconds'
"""
REOPENED_SECONDS = 20.0
"""An account that reopened longer ago takes as many calls as any."""


def _runnable(row: Sequence[Any]) -> Runnable:
    *facts, fallbacks = row
    return replace(Runnable(*facts), fallbacks=tuple(json.loads(fallbacks)))


def read_window() -> Window:
    """Read what the next claim decides on."""
    with connection.cursor() as cursor:
        cursor.execute(_BATCHES)
        batches = tuple(map(_runnable, cursor.fetchall()))
        cursor.execute(_WORKERS)
        capacities = [json.loads(row[0]) for row in cursor.fetchall()]
        cursor.execute(_LEASES)
        leases = cursor.fetchall()
        states = read_states(cursor)
    known_accounts.replace(states)
    by_batch, by_lane, by_provider = Counter[int](), Counter[tuple[str, str]](), Counter[str]()
    unaccepted = Counter[int]()
    for batch_id, channel, lane, provider, remaining, waiting in leases:
        by_batch[batch_id] += remaining
        unaccepted[batch_id] += waiting
        by_provider[provider] += remaining
        by_lane[channel, lane.rpartition(".")[2]] += remaining
    reopening = {
        alias: state.reopening_in
        for alias, state in states.items()
        if state.reopening_in is not None and state.reopening_in > -REOPENED_SECONDS
    }
    affordable = budgets.rooms()
    capacity = {channel: sum(each.get(channel, 0) for each in capacities) for channel in Channel.values}
    return Window(
        batches,
        capacity,
        len(capacities),
        by_batch,
        by_lane,
        by_provider,
        reopening,
        unaccepted,
        states=states,
        affordable=affordable,
    )

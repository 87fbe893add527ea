"""How long a batch would take now: by the limits of its provider, its own, and the workers that are up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models.functions import Now

from batches.limits import limits_of, slowest
from batches.models import Worker, WorkerRole
from batches.models.engine import SEEN_WITHIN
from batches.money.estimating.history import History
from batches.money.estimating.workload import Workload
from batches.options import NewBatch
from batches.provider_accounts.account_states import known_accounts, read_states
from batches.states import Channel
from providers.base import Provider

CALL_SECONDS = {Channel.AI: (1.0, 15.0), Channel.SMS: (0.1, 1.0), Channel.DATA: (0.01, 1.0)}
"""What one call takes, where no earlier ones say."""
START_SECONDS = 0.5
"""Until the first call."""
ECONOMY_SECONDS = (600.0, 86_400.0)
"""What document 001 says of economy mode, and what providers promise."""


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds from the start of a batch to its last item, if nothing else runs. ``decided_by``: what makes it so long.

    ``rate_limit``, ``concurrency`` (the batch's own or its account's), ``capacity`` (of the workers), ``calls`` (they
    all run at once) or ``provider``.
    """

    low: float
    high: float
    decided_by: str


ECONOMY = Duration(*ECONOMY_SECONDS, "provider")


def fast_duration(new: NewBatch, channel: str, provider: Provider | None, work: Workload, seen: History) -> Duration:
    """In fast mode, where nothing waits for a day."""
    with connection.cursor() as cursor:
        known_accounts.replace(read_states(cursor))
    limit = slowest(limits_of(_Asking(channel, new), provider))
    rate = limit.per_second if limit else None
    slots, by_slots = _slots(new, channel, provider)
    low, high = seen.call_seconds or CALL_SECONDS[Channel(channel)]
    shortest = _seconds(work.calls.low, rate, slots, low)
    longest, decided_by = max(
        (_seconds(work.calls.high, None, slots, high), by_slots if work.calls.high > (slots or 0) else "calls"),
        (_seconds(work.calls.high, rate, None, high), "rate_limit" if rate else "calls"),
    )
    return Duration(round(shortest, 1), round(longest, 1), decided_by)


def _seconds(calls: int, rate: float | None, slots: int | None, each: float) -> float:
    by_rate = (calls - 1) / rate if rate and calls else 0.0
    by_slots = -(-calls // slots) * each if slots else each * bool(calls)
    return START_SECONDS + max(by_rate + each, by_slots) if calls else START_SECONDS


def _slots(new: NewBatch, channel: str, provider: Provider | None) -> tuple[int | None, str]:
    """Calls at once, and what decides that; None where it is not known, as without a worker."""
    bounds: list[tuple[int, str]] = []
    if new.options.concurrency is not None:
        bounds.append((new.options.concurrency, "concurrency"))
    if provider is not None:
        learned = known_accounts.state(provider.alias).concurrency
        bounds += [(int(most), "concurrency") for most in (provider.limits.max_in_flight, learned) if most]
    if capacity := _capacity(channel):
        bounds.append((capacity, "capacity"))
    return min(bounds, default=(None, "calls"))


def _capacity(channel: str) -> int:
    seen = Worker.objects.filter(role=WorkerRole.WORKER, seen_at__gte=Now() - SEEN_WITHIN)
    rows: Any = seen.values_list("capacity", flat=True)
    return sum(int((capacity or {}).get(channel, 0)) for capacity in rows)


@dataclass(frozen=True, slots=True)
class _Asking:
    """What decides the limits of a batch that is not there yet."""

    channel: str
    new: NewBatch
    id: int = 0

    @property
    def priority(self) -> str:
        return self.new.options.priority

    @property
    def rate_limit(self) -> float | None:
        return self.new.options.rate_limit

"""A batch in figures, computed from its counters and histograms: no item row is read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from batches.api.shapes import (
    cost_shape,
    counts_shape,
    instant,
    items_per_second,
    spelled_status,
    success_rate,
    tokens_shape,
)
from batches.figures import Figures, Times
from batches.models import Batch
from batches.money.costs import cost_of
from batches.states import Channel, Delivery
from batches.visibility import sees_every_error
from providers.prices import SEGMENTS
from providers.registry import UnknownProvider, get_provider

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

SLOT_SECONDS = 10
RECENT_SLOTS = 6
LONGEST_TIMELINE = 360
"""Slots shown: the last hour of work."""


def analytics(batch: Batch, user: AbstractBaseUser | AnonymousUser) -> dict[str, Any]:
    """Document 002's rate monitoring and analytics, for every operation."""
    figures = Figures.of(batch)
    finished = figures.finished_by_slot()
    failures = by_category(figures.failures())
    now = timezone.now()
    return {
        "batchId": batch.public_id,
        "status": spelled_status(batch),
        "totals": counts_shape(batch),
        "successRate": success_rate(batch),
        "messagesPerSecond": {
            "overall": items_per_second(batch),
            "recent": recent_rate(finished, batch.started_at, now),
        },
        "durations": times(figures.durations),
        "waits": {"queue": times(figures.queued), "limits": times(figures.limited)},
        # Where retries are kept from the owner, so are their counts.
        "errors": by_category(figures.errors()) if sees_every_error(user, batch) else failures,
        "failures": failures,
        "rateLimit": rate_limit(batch, figures),
        **used(batch, figures),
        "delivery": delivery(batch, figures) if batch.channel == Channel.SMS else None,
        "slotSeconds": SLOT_SECONDS,
        "timeline": timeline(finished),
    }


def by_category(counts: list[tuple[str, int]]) -> list[dict[str, Any]]:
    """Counts as they are shown."""
    return [{"category": category, "count": count} for category, count in counts]


def times(taken: Times) -> dict[str, Any]:
    """In milliseconds; null while nothing was measured."""
    return {
        "measured": taken.measured,
        "average": taken.average,
        "p50": taken.at_most(0.50),
        "p95": taken.at_most(0.95),
        "p99": taken.at_most(0.99),
    }


def recent_rate(finished: Mapping[int, int], started_at: datetime | None, now: datetime) -> float:
    """Items finished per second over about the last minute."""
    if started_at is None:
        return 0.0
    first_slot = int(now.timestamp()) // SLOT_SECONDS - RECENT_SLOTS
    since = max(first_slot * SLOT_SECONDS, started_at.timestamp())
    seconds = now.timestamp() - since
    count = sum(count for slot, count in finished.items() if slot >= first_slot)
    return round(count / seconds, 3) if seconds > 0 else 0.0


def timeline(finished: Mapping[int, int]) -> list[dict[str, Any]]:
    """Items finished in each slot in which any did, oldest first."""
    slots = sorted(finished)[-LONGEST_TIMELINE:]
    return [
        {"at": instant(datetime.fromtimestamp(slot * SLOT_SECONDS, UTC)), "finished": finished[slot]} for slot in slots
    ]


def used(batch: Batch, figures: Figures) -> dict[str, Any]:
    """What the calls used, the sandbox's included, and what that costs; null where nothing of the kind is known."""
    units = figures.used + figures.simulated
    cost = cost_of(batch.provider, figures.costs, succeeded=batch.succeeded)
    return {
        "segments": units[SEGMENTS] if batch.channel == Channel.SMS else None,
        "tokens": tokens_shape(units) if batch.channel == Channel.AI else None,
        "cost": cost_shape(cost) if cost else None,
    }


def delivery(batch: Batch, figures: Figures) -> dict[str, Any]:
    """What became of the messages that the provider took; ``rate``: of those of which it has said the last word."""
    delivered, undelivered = (figures.deliveries[state] for state in (Delivery.DELIVERED, Delivery.UNDELIVERED))
    known = delivered + undelivered
    return {
        "delivered": delivered,
        "undelivered": undelivered,
        "pending": max(0, batch.succeeded - known),
        "rate": round(delivered / known, 4) if known else None,
    }


def rate_limit(batch: Batch, figures: Figures) -> dict[str, Any]:
    """What holds the batch back: ``perSecond`` is the lowest of all limits, ``configured`` the batch's own a minute.

    ``waitedSeconds``: for these and for the provider's own (429), added up over all calls.
    """
    limits = [limit for limit in (_account_limit(batch), batch.rate_limit and batch.rate_limit / 60) if limit]
    return {
        "priority": batch.priority,
        "perSecond": round(min(limits), 4) if limits else None,
        "configured": batch.rate_limit,
        "waitedSeconds": figures.waited / 1000,
        "averageWaitSeconds": round(figures.waited / figures.calls / 1000, 3) if figures.calls else None,
    }


def _account_limit(batch: Batch) -> float | None:
    try:
        limits = get_provider(batch.provider).limits
    except (UnknownProvider, ImproperlyConfigured):
        return None  # the entry was removed from the settings; what happened stays readable
    if batch.channel == Channel.SMS:
        return limits.sms_per_second.get(batch.priority)
    return limits.requests_per_minute / 60 if limits.requests_per_minute else None

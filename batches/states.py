"""Every status there is, and every change of status that is allowed.

The tables are the single source: services and the engine build their conditional UPDATEs from them, and
docs/states.md is compared with them by a test.
"""

from __future__ import annotations

from django.db import models


class BatchStatus(models.TextChoices):
    """Where a batch stands. A scheduled batch is pending with ``scheduled_at``."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ItemStatus(models.TextChoices):
    """Where an item stands. A retry and a snooze are pending with a later ``due_at``."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class Priority(models.TextChoices):
    """How urgent a batch is: one lane per channel and priority."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class Scope(models.TextChoices):
    """What an API key may do."""

    READ = "read"
    WRITE = "write"


class Channel(models.TextChoices):
    """What kind of outside world an operation talks to."""

    AI = "ai"
    SMS = "sms"
    DATA = "data"


class WhenUnavailable(models.TextChoices):
    """What a batch's items do while the provider they go to takes no calls: wrong key, no credit, overload."""

    WAIT = "wait"
    SWITCH = "switch", "Switch to a fallback"
    FAIL = "fail"


class Delivery(models.TextChoices):
    """What became of a message after its provider took it. The last two are final."""

    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


class Step(models.TextChoices):
    """Where a :class:`batches.models.ProviderBatch` stands, see docs/economy.md."""

    GATHERED = "gathered"
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    COLLECTING = "collecting"
    DONE = "done"


BATCH_TRANSITIONS: dict[str, frozenset[str]] = {
    BatchStatus.PENDING: frozenset({BatchStatus.RUNNING, BatchStatus.CANCELLED, BatchStatus.FAILED}),
    BatchStatus.RUNNING: frozenset(
        {BatchStatus.PAUSED, BatchStatus.COMPLETED, BatchStatus.FAILED, BatchStatus.CANCELLED}
    ),
    BatchStatus.PAUSED: frozenset(
        {BatchStatus.RUNNING, BatchStatus.COMPLETED, BatchStatus.FAILED, BatchStatus.CANCELLED}
    ),
    BatchStatus.COMPLETED: frozenset({BatchStatus.RUNNING}),  # retry_failed reopens
    BatchStatus.FAILED: frozenset({BatchStatus.RUNNING, BatchStatus.COMPLETED}),  # reopened; late truth
    BatchStatus.CANCELLED: frozenset(),
}

ITEM_TRANSITIONS: dict[str, frozenset[str]] = {
    ItemStatus.PENDING: frozenset({ItemStatus.RUNNING, ItemStatus.CANCELLED}),
    ItemStatus.RUNNING: frozenset({ItemStatus.PENDING, ItemStatus.SUCCEEDED, ItemStatus.FAILED, ItemStatus.UNKNOWN}),
    ItemStatus.FAILED: frozenset({ItemStatus.PENDING}),  # retry_failed
    ItemStatus.UNKNOWN: frozenset({ItemStatus.PENDING, ItemStatus.SUCCEEDED, ItemStatus.FAILED}),
    ItemStatus.SUCCEEDED: frozenset(),
    ItemStatus.CANCELLED: frozenset(),
}

FINAL_BATCH_STATUSES = frozenset({BatchStatus.COMPLETED, BatchStatus.FAILED, BatchStatus.CANCELLED})
FINAL_ITEM_STATUSES = frozenset({ItemStatus.SUCCEEDED, ItemStatus.FAILED, ItemStatus.CANCELLED, ItemStatus.UNKNOWN})


def batch_sources(target: str) -> list[str]:
    """The statuses from which a batch may become ``target``."""
    return sorted(source for source, targets in BATCH_TRANSITIONS.items() if target in targets)


SOLO_LANE = "solo"
"""The lane of suspects: items whose call died with its worker more than once."""


FAST, ECONOMY = "fast", "economy"
"""The modes of a batch: a call per item, or batches at its provider."""
MODES = (FAST, ECONOMY)

ECONOMY_LANE = "economy"
"""The lane of leases whose items wait at a provider's own batch API: no queue, and no capacity of ours."""


def lane_name(channel: str, priority: str) -> str:
    """The Celery queue of a channel and priority, e.g. ``ai.high``."""
    return f"{channel}.{priority}"


LANES: tuple[str, ...] = tuple(lane_name(channel, priority) for channel in Channel for priority in Priority)

SUSPECT_DEATHS = 2
"""An item that was in flight when this many workers died travels the solo lane."""

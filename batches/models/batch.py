"""One submission of many items: what a user names, watches, pauses and cancels."""

from __future__ import annotations

import secrets
import time
from datetime import datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from batches.querysets import BatchQuerySet
from batches.states import FINAL_BATCH_STATUSES, BatchStatus, Channel, Priority, lane_name


def new_batch_id() -> str:
    """``batch_<unix ms>_<random>`` as the documents show it; 96 random bits make it unguessable."""
    return f"batch_{time.time_ns() // 1_000_000}_{secrets.token_hex(12)}"


class Batch(models.Model):
    """A batch. The counters are exact: they change in the same transaction as the items they count."""

    public_id = models.CharField(max_length=64, unique=True, default=new_batch_id, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="batches")
    operation = models.CharField(max_length=64)
    channel = models.CharField(max_length=8, choices=Channel.choices)
    provider = models.CharField(max_length=64, blank=True, default="")
    name = models.CharField(max_length=200, blank=True, default="")
    description = models.TextField(blank=True, default="")
    subject = models.CharField(
        max_length=200, blank=True, default="", help_text="What it is about in the client's own words: a shoot id."
    )
    mode = models.CharField(max_length=16, default="fast")
    parameters = models.JSONField(default=dict, help_text="What the operation needs beside its items.")
    warnings = models.JSONField(default=list, blank=True)

    status = models.CharField(max_length=16, choices=BatchStatus.choices, default=BatchStatus.PENDING)
    priority = models.CharField(max_length=8, choices=Priority.choices, default=Priority.NORMAL)
    auto_start = models.BooleanField(default=True)
    scheduled_at = models.DateTimeField(null=True, blank=True)
    concurrency = models.PositiveIntegerField(null=True, blank=True, help_text="Most items leased at once.")
    rate_limit = models.FloatField(null=True, blank=True, help_text="Most calls a minute.")
    max_retries = models.PositiveIntegerField(
        null=True, blank=True, help_text="Failed calls repeated at most so often; empty: until the retry window ends."
    )
    retry_window_seconds = models.PositiveIntegerField(default=6 * 3600)
    backoff_ms = models.PositiveIntegerField(
        null=True, blank=True, help_text="First delay between attempts; empty: the ladder of the error's kind."
    )
    timeout_ms = models.PositiveIntegerField(default=30_000)

    deadline_at = models.DateTimeField(
        null=True, blank=True, help_text="Economy: what is unfinished when this nears goes on in fast mode."
    )
    fast_since = models.DateTimeField(null=True, blank=True, help_text="Economy: when the rest of it became fast.")
    economy_retries = models.CharField(
        max_length=8, default="economy", db_default="economy", help_text="How lines that failed run again."
    )
    fallbacks: models.JSONField[Any, Any] = models.JSONField(
        default=list, db_default=[], blank=True, help_text="Aliases of providers that may take its place, in order."
    )
    when_unavailable = models.CharField(
        max_length=8,
        default="wait",
        db_default="wait",
        help_text="While its provider is unavailable: wait, switch or fail.",
    )
    max_cost = models.DecimalField(
        max_digits=20, decimal_places=10, null=True, blank=True, help_text="No call is begun once so much was spent."
    )
    item_cost = models.DecimalField(
        max_digits=20,
        decimal_places=10,
        null=True,
        blank=True,
        help_text="What an item of a batch with a budget is thought to cost at most, until some have.",
    )
    spent = models.DecimalField(
        max_digits=20, decimal_places=10, default=0, db_default=0, help_text="The sum of its items' costs."
    )
    held_for = models.CharField(
        max_length=32, blank=True, default="", db_default="", help_text="Why the system itself paused it: budget."
    )

    total = models.PositiveIntegerField(default=0)
    succeeded = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    cancelled = models.PositiveIntegerField(default=0)
    unknown = models.PositiveIntegerField(default=0)

    source = models.ForeignKey(
        "batches.StoredFile",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Its items, one per line.",
    )
    source_offset = models.PositiveBigIntegerField(default=0, help_text="Bytes of the source that are items already.")
    source_position = models.PositiveIntegerField(default=0, help_text="Lines of the source that are items already.")

    source_cursor = models.JSONField(
        null=True, blank=True, help_text="Where its next page of items begins, for sources that are no file."
    )

    finishes = models.BooleanField(
        default=False, db_default=False, help_text="Something is made of all its items before it is completed."
    )
    finish_due_at = models.DateTimeField(
        null=True, blank=True, help_text="Set when its last item was final: not before this is finishing tried (again)."
    )
    finish_claim = models.UUIDField(null=True, blank=True, help_text="The worker's try that is finishing it.")
    finish_attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    outcome = models.JSONField(null=True, blank=True, help_text="What finishing made of all its items.")
    notify_on_complete = models.BooleanField(default=False, db_default=False)

    error = models.TextField(blank=True, default="", help_text="Why the batch as a whole could not run.")
    created_at = models.DateTimeField(db_default=Now())
    loaded_at = models.DateTimeField(null=True, blank=True, help_text="When its last item was stored.")
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True, help_text="When its status became final.")
    settled_at = models.DateTimeField(null=True, blank=True, help_text="When its last item became final.")
    deleted_at = models.DateTimeField(
        null=True, blank=True, help_text="When its owner, or its age, gave it up; its rows go in the background."
    )

    objects: ClassVar[BatchQuerySet] = BatchQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name_plural = "batches"
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(
                name="batch_completed_at_iff_final",
                condition=Q(status__in=sorted(FINAL_BATCH_STATUSES), completed_at__isnull=False)
                | (~Q(status__in=sorted(FINAL_BATCH_STATUSES)) & Q(completed_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="batch_counts_within_total",
                condition=Q(total__gte=F("succeeded") + F("failed") + F("cancelled") + F("unknown")),
            ),
            models.CheckConstraint(name="batch_status_known", condition=Q(status__in=BatchStatus.values)),
        )
        indexes = (
            # Lists and history: an owner's batches, newest first.
            models.Index(fields=["owner", "-id"], name="batch_owner_newest"),
            # The dispatcher's duties: everything that is not settled yet (claim, start, sweep, settle).
            models.Index(fields=["status"], name="batch_unsettled", condition=Q(settled_at__isnull=True)),
            # The loader's duty: batches whose source is not all items yet.
            models.Index(fields=["id"], name="batch_unloaded", condition=Q(loaded_at__isnull=True)),
            # The purge of what was given up.
            models.Index(fields=["id"], name="batch_deleted", condition=Q(deleted_at__isnull=False)),
            # History by time, and the cleanup of what is older than its retention.
            models.Index(fields=["owner", "created_at"], name="batch_owner_age"),
        )

    def __str__(self) -> str:
        return f"{self.name or self.operation} ({self.public_id})"

    @property
    def finished(self) -> int:
        """How many items are final."""
        return self.succeeded + self.failed + self.cancelled + self.unknown

    @property
    def progress(self) -> float:
        """The share of final items in [0, 1]; a batch with nothing to do is done once it is loaded."""
        if self.total == 0:
            return 1.0 if self.loaded_at else 0.0
        return self.finished / self.total

    @property
    def is_final(self) -> bool:
        """Whether the status will not change by itself any more."""
        return self.status in FINAL_BATCH_STATUSES

    @property
    def is_finishing(self) -> bool:
        """Whether every item is final, and what is to be made of them all is still being made."""
        return self.finish_due_at is not None and self.settled_at is None and not self.is_final

    @property
    def lane(self) -> str:
        """The queue its items travel."""
        return lane_name(self.channel, self.priority)

    def seconds_running(self, now: datetime) -> float:
        """Seconds from its start until it completed, or until ``now``; 0 before the start."""
        if self.started_at is None:
            return 0.0
        return max(0.0, ((self.completed_at or now) - self.started_at).total_seconds())

"""What the engine itself keeps: leases, workers, closed provider accounts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from batches.models.batch import Batch


class Lease(models.Model):
    """The time-limited right of one worker to run a handful of items of one batch.

    A Celery message carries the lease's id alone. ``remaining`` counts its items that are not recorded yet; the
    recorder deletes the row with the last of them.
    """

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="leases", db_index=False, db_constraint=False)
    lane = models.CharField(max_length=32)
    channel = models.CharField(max_length=8)
    provider = models.CharField(max_length=64, blank=True, help_text="Who is called: its batch's own, or a fallback.")
    probe = models.BooleanField(
        default=False, db_default=False, help_text="It finds out whether its provider works again."
    )
    size = models.PositiveIntegerField()
    remaining = models.PositiveIntegerField()
    worker = models.CharField(max_length=64, blank=True, default="", help_text="Boot id of the worker that has it.")
    created_at = models.DateTimeField(db_default=Now())
    accepted_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ("id",)
        indexes = (
            # Renewal and release: all leases of a worker. (Expiry scans the table: it holds hundreds of rows.)
            models.Index(fields=["worker"], name="lease_worker"),
        )

    def __str__(self) -> str:
        return f"lease {self.pk} of {self.size} in {self.lane}"


SEEN_WITHIN = timedelta(seconds=10)
"""A process of the engine that was not heard of for longer is missing."""


class WorkerRole(models.TextChoices):
    """Which process of the engine a row of :class:`Worker` is."""

    WORKER = "worker"
    DISPATCHER = "dispatcher"


class Worker(models.Model):
    """A running process of the engine; one boot, one row, renewed every two seconds."""

    boot_id = models.CharField(max_length=64, primary_key=True)
    role = models.CharField(max_length=16, choices=WorkerRole.choices, default=WorkerRole.WORKER)
    hostname = models.CharField(max_length=255)
    process_id = models.PositiveIntegerField()
    capacity = models.JSONField(default=dict, help_text="Calls in flight it can hold, by channel.")
    in_flight = models.PositiveIntegerField(default=0)
    figures: models.JSONField[Any, Any] = models.JSONField(
        default=dict, db_default={}, help_text="What it has done since its boot, and what it holds now."
    )
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("-seen_at",)

    def __str__(self) -> str:
        return f"{self.role} {self.hostname}:{self.process_id}"


class ProviderAccount(models.Model):
    """The shared memory of a provider account: nothing is claimed for it before ``closed_until``.

    The breaker is open while ``opened_at`` is set: nothing but a probe is sent until a call succeeds again.
    ``concurrency``, ``requests_per_minute`` and ``tokens_per_minute`` are learned from the provider's answers.
    """

    alias = models.CharField(max_length=64, primary_key=True)
    closed_until = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=200, blank=True, default="")
    opened_at = models.DateTimeField(null=True, blank=True, help_text="When its breaker opened; empty: it is closed.")
    opened_for = models.CharField(max_length=64, blank=True, default="", db_default="", help_text="Code of the error.")
    probe_at = models.DateTimeField(null=True, blank=True, help_text="When a call may find out whether it works again.")
    concurrency = models.FloatField(null=True, blank=True, help_text="Calls in flight that it bears; empty: unknown.")
    cut_at = models.DateTimeField(null=True, blank=True, help_text="When that was last lowered.")
    requests_per_minute = models.FloatField(null=True, blank=True, help_text="As its answers' headers say.")
    tokens_per_minute = models.FloatField(null=True, blank=True, help_text="As its answers' headers say.")
    tokens_per_call = models.FloatField(null=True, blank=True, help_text="What a call used on average lately.")
    learned_at = models.DateTimeField(null=True, blank=True, help_text="When the headers last said so.")
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("alias",)

    def __str__(self) -> str:
        return self.alias

    @property
    def is_closed(self) -> bool:
        """Whether its provider asked everybody to wait, and that time is not over."""
        return self.closed_until is not None and self.closed_until > timezone.now()


USED_MEASURES = ("ended", "ended_badly", "calls", "spent", "spent:simulated", "unpriced")
"""What :mod:`batches.usage` reads, in the words of its statements: they find the index by them."""


class BatchHistogram(models.Model):
    """Counted facts of a batch, kept by the recorder so that analytics read no item rows.

    ``measure`` says what is counted: ``duration`` (bucket: see :mod:`batches.histogram`), ``finished`` and ``reopened``
    (items that ended, and that run again; bucket: ten-second slot of the epoch), ``quality`` (bucket: twentieths),
    ``duration_sum`` (milliseconds) and ``quality_sum`` (ten-thousandths). With the day since the epoch as bucket:
    ``calls``, ``error:<category>`` (calls that failed), ``ended`` and ``ended_badly`` (items that became final, and
    those of them that did not succeed), ``failed:<category>`` (the latter by category) and ``healed:<category>`` (of
    these, the ones that run again or proved to have succeeded), ``used:<unit>`` (what providers bill: segments, tokens)
    and ``simulated:<unit>`` (the same, of the sandbox), ``spent`` and ``spent:simulated`` (what that cost at the prices
    of the moment, in :data:`providers.prices.PARTS`; ``spent:finishing``: that of calls of no item, once more), and
    ``unpriced`` (calls that used what has no price). ``queued`` and ``waited`` (each time an item waited for
    its turn, and for limits; buckets as of ``duration``), ``queued_sum`` and ``waited_sum`` (milliseconds of these).
    ``delivery:<delivery>``: messages that finally arrived or not. Counts only grow: nobody has to find a row again.
    """

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="histograms", db_index=False)
    measure = models.CharField(max_length=48)
    bucket = models.IntegerField(default=0)
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["batch", "measure", "bucket"], name="batch_histogram_bucket"),)
        indexes = (
            # An owner's usage: a hundredth of the rows. A count that grows does not touch it.
            models.Index(
                fields=["batch", "bucket"], name="batch_histogram_used", condition=models.Q(measure__in=USED_MEASURES)
            ),
        )

    def __str__(self) -> str:
        return f"{self.measure}[{self.bucket}] = {self.count}"

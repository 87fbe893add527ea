"""What an owner is told and what they used: notifications, and the usage of batches that are gone."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

UNKNOWN_PROVIDER = "?"
"""Of batches that were deleted when their usage was kept without it."""


class Notification(models.Model):
    """A word to an owner, kept until it is swept. Written in the transaction that made it true."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="notifications", db_index=False)
    batch = models.ForeignKey(
        "batches.Batch", models.SET_NULL, null=True, blank=True, related_name="notifications", db_index=False
    )
    kind = models.CharField(max_length=32)
    details = models.JSONField(default=dict, help_text="The facts of that moment; the batch may change or go.")
    created_at = models.DateTimeField(db_default=Now())
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(fields=["owner", "-id"], name="notification_owner_newest"),
            models.Index(fields=["owner"], name="notification_unread", condition=Q(read_at__isnull=True)),
            # Deleting a batch looks for those that name it.
            models.Index(fields=["batch"], name="notification_batch", condition=Q(batch__isnull=False)),
        )

    def __str__(self) -> str:
        return f"{self.kind} #{self.pk}"


class Usage(models.Model):
    """What an owner's deleted batches did on one day with one operation and provider; that of others is in their
    histograms. ``spent``, ``simulated``: in :data:`providers.prices.PARTS`, NULL where no call had a known price."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="usage", db_index=False)
    day = models.DateField()
    operation = models.CharField(max_length=64)
    provider = models.CharField(
        max_length=64, db_default=UNKNOWN_PROVIDER, default=UNKNOWN_PROVIDER, help_text="Alias; empty: it asks none."
    )
    items = models.PositiveBigIntegerField(default=0, help_text="Items that were tried to the end.")
    failed = models.PositiveBigIntegerField(default=0, help_text="Of these, those that did not succeed.")
    calls = models.PositiveBigIntegerField(default=0, help_text="Attempts made, retries included.")
    spent = models.PositiveBigIntegerField(null=True, blank=True, help_text="What is owed to the provider.")
    simulated = models.PositiveBigIntegerField(null=True, blank=True, help_text="What nobody owes: the sandbox's.")
    unpriced = models.PositiveBigIntegerField(default=0, db_default=0, help_text="Calls that used what has no price.")

    class Meta:
        verbose_name_plural = "usage"
        constraints = (models.UniqueConstraint(fields=["owner", "day", "operation", "provider"], name="usage_day"),)

    def __str__(self) -> str:
        return f"{self.operation} on {self.day}: {self.items}"

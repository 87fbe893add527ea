"""One unit of work wanted: the unit of state."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from batches.models.batch import Batch
from batches.states import FINAL_ITEM_STATUSES, SUSPECT_DEATHS, Delivery, ItemStatus


class Item(models.Model):
    """An item. Few indexes: every change of status writes each of them."""

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="items", db_index=False)
    position = models.PositiveIntegerField(help_text="Its place in the submitted list, from 0.")
    key = models.CharField(max_length=200, help_text="The client's own id of it.")
    input = models.JSONField(default=dict)
    status = models.CharField(max_length=16, choices=ItemStatus.choices, default=ItemStatus.PENDING)
    due_at = models.DateTimeField(db_default=Now(), help_text="Not before this instant.")

    # No database constraint: a lease ends by one DELETE, and the item's own status says whether it is held.
    lease = models.ForeignKey(
        "batches.Lease", models.DO_NOTHING, null=True, blank=True, db_constraint=False, db_index=False, related_name="+"
    )
    attempts = models.PositiveIntegerField(default=0, help_text="Calls made.")
    failures = models.PositiveIntegerField(default=0, help_text="Calls that spent the retry count (429 does not).")
    deaths = models.PositiveSmallIntegerField(default=0, help_text="Workers that died while they may have run it.")
    attempt_id = models.UUIDField(null=True, blank=True)
    first_attempt_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(
        null=True, blank=True, help_text="Committed before the bytes leave, for providers without idempotency."
    )

    result = models.JSONField(null=True, blank=True)
    quality = models.FloatField(null=True, blank=True)
    duration_ms = models.PositiveIntegerField(null=True, blank=True, help_text="Of the call that decided.")
    provider_reference = models.CharField(max_length=100, blank=True, default="")
    error_category = models.CharField(max_length=32, blank=True, default="")
    error_code = models.CharField(max_length=64, blank=True, default="")
    error_message = models.TextField(blank=True, default="")
    finished_at = models.DateTimeField(null=True, blank=True)

    provider = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="Alias of the provider that was called last."
    )
    detour = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="Alias of the fallback that it goes to next; empty: where its batch goes.",
    )
    refused_by: models.JSONField[Any, Any] = models.JSONField(
        null=True, blank=True, help_text="Aliases of providers that will never take it, though another may."
    )
    used: models.JSONField[Any, Any] = models.JSONField(
        null=True, blank=True, help_text="What all its calls used, by the unit in which providers bill it."
    )
    cost = models.DecimalField(
        max_digits=20, decimal_places=10, null=True, blank=True, help_text="Of what was used, where it has a price."
    )
    delivery = models.CharField(
        max_length=16, choices=Delivery.choices, blank=True, default="", db_default="", help_text="Of a message."
    )
    delivered_at = models.DateTimeField(null=True, blank=True, help_text="When its delivery was last told to us.")

    class Meta:
        ordering = ("batch", "position")
        constraints = (
            # Lists and results: a batch's items in order.
            models.UniqueConstraint(fields=["batch", "position"], name="item_position"),
            models.CheckConstraint(
                name="item_leased_iff_running",
                condition=Q(status=ItemStatus.RUNNING, lease__isnull=False)
                | (~Q(status=ItemStatus.RUNNING) & Q(lease__isnull=True)),
            ),
            models.CheckConstraint(
                name="item_finished_at_iff_final",
                condition=Q(status__in=sorted(FINAL_ITEM_STATUSES), finished_at__isnull=False)
                | (~Q(status__in=sorted(FINAL_ITEM_STATUSES)) & Q(finished_at__isnull=True)),
            ),
            models.CheckConstraint(name="item_status_known", condition=Q(status__in=ItemStatus.values)),
        )
        indexes = (
            # The claim: a batch's due items in order (dispatcher).
            models.Index(fields=["batch", "due_at", "id"], name="item_due", condition=Q(status=ItemStatus.PENDING)),
            # Suspects: empty until workers have died twice over an item, and then as short as they are few.
            models.Index(
                fields=["batch", "id"],
                name="item_suspect",
                condition=Q(status=ItemStatus.PENDING, deaths__gte=SUSPECT_DEATHS),
            ),
            # What went wrong, on the pages: few of many, and written for those alone.
            models.Index(
                fields=["batch", "position"],
                name="item_ended_badly",
                condition=Q(status__in=[ItemStatus.FAILED, ItemStatus.UNKNOWN]),
            ),
            # Messages that go to another provider than their batch: as short as these are few.
            models.Index(
                fields=["batch", "detour", "due_at", "id"],
                name="item_detour",
                condition=Q(status=ItemStatus.PENDING) & ~Q(detour=""),
            ),
            # Accept, rescue and release: the items of a lease.
            models.Index(fields=["lease"], name="item_leased", condition=Q(lease__isnull=False)),
            # Delivery receipts: the item of a provider's message id.
            models.Index(
                fields=["provider_reference"], name="item_provider_reference", condition=~Q(provider_reference="")
            ),
            # Late evidence: the item in doubt of an attempt id. As short as these are few.
            models.Index(fields=["attempt_id"], name="item_in_doubt", condition=Q(status=ItemStatus.UNKNOWN)),
        )

    def __str__(self) -> str:
        return f"{self.key} ({self.status})"

    @property
    def is_final(self) -> bool:
        """Whether nothing will change it by itself (``unknown`` may still be settled by evidence)."""
        return self.status in FINAL_ITEM_STATUSES


class ItemError(models.Model):
    """What went wrong with an item: one row per code, counted, staff's view of every retry."""

    item = models.ForeignKey(Item, models.CASCADE, related_name="errors", db_index=False)
    batch = models.ForeignKey(Batch, models.CASCADE, related_name="errors", db_index=False)
    provider = models.CharField(
        max_length=64, blank=True, default="", db_default="", help_text="Alias of who answered so last; empty: nobody."
    )
    code = models.CharField(max_length=64)
    category = models.CharField(max_length=32)
    message = models.TextField()
    count = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField(db_default=Now())
    last_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("-last_at",)
        constraints = (models.UniqueConstraint(fields=["item", "code"], name="item_error_code"),)
        indexes = (
            # A batch's errors, for its errors endpoint and page.
            models.Index(fields=["batch", "-id"], name="item_error_batch"),
        )

    def __str__(self) -> str:
        return f"{self.code} x{self.count}"

"""A batch at a provider's own batch API: what economy mode submits, watches and collects."""

from __future__ import annotations

import secrets
from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from batches.models.batch import Batch
from batches.states import Step


def new_marker() -> str:
    """By which a batch is found again at its provider: a submit that timed out may have worked."""
    return f"bs{secrets.token_hex(10)}"


class ProviderBatch(models.Model):
    """Items that wait at a provider together, see docs/economy.md. Its lease holds them until they are recorded."""

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="provider_batches", db_index=False)
    provider = models.CharField(max_length=64, help_text="Alias of the provider.")
    marker = models.CharField(max_length=32, unique=True, default=new_marker, editable=False)
    # No database constraint: a lease ends by one DELETE, with its last item.
    lease = models.ForeignKey(
        "batches.Lease", models.DO_NOTHING, null=True, blank=True, db_constraint=False, db_index=False, related_name="+"
    )
    step = models.CharField(max_length=16, choices=Step.choices, default=Step.GATHERED)
    size = models.PositiveIntegerField(help_text="Lines.")
    remote_id = models.CharField(max_length=200, blank=True, default="", help_text="The provider's own id of it.")
    remote: models.JSONField[Any, Any] = models.JSONField(
        default=dict, blank=True, help_text="What its provider last said of it: state, counts, where results are."
    )
    cancelling = models.BooleanField(default=False, db_default=False, help_text="Its end was asked for.")

    due_at = models.DateTimeField(db_default=Now(), help_text="When its next step is to be tried.")
    step_claim = models.UUIDField(null=True, blank=True, help_text="The worker's try that is at it.")
    claimed_until = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0, db_default=0, help_text="Of this step, one after the other.")
    deaths = models.PositiveSmallIntegerField(default=0, db_default=0, help_text="Workers that died at this step.")
    error = models.TextField(blank=True, default="", help_text="What the provider said last against it.")
    error_code = models.CharField(max_length=64, blank=True, default="", db_default="", help_text="In one word.")

    created_at = models.DateTimeField(db_default=Now())
    submitting_at = models.DateTimeField(null=True, blank=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True, help_text="When the provider was done with it.")
    collected_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "provider batches"
        ordering = ("-id",)
        indexes = (
            models.Index(fields=["batch", "-id"], name="provider_batch_newest"),
            # The dispatcher's bell.
            models.Index(fields=["due_at"], name="provider_batch_due", condition=~Q(step=Step.DONE)),
        )

    def __str__(self) -> str:
        return f"{self.marker} at {self.provider}"

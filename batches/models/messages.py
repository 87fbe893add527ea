"""What comes back of messages: who wants no more of them, and what their providers tell of each."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class OptOut(models.Model):
    """A number that its owner's batches do not text any more."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="opt_outs", db_index=False)
    number = models.CharField(max_length=20, help_text="E.164, with the plus sign.")
    source = models.CharField(max_length=16, help_text="inbound, api, page or admin.")
    keyword = models.CharField(max_length=32, blank=True, default="", help_text="The word that the person sent.")
    provider = models.CharField(max_length=64, blank=True, default="", help_text="Alias of who told us.")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=["owner", "number"], name="opt_out_number"),)

    def __str__(self) -> str:
        return f"opt-out #{self.pk}"


class Contact(models.Model):
    """A number that an owner's batches have texted through an account: whom an inbound STOP to it concerns.

    ``texted_at``: about when last; it is renewed once a month.
    """

    provider = models.CharField(max_length=64, help_text="Alias.")
    number = models.CharField(max_length=20, help_text="E.164, with the plus sign.")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False)
    texted_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ("id",)
        constraints = (models.UniqueConstraint(fields=["number", "provider", "owner"], name="contact_once"),)
        indexes = (models.Index(fields=["texted_at"], name="contact_age"),)

    def __str__(self) -> str:
        return f"contact #{self.pk}"


class DeliveryReceipt(models.Model):
    """A provider's word on a message, kept until the item it is about was found: it may come before our commit."""

    provider = models.CharField(max_length=64, help_text="Alias.")
    provider_reference = models.CharField(max_length=100, help_text="The provider's own id of the message.")
    reference = models.CharField(max_length=64, blank=True, default="", help_text="Our attempt id, where it came back.")
    status = models.CharField(max_length=32, help_text="In the provider's words.")
    error_code = models.CharField(max_length=32, blank=True, default="")
    received_at = models.DateTimeField(db_default=Now())
    applied_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(fields=["provider", "provider_reference", "status"], name="delivery_receipt_once"),
        )
        indexes = (
            models.Index(fields=["received_at"], name="delivery_receipt_open", condition=Q(applied_at__isnull=True)),
        )

    def __str__(self) -> str:
        return f"receipt #{self.pk}"

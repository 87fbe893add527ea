"""What came back of messages."""

from __future__ import annotations

from django.contrib import admin

from batches.admin.paging import ReadOnlyAdmin
from batches.models import Contact, DeliveryReceipt, OptOut


@admin.register(OptOut)
class OptOutAdmin(ReadOnlyAdmin[OptOut]):
    """Who wants no more messages of whom."""

    list_display = ("id", "owner", "source", "keyword", "provider", "created_at")
    list_select_related = ("owner",)
    search_fields = ("number__exact", "owner__username__exact")


@admin.register(Contact)
class ContactAdmin(ReadOnlyAdmin[Contact]):
    """Who was texted through which account."""

    list_display = ("id", "owner", "provider", "texted_at")
    list_select_related = ("owner",)
    search_fields = ("number__exact", "owner__username__exact")


@admin.register(DeliveryReceipt)
class DeliveryReceiptAdmin(ReadOnlyAdmin[DeliveryReceipt]):
    """What providers told of messages."""

    list_display = ("id", "provider", "provider_reference", "status", "error_code", "received_at", "applied_at")
    search_fields = ("provider_reference__exact",)

"""What came back of messages."""

from __future__ import annotations

from django.contrib import admin

from batches.admin.finding import Finds, by_owner
from batches.admin.paging import ReadOnlyAdmin
from batches.models import Contact, DeliveryReceipt, OptOut
from batches.text_messages.masking import masked


@admin.register(OptOut)
class OptOutAdmin(Finds, ReadOnlyAdmin[OptOut]):
    """Who wants no more messages of whom."""

    list_display = ("id", "owner", "shown", "source", "keyword", "provider", "created_at")
    list_select_related = ("owner",)
    search_fields = ("id",)
    search_help_text = "A user's whole name, or a whole number with its plus sign"
    finds = (by_owner("owner"),)
    finds_otherwise = "number"

    @admin.display(description="number")
    def shown(self, row: OptOut) -> str:
        """Its last digits."""
        return masked(row.number)


@admin.register(Contact)
class ContactAdmin(Finds, ReadOnlyAdmin[Contact]):
    """Who was texted through which account."""

    list_display = ("id", "owner", "shown", "provider", "texted_at")
    list_select_related = ("owner",)
    search_fields = ("id",)
    search_help_text = "A user's whole name, or a whole number with its plus sign"
    finds = (by_owner("owner"),)
    finds_otherwise = "number"

    @admin.display(description="number")
    def shown(self, row: Contact) -> str:
        """Its last digits."""
        return masked(row.number)


@admin.register(DeliveryReceipt)
class DeliveryReceiptAdmin(ReadOnlyAdmin[DeliveryReceipt]):
    """What providers told of messages."""

    list_display = ("id", "provider", "provider_reference", "status", "error_code", "received_at", "applied_at")
    list_filter = (("applied_at", admin.EmptyFieldListFilter),)
    search_fields = ("provider_reference__exact",)
    search_help_text = "A provider's whole id of a message"

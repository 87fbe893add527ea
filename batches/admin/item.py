"""Items and their errors: staff see every retry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import unfold.admin
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from batches.admin.finding import Finds, by_batch
from batches.admin.paging import ReadOnlyAdmin
from batches.models import Item, ItemError
from batches.states import Channel
from batches.text_messages.masking import masked

if TYPE_CHECKING:
    _Inline = admin.TabularInline[ItemError, Item]
else:
    _Inline = unfold.admin.TabularInline


class ItemErrorInline(_Inline):
    """What went wrong with an item, counted by code."""

    model = ItemError
    fields = ("provider", "code", "category", "message", "count", "first_at", "last_at")
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The recorder adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The recorder changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Errors stay."""
        return False


@admin.register(Item)
class ItemAdmin(Finds, ReadOnlyAdmin[Item]):
    """Items, newest first. No filter by status: no index serves it, and a scan of millions of rows would."""

    list_display = (
        *("id", "of_batch", "position", "named", "status", "attempts", "provider", "error_category", "error_code"),
        "due_at",
    )
    list_select_related = ("batch",)
    search_fields = ("id",)
    search_help_text = "A batch's whole id, or a provider's id of a message"
    finds = (by_batch("batch"),)
    finds_otherwise = "provider_reference"
    ordering = ("-id",)
    inlines = (ItemErrorInline,)

    @admin.display(description="key")
    def named(self, item: Item) -> str:
        """Its key, which of a message is somebody's number."""
        return masked(item.key) if item.batch.channel == Channel.SMS else item.key

    def get_queryset(self, request: HttpRequest) -> QuerySet[Item]:
        """Without the documents, which the list does not show."""
        items = super().get_queryset(request)
        is_list = request.resolver_match is not None and request.resolver_match.url_name == "batches_item_changelist"
        return items.defer("input", "result", "batch__parameters", "batch__warnings") if is_list else items


@admin.register(ItemError)
class ItemErrorAdmin(Finds, ReadOnlyAdmin[ItemError]):
    """Errors, newest first."""

    list_display = ("id", "of_batch", "item_id", "provider", "category", "code", "count", "first_at", "last_at")
    list_select_related = ("batch",)
    search_fields = ("id",)
    search_help_text = "A batch's whole id"
    finds = (by_batch("batch"),)
    ordering = ("-id",)

"""What owners were told and used."""

from __future__ import annotations

from django.contrib import admin

from batches.admin.finding import Finds, by_owner
from batches.admin.paging import ReadOnlyAdmin
from batches.models import Notification, Usage


@admin.register(Notification)
class NotificationAdmin(Finds, ReadOnlyAdmin[Notification]):
    """Words to owners."""

    list_display = ("created_at", "owner", "kind", "read_at")
    list_select_related = ("owner",)
    search_fields = ("id",)
    search_help_text = "A user's whole name"
    finds = (by_owner("owner"),)
    fields = ("owner", "batch", "kind", "details", "created_at", "read_at")
    ordering = ("-id",)


@admin.register(Usage)
class UsageAdmin(Finds, ReadOnlyAdmin[Usage]):
    """What deleted batches did; that of others is counted by their histograms."""

    list_display = ("day", "owner", "operation", "items", "failed", "calls")
    list_select_related = ("owner",)
    search_fields = ("id",)
    search_help_text = "A user's whole name, or an operation"
    finds = (by_owner("owner"),)
    finds_otherwise = "operation"
    ordering = ("-id",)

"""What owners were told and used."""

from __future__ import annotations

from django.contrib import admin

from batches.admin.paging import ReadOnlyAdmin
from batches.models import Notification, Usage


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin[Notification]):
    """Words to owners."""

    list_display = ("created_at", "owner", "kind", "read_at")
    list_select_related = ("owner",)
    search_fields = ("owner__username__exact",)
    fields = ("owner", "batch", "kind", "details", "created_at", "read_at")
    ordering = ("-id",)


@admin.register(Usage)
class UsageAdmin(ReadOnlyAdmin[Usage]):
    """What deleted batches did; that of others is counted by their histograms."""

    list_display = ("day", "owner", "operation", "items", "failed", "calls")
    list_select_related = ("owner",)
    search_fields = ("owner__username__exact", "operation__exact")
    ordering = ("-id",)

"""Batches at providers."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from batches.admin.finding import Finds, by_batch
from batches.admin.paging import ReadOnlyAdmin
from batches.economy.bell import hurry
from batches.models import ProviderBatch


@admin.register(ProviderBatch)
class ProviderBatchAdmin(Finds, ReadOnlyAdmin[ProviderBatch]):
    """What waits at which provider, and what became of it."""

    list_display = (
        "marker",
        "of_batch",
        "provider",
        "step",
        "size",
        "remote_id",
        "error_code",
        "failures",
        "due_at",
        "submitted_at",
    )
    list_filter = ("step",)
    list_select_related = ("batch",)
    search_fields = ("id",)
    search_help_text = "A batch's whole id, or a whole marker"
    finds = (by_batch("batch"),)
    finds_otherwise = "marker"
    raw_id_fields = ("batch", "lease")
    actions = ("hurry",)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Who may use the action: whoever was given the right to change batches."""
        return bool(request.user.has_perm("batches.change_batch"))

    @admin.action(description="Take the next step now", permissions=["operate"])
    def hurry(self, request: HttpRequest, rows: QuerySet[ProviderBatch]) -> None:
        """After a key was changed or credit was bought, nobody has to wait for the next try."""
        number = hurry(rows, actor_id=request.user.pk)
        self.message_user(request, f"{number} are due now.", messages.SUCCESS)

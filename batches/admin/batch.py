"""Batches: looked at, paused, resumed, cancelled, retried. Everything goes through the services."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from batches import services
from batches.admin.confirming import confirmed
from batches.admin.finding import Finds, by_batch_start, by_owner
from batches.admin.paging import ReadOnlyAdmin
from batches.models import Batch
from batches.problems import Conflict
from batches.templatetags.humane import short_title
from batches.text_messages import doubts


@admin.register(Batch)
class BatchAdmin(Finds, ReadOnlyAdmin[Batch]):
    """Everybody's batches, newest first."""

    list_display = (
        *("title", "operation", "status", "share", "failed", "unknown"),
        *("owner", "provider", "priority", "created_at"),
    )
    list_filter = ("status", "channel", "priority", "mode")
    list_select_related = ("owner",)
    search_fields = ("public_id",)
    search_help_text = "The beginning of an id, a user's whole name, or a whole subject"
    finds = (by_owner("owner"), by_batch_start("public_id"))
    finds_otherwise = "subject"
    ordering = ("-id",)
    actions = ("pause", "resume", "cancel", "retry_failed", "confirm_unknown", "give_up_unknown")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Batch]:
        """The list reads no documents."""
        batches = super().get_queryset(request)
        is_list = request.resolver_match is not None and request.resolver_match.url_name == "batches_batch_changelist"
        return batches.defer("parameters", "warnings", "description") if is_list else batches

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Who may use the actions: whoever was given the right to change batches."""
        return bool(request.user.has_perm("batches.change_batch"))

    @admin.display(description="batch", ordering="id")
    def title(self, batch: Batch) -> str:
        """Its name, or what it does."""
        return short_title(batch)

    @admin.display(description="progress")
    def share(self, batch: Batch) -> str:
        """How many items are final, of how many."""
        return f"{batch.progress:.0%} of {batch.total:,}"

    @admin.action(description="Pause", permissions=["operate"])
    def pause(self, request: HttpRequest, batches: QuerySet[Batch]) -> None:
        """Start no further call."""
        self._each(request, batches, services.pause, "paused")

    @admin.action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, batches: QuerySet[Batch]) -> None:
        """Go on."""
        self._each(request, batches, services.resume, "resumed")

    @admin.action(description="Cancel", permissions=["operate"])
    @confirmed("Cancel these batches? What has not started will not be done; nothing brings it back.")
    def cancel(self, request: HttpRequest, batches: QuerySet[Batch]) -> None:
        """Stop for good."""
        self._each(request, batches, services.cancel, "cancelled")

    @admin.action(description="Retry failed items", permissions=["operate"])
    @confirmed("Run the failed items of these batches again? Calls are paid for, and messages go to people.")
    def retry_failed(self, request: HttpRequest, batches: QuerySet[Batch]) -> None:
        """Run what failed again."""
        self._each(request, batches, services.retry_failed, "retried")

    @admin.action(description="Unknown messages: they were sent", permissions=["operate"])
    @confirmed("Count all unknown messages of these batches as sent?")
    def confirm_unknown(self, request: HttpRequest, batches: QuerySet[Batch]) -> None:
        """Items in doubt succeed."""
        self._each(request, batches, doubts.confirm, "settled")

    @admin.action(description="Unknown messages: they were not sent", permissions=["operate"])
    @confirmed("Count all unknown messages of these batches as not sent? A retry sends them, to some perhaps twice.")
    def give_up_unknown(self, request: HttpRequest, batches: QuerySet[Batch]) -> None:
        """Items in doubt fail, and may be retried."""
        self._each(request, batches, doubts.give_up, "settled")

    def _each(self, request: HttpRequest, batches: QuerySet[Batch], verb: Callable[..., Any], done: str) -> None:
        changed = 0
        for batch in batches:
            try:
                verb(batch, actor_id=request.user.pk)
                changed += 1
            except Conflict as conflict:
                self.message_user(request, f"{batch.public_id}: {conflict}", messages.WARNING)
        if changed:
            self.message_user(request, f"{changed} {done}.", messages.SUCCESS)

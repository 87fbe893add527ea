"""What the engine keeps: leases, workers, closed accounts, histograms."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from batches.admin.finding import Finds, by_batch
from batches.admin.paging import ReadOnlyAdmin
from batches.dispatching.concerns import current_concerns
from batches.models import BatchHistogram, Lease, ProviderAccount, Worker
from batches.provider_accounts.breakers import close_breaker


def _figure(worker: Worker, name: str) -> int | None:
    """What the process said of itself at its last look; None before the first."""
    figure: int | None = worker.figures.get(name)
    return figure


@admin.register(Lease)
class LeaseAdmin(Finds, ReadOnlyAdmin[Lease]):
    """Who runs what now."""

    list_display = ("id", "of_batch", "lane", "provider", "size", "remaining", "worker", "accepted_at", "expires_at")
    list_filter = ("channel",)
    list_select_related = ("batch",)
    search_fields = ("id",)
    search_help_text = "A batch's whole id, or a worker's whole boot id"
    finds = (by_batch("batch"),)
    finds_otherwise = "worker"


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin[Worker]):
    """The processes of the engine, the living first; above them, what the dispatcher is concerned about."""

    list_display = (
        *("boot_id", "role", "hostname", "process_id", "in_flight", "holds"),
        *("accepted", "idle_seconds", "unrecorded", "memory", "files", "started_at", "seen_at"),
    )
    list_filter = ("role",)
    search_fields = ("boot_id__startswith", "hostname")

    @admin.display(description="can hold")
    def holds(self, worker: Worker) -> str:
        """Calls in flight, by channel."""
        return ", ".join(f"{channel} {number}" for channel, number in worker.capacity.items())

    @admin.display(description="leases accepted")
    def accepted(self, worker: Worker) -> int | None:
        """Since its boot."""
        return _figure(worker, "accepted")

    @admin.display(description="seconds since the last")
    def idle_seconds(self, worker: Worker) -> int | None:
        """Since it accepted one, as of its last look."""
        return _figure(worker, "idle_seconds")

    @admin.display(description="outcomes unrecorded")
    def unrecorded(self, worker: Worker) -> int | None:
        """Waiting in its memory for Postgres."""
        return _figure(worker, "unrecorded")

    @admin.display(description="memory, MiB")
    def memory(self, worker: Worker) -> int | None:
        """Resident."""
        return _figure(worker, "memory_mb")

    @admin.display(description="open files")
    def files(self, worker: Worker) -> int | None:
        """Sockets among them."""
        return _figure(worker, "files")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, with concerns as messages."""
        for concern in current_concerns():
            messages.warning(request, concern.words)
        return super().changelist_view(request, extra_context)


@admin.register(ProviderAccount)
class ProviderAccountAdmin(ReadOnlyAdmin[ProviderAccount]):
    """Which accounts are closed until when, and why; what was learned of their limits."""

    list_display = (
        *("alias", "opened_for", "opened_at", "probe_at", "closed_until", "reason"),
        *("concurrency", "cut_at", "requests_per_minute", "tokens_per_minute", "tokens_per_call", "changed_at"),
    )
    search_fields = ("alias",)
    actions = ("close_breakers",)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Who may use the action: whoever was given the right to change accounts."""
        return bool(request.user.has_perm("batches.change_provideraccount"))

    @admin.action(description="Let them take calls again now", permissions=["operate"])
    def close_breakers(self, request: HttpRequest, accounts: QuerySet[ProviderAccount]) -> None:
        """For those whose key was mended, or whose bill was paid, before the next probe finds out."""
        closed = [account.alias for account in accounts if close_breaker(account.alias, actor_id=request.user.pk)]
        if closed:
            messages.success(request, f"They take calls again: {', '.join(closed)}.")
        else:
            messages.warning(request, "None of them was shut.")


@admin.register(BatchHistogram)
class BatchHistogramAdmin(Finds, ReadOnlyAdmin[BatchHistogram]):
    """The counted facts behind a batch's analytics."""

    list_display = ("id", "of_batch", "measure", "bucket", "count")
    list_select_related = ("batch",)
    search_fields = ("id",)
    search_help_text = "A batch's whole id"
    finds = (by_batch("batch"),)
    ordering = ("-id",)

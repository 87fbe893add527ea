"""What the engine keeps: leases, workers, closed accounts, histograms."""

from __future__ import annotations

from django.contrib import admin

from batches.admin.paging import ReadOnlyAdmin
from batches.models import BatchHistogram, Lease, ProviderAccount, Worker


@admin.register(Lease)
class LeaseAdmin(ReadOnlyAdmin[Lease]):
    """Who runs what now."""

    list_display = ("id", "batch", "lane", "provider", "size", "remaining", "worker", "accepted_at", "expires_at")
    list_filter = ("channel",)
    list_select_related = ("batch",)
    search_fields = ("worker__startswith", "batch__public_id__exact")


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin[Worker]):
    """The processes of the engine, the living first."""

    list_display = ("boot_id", "role", "hostname", "process_id", "in_flight", "capacity", "started_at", "seen_at")
    list_filter = ("role",)
    search_fields = ("boot_id__startswith", "hostname")


@admin.register(ProviderAccount)
class ProviderAccountAdmin(ReadOnlyAdmin[ProviderAccount]):
    """Which accounts are closed until when, and why."""

    list_display = ("alias", "closed_until", "reason", "changed_at")
    search_fields = ("alias",)


@admin.register(BatchHistogram)
class BatchHistogramAdmin(ReadOnlyAdmin[BatchHistogram]):
    """The counted facts behind a batch's analytics."""

    list_display = ("id", "batch", "measure", "bucket", "count")
    list_select_related = ("batch",)
    search_fields = ("batch__public_id__exact", "measure__startswith")
    search_help_text = "A batch's whole id, or the beginning of a measure"
    ordering = ("-id",)

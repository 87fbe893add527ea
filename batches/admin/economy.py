"""Batches at providers."""

from __future__ import annotations

from django.contrib import admin

from batches.admin.paging import ReadOnlyAdmin
from batches.models import ProviderBatch


@admin.register(ProviderBatch)
class ProviderBatchAdmin(ReadOnlyAdmin[ProviderBatch]):
    """What waits at which provider, and what became of it."""

    list_display = ("marker", "batch", "provider", "step", "size", "remote_id", "failures", "due_at", "submitted_at")
    list_filter = ("step",)
    list_select_related = ("batch",)
    search_fields = ("marker__exact", "batch__public_id__exact", "remote_id__exact")
    raw_id_fields = ("batch", "lease")

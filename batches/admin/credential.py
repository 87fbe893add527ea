"""Keys of provider accounts."""

from __future__ import annotations

from django.contrib import admin

from batches.admin.paging import ReadOnlyAdmin
from batches.models import ProviderCredential


@admin.register(ProviderCredential)
class ProviderCredentialAdmin(ReadOnlyAdmin[ProviderCredential]):
    """Which keys were entered, by their last characters."""

    list_display = ("alias", "last_four", "account", "changed_at")
    fields = ("alias", "last_four", "account", "changed_at")
    search_fields = ("alias",)

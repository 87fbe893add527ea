"""Keys, replies, files and the audit trail."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.forms import ModelForm
from django.http import HttpRequest

from batches.admin.confirming import confirmed
from batches.admin.finding import Finds, by_batch, by_owner
from batches.admin.paging import ReadOnlyAdmin
from batches.models import ApiKey, AuditEntry, IdempotentReply, StoredFile


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin[ApiKey]):
    """Keys are issued and revoked here; the secret is shown once, and its digest never."""

    list_display = ("name", "prefix", "owner", "scopes", "created_at", "last_used_at", "revoked_at")
    list_select_related = ("owner",)
    search_fields = ("name", "prefix__startswith", "owner__username__exact")
    fields = ("owner", "name", "prefix", "scopes", "created_at", "last_used_at", "revoked_at")
    readonly_fields = ("prefix", "scopes", "created_at", "last_used_at", "revoked_at")
    autocomplete_fields = ("owner",)
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        """By the permission, as elsewhere in the admin."""
        return request.user.has_perm("batches.add_apikey")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Who may revoke."""
        return request.user.has_perm("batches.change_apikey")

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        """A new key needs an owner and a name."""
        return ("owner", "name") if obj is None else self.fields

    def save_model(self, request: HttpRequest, obj: ApiKey, form: ModelForm[ApiKey], change: bool) -> None:
        """Issue the key and show its secret, this once."""
        issued, secret = ApiKey.issue(owner_id=obj.owner_id, name=obj.name)
        obj.pk, obj.prefix, obj.created_at = issued.pk, issued.prefix, issued.created_at
        obj._state.adding = False
        messages.warning(request, f"The key is {secret} - copy it now, it is not shown again.")

    @admin.action(description="Revoke", permissions=["revoke"])
    @confirmed("Revoke these keys? Whoever uses one is refused from now on; a key that was revoked stays so.")
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        """End the keys at once; sockets that were opened with them are closed within seconds."""
        revoked = keys.filter(revoked_at=None).update(revoked_at=Now())
        self.message_user(request, f"{revoked} revoked.")


@admin.register(IdempotentReply)
class IdempotentReplyAdmin(Finds, ReadOnlyAdmin[IdempotentReply]):
    """Answers kept for repeated requests."""

    list_display = ("id", "key", "owner", "status_code", "created_at")
    list_select_related = ("owner",)
    search_fields = ("id",)
    search_help_text = "A user's whole name, or a whole key"
    finds = (by_owner("owner"),)
    finds_otherwise = "key"
    fields = ("key", "owner", "status_code", "body", "created_at")
    ordering = ("-id",)


@admin.register(StoredFile)
class StoredFileAdmin(Finds, ReadOnlyAdmin[StoredFile]):
    """Uploaded files, by what is known of them."""

    list_display = ("public_id", "name", "owner", "media_type", "size", "created_at")
    list_select_related = ("owner",)
    search_fields = ("id",)
    search_help_text = "A user's whole name, or a whole id"
    finds = (by_owner("owner"),)
    finds_otherwise = "public_id"
    fields = ("public_id", "name", "owner", "media_type", "size", "created_at")


@admin.register(AuditEntry)
class AuditEntryAdmin(Finds, ReadOnlyAdmin[AuditEntry]):
    """Who did what, and when. No filter by action: its choices would have to be collected from every row."""

    list_display = ("at", "actor", "action", "batch_public_id", "details")
    list_select_related = ("actor",)
    search_fields = ("id",)
    search_help_text = "A user's whole name, or a batch's whole id"
    finds = (by_owner("actor"), by_batch("batch", gone="batch_public_id"))
    ordering = ("-id",)

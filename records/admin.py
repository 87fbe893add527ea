"""Records and topics, looked at by staff. Found by what is indexed: an id, or a user's whole name."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest

from batches.admin.paging import ReadOnlyAdmin
from records.filters import is_uuid
from records.models import Record, Topic


@admin.register(Record)
class RecordAdmin(ReadOnlyAdmin[Record]):
    """Everybody's records, newest first; a list reads no contents."""

    list_display = ("public_id", "kind", "status", "memory_type", "owner", "project_ref", "created_at", "updated_at")
    list_select_related = ("owner",)
    search_fields = ("public_id__exact",)
    search_help_text = "A whole id, or a user's whole name"
    fields = (
        "public_id",
        "owner",
        "kind",
        "status",
        "key",
        "title",
        "content",
        "summary",
        "metadata",
        "tags",
        "memory_type",
        "topic",
        "project_ref",
        "quality",
        "relevance",
        "access_count",
        "last_accessed",
        "created_at",
        "updated_at",
    )
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Record]:
        """Without what the list does not show."""
        records = super().get_queryset(request)
        is_list = request.resolver_match is not None and request.resolver_match.url_name == "records_record_changelist"
        return records.defer("content", "summary", "metadata", "search") if is_list else records

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Record], search_term: str
    ) -> tuple[QuerySet[Record], bool]:
        """One condition that an index serves; two of them with an "or" would read the whole table."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if owner := get_user_model().objects.filter(username=term).first():
            return queryset.filter(owner=owner), False
        return queryset.filter(public_id=term), False


@admin.register(Topic)
class TopicAdmin(ReadOnlyAdmin[Topic]):
    """Everybody's topics."""

    list_display = ("name", "owner", "parent", "created_at")
    list_select_related = ("owner", "parent")
    search_fields = ("public_id__exact",)
    search_help_text = "A whole id, or a user's whole name"
    fields = ("public_id", "owner", "parent", "name", "description", "color", "icon", "metadata", "created_at")
    ordering = ("-id",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Topic], search_term: str
    ) -> tuple[QuerySet[Topic], bool]:
        """As for records."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if is_uuid(term):
            return queryset.filter(public_id=term), False
        return queryset.filter(owner__username=term), False

"""Lists of big tables, without counting them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import unfold.admin
from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model
from django.http import HttpRequest
from django.utils.functional import cached_property

from batches.templatetags.humane import short_title

Row = TypeVar("Row", bound=Model)

if TYPE_CHECKING:
    _Paginator = Paginator[Any]
    _Admin = admin.ModelAdmin
else:
    _Paginator = Paginator

    class _Admin(unfold.admin.ModelAdmin):
        """At run time the classes of the admin take no parameter, and are the theme's."""

        def __class_getitem__(cls, parameter: object) -> type:
            return cls


COUNTED_AT_MOST = 10_000


class BoundedPaginator(_Paginator):
    """Counts a few thousand rows exactly and stops there: a million items must not be counted to show fifty."""

    @cached_property
    def count(self) -> int:
        """How many rows can be paged through."""
        rows: Any = self.object_list
        counted: int = rows.order_by().values("pk")[:COUNTED_AT_MOST].count()
        return counted


class ReadOnlyAdmin(_Admin[Row]):
    """Rows that only the system writes: staff look."""

    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        """The engine adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The engine changes."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Rows go with their batch."""
        return False

    @admin.display(description="batch")
    def of_batch(self, row: Any) -> str:
        """Its batch in a few words: a whole id makes every line three."""
        return short_title(row.batch)

"""``/api/v1/analytics`` and ``/api/v1/health``."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from batches.api.base import choice_of, user_id
from batches.api.shapes import instant
from batches.operations.payload import Problems
from records import statistics
from records.api.base import MemoryView
from records.api.memory_request import read_instant


class StatsView(MemoryView):
    """Figures about the memories."""

    def get(self, request: Request) -> Response:
        """As they are now."""
        return Response(statistics.extended_stats(user_id(request)))


class SearchAnalyticsView(MemoryView):
    """Figures about the searches."""

    def get(self, request: Request) -> Response:
        """``from``, ``to``, ``group_by``; the last 30 days, by the day."""
        start, end = _stretch(request)
        group_by = choice_of(request, "group_by", list(statistics.STRETCHES)) or "day"
        return Response(statistics.search_analytics(user_id(request), start, end, group_by))


class AccessAnalyticsView(MemoryView):
    """Figures about reads, updates and deletes."""

    def get(self, request: Request) -> Response:
        """``from``, ``to``; the last 30 days."""
        start, end = _stretch(request)
        return Response(statistics.access_patterns(user_id(request), start, end))


class HealthView(MemoryView):
    """Whether the service answers and the key is good: what the client's ``healthCheck`` asks."""

    def get(self, request: Request) -> Response:
        """The database did answer: it knew the key."""
        return Response({"status": "ok", "timestamp": instant(timezone.now())})


def _stretch(request: Request) -> tuple[datetime | None, datetime | None]:
    problems = Problems()
    start = read_instant(request.query_params.get("from"), "from", problems)
    end = read_instant(request.query_params.get("to"), "to", problems, end=True)
    problems.raise_if_any()
    return start, end

"""Figures about an owner's memories, and about what was done with them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Avg, Count, F, Func, Q, QuerySet, Sum, TextField
from django.db.models.functions import ExtractHour, Lower, TruncDay, TruncMonth, TruncWeek
from django.utils import timezone

from batches.api.shapes import instant
from records.activity import KEPT_DAYS
from records.models import Action, Activity, MemoryType, Method, Record, Topic
from records.querysets import RecordQuerySet
from records.shapes import title_of

MOST_RECENT = 5
MOST_LISTED = 10
MOST_PROJECTS = 50
DEFAULT_DAYS = 30
STRETCHES = {"day": TruncDay, "week": TruncWeek, "month": TruncMonth}


class Bytes(Func):
    """How long a text is, without reading it."""

    function = "octet_length"


def memory_stats(owner_id: int) -> dict[str, Any]:
    """How many memories and topics there are, which is read most, which are newest."""
    memories = _memories(owner_id)
    by_type = _by_type(memories)
    most_accessed = memories.filter(access_count__gt=0).order_by("-access_count", "-pk").first()
    return {
        "total_memories": sum(by_type.values()),
        "memories_by_type": by_type,
        "total_topics": Topic.objects.filter(owner_id=owner_id).count(),
        "most_accessed_memory": most_accessed.public_id if most_accessed else None,
        "recent_memories": list(memories.order_by("-pk").values_list("public_id", flat=True)[:MOST_RECENT]),
    }


def extended_stats(owner_id: int) -> dict[str, Any]:
    """By type and project, how much room they take, what happened today (UTC), and the most used tags."""
    memories = _memories(owner_id)
    by_type = _by_type(memories)
    total = sum(by_type.values())
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    size = memories.aggregate(bytes=Sum(Bytes("content")))["bytes"] or 0
    return {
        "total_memories": total,
        "by_type": by_type,
        "by_project": _by_project(memories),
        "storage": {
            "total_size_mb": round(size / 2**20, 3),
            "avg_memory_size_kb": round(size / total / 1024, 3) if total else 0.0,
            "total_chunks": total,  # each is kept and searched whole
        },
        "activity": {
            "created_today": memories.filter(created_at__gte=today).count(),
            "updated_today": memories.filter(updated_at__gte=today, updated_at__gt=F("created_at")).count(),
            "searched_today": _activity(owner_id, today, None).filter(action=Action.SEARCH).count(),
        },
        "top_tags": _top_tags(memories),
    }


def search_analytics(owner_id: int, start: datetime | None, end: datetime | None, group_by: str) -> dict[str, Any]:
    """How often was searched, what for, how much was found, and how long it took."""
    searches = _activity(owner_id, start, end).filter(action=Action.SEARCH)
    by_date: Any = searches.annotate(date=STRETCHES[group_by]("at")).values("date").order_by("date")
    figures = {"searches": Count("pk"), "results": Avg("count"), "milliseconds": Avg("duration_ms")}
    whole = searches.aggregate(**figures)
    popular = searches.annotate(text=Lower("query")).values("text").annotate(number=Count("pk"), results=Avg("count"))
    return {
        "total_searches": whole["searches"],
        "avg_results_count": round(whole["results"] or 0.0, 2),
        "avg_execution_time_ms": round(whole["milliseconds"] or 0.0, 2),
        "search_types": {"vector": 0, "text": whole["searches"], "hybrid": 0},
        "by_date": [
            {
                "date": row["date"].date().isoformat(),
                "searches": row["searches"],
                "avg_results": round(row["results"], 2),
                "avg_time_ms": round(row["milliseconds"] or 0.0, 2),
            }
            for row in by_date.annotate(**figures)
        ],
        "popular_queries": [
            {"query": row["text"], "count": row["number"], "avg_results": round(row["results"], 2)}
            for row in popular.order_by("-number", "text")[:MOST_LISTED]
        ],
    }


def access_patterns(owner_id: int, start: datetime | None, end: datetime | None) -> dict[str, Any]:
    """What was read, changed and deleted, by which way, and at which hours of the day (UTC)."""
    touched = _activity(owner_id, start, end).exclude(action=Action.CREATE)
    sums: dict[tuple[str, str], int] = {
        (action, method): number
        for action, method, number in touched.values_list("action", "method").annotate(Sum("count")).order_by()
    }
    searched = sum(number for (action, _), number in sums.items() if action == Action.SEARCH)
    hours = dict(touched.annotate(hour=ExtractHour("at")).values_list("hour").annotate(Sum("count")).order_by())
    return {
        "total_accesses": sum(sums.values()),
        "by_type": {
            "read": searched + _sum(sums, action=Action.READ),
            "update": _sum(sums, action=Action.UPDATE),
            "delete": _sum(sums, action=Action.DELETE),
        },
        "by_method": {
            "api": _sum(sums, method=Method.API),
            "search": _sum(sums, method=Method.SEARCH),
            "direct": _sum(sums, method=Method.DIRECT),
        },
        "most_accessed": _most_accessed(_memories(owner_id)),
        "access_by_hour": [{"hour": hour, "count": hours.get(hour, 0)} for hour in range(24)],
    }


def _sum(sums: dict[tuple[str, str], int], *, action: str | None = None, method: str | None = None) -> int:
    return sum(number for (one, way), number in sums.items() if action in {None, one} and method in {None, way})


def _memories(owner_id: int) -> RecordQuerySet:
    return Record.objects.owned_by(owner_id).memories().exclude(status="deleted")


def _activity(owner_id: int, start: datetime | None, end: datetime | None) -> QuerySet[Activity]:
    days = DEFAULT_DAYS if end is None else KEPT_DAYS
    since = start or timezone.now() - timedelta(days=days)
    found = Activity.objects.filter(owner_id=owner_id, at__gte=since)
    return found.filter(at__lt=end) if end else found


def _by_type(memories: RecordQuerySet) -> dict[str, int]:
    counted = dict(memories.order_by().values_list("memory_type").annotate(Count("pk")))
    return {type_: counted.get(type_, 0) for type_ in {**dict.fromkeys(MemoryType.values), **counted}}


def _by_project(memories: RecordQuerySet) -> list[dict[str, Any]]:
    rows = memories.exclude(project_ref="").order_by().values_list("project_ref").annotate(number=Count("pk"))
    return [
        {"project_id": project, "project_name": project, "count": number}
        for project, number in rows.order_by("-number", "project_ref")[:MOST_PROJECTS]
    ]


def _top_tags(memories: RecordQuerySet) -> list[dict[str, Any]]:
    tags = memories.filter(~Q(tags=[])).annotate(tag=Func(F("tags"), function="unnest", output_field=TextField()))
    rows = tags.order_by().values("tag").annotate(number=Count("pk")).order_by("-number", "tag")[:MOST_LISTED]
    return [{"tag": row["tag"], "count": row["number"]} for row in rows]


def _most_accessed(memories: RecordQuerySet) -> list[dict[str, Any]]:
    rows = memories.filter(access_count__gt=0).order_by("-access_count", "-pk")[:MOST_LISTED]
    return [
        {
            "memory_id": row.public_id,
            "title": title_of(row),
            "access_count": row.access_count,
            "last_accessed": instant(row.last_accessed),
        }
        for row in rows
    ]

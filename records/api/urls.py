"""The routes under ``/api/v1``, each with and without a slash at its end; fixed words stand before ids."""

from __future__ import annotations

from django.urls import URLPattern

from batches.api.urls import route
from records.api import analytics, memories, topics
from records.api.batch import MemoryBatchView


def memory_routes(word: str) -> list[URLPattern]:
    """Newer clients say ``memories`` where older ones say ``memory``."""
    return [
        route(word, memories.MemoriesView, f"api-{word}"),
        route(f"{word}/list", memories.MemoryListView, f"api-{word}-list"),
        route(f"{word}/search", memories.SearchView, f"api-{word}-search"),
        route(f"{word}/bulk/delete", memories.BulkDeleteView, f"api-{word}-bulk-delete"),
        route(f"{word}/stats", memories.MemoryStatsView, f"api-{word}-stats"),
        route(f"{word}/<memory_id>", memories.OneMemoryView, f"api-{word}-one"),
    ]


urlpatterns = [
    route("batch", MemoryBatchView, "api-memory-batch"),
    *memory_routes("memory"),
    *memory_routes("memories"),
    route("topics", topics.TopicsView, "api-topics"),
    route("topics/<topic_id>", topics.TopicView, "api-topic"),
    route("topics/<topic_id>/memories", topics.TopicMemoriesView, "api-topic-memories"),
    route("analytics/stats", analytics.StatsView, "api-memory-analytics-stats"),
    route("analytics/search", analytics.SearchAnalyticsView, "api-memory-analytics-search"),
    route("analytics/access", analytics.AccessAnalyticsView, "api-memory-analytics-access"),
    route("health", analytics.HealthView, "api-memory-health"),
]

"""Document 004: what is shown of a batch's results as a whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from batches.api.shapes import batch_shape, instant
from batches.figures import Figures
from batches.models import Batch

TIMELINE_POINTS = 100

ERROR_NAMES = {
    "rate_limit": "Rate limit",
    "timeout": "Timeout",
    "network": "Network error",
    "server": "Server error",
    "invalid_request": "Invalid request",
    "authentication": "Authentication",
    "not_found": "Not found",
    "content": "Invalid response",
    "budget": "Budget exhausted",
    "cancelled": "Cancelled",
    "internal": "Internal error",
}
"""The closed list of error categories in words for a chart."""


def tried(batch: Batch) -> int:
    """Items that were tried to the end."""
    return batch.succeeded + batch.failed + batch.unknown


def visualization(batch: Batch) -> dict[str, Any]:
    """Document 004's ``visualization``. Rates are shares of 1, percentages of 100, durations milliseconds."""
    figures = Figures.of(batch)
    failures = figures.failures()
    failed = sum(count for _, count in failures)
    until = batch.settled_at or timezone.now()  # the last stretch may not be over
    return {
        "batchId": batch.public_id,
        "overview": {
            "total": batch.total,
            "successful": batch.succeeded,
            "failed": batch.failed + batch.unknown,
            "pending": batch.total - batch.finished,
            "cancelled": batch.cancelled,
            "successRate": _share(batch.succeeded, tried(batch)),
            "averageDuration": figures.durations.average,
        },
        "errorDistribution": [
            {
                "error": ERROR_NAMES.get(category, category),
                "category": category,
                "count": count,
                "percentage": _percentage(count, failed),
            }
            for category, count in failures
        ],
        "qualityDistribution": [
            {"range": name, "count": count, "percentage": _percentage(count, tried(batch))}
            for name, count in figures.qualities()
        ],
        "performanceMetrics": {
            "averageDuration": figures.durations.average,
            "p50Duration": figures.durations.at_most(0.50),
            "p95Duration": figures.durations.at_most(0.95),
            "p99Duration": figures.durations.at_most(0.99),
        },
        "timeline": [
            {
                "at": instant(min(datetime.fromtimestamp(second, UTC), until)),
                "processed": finished,
                "progress": min(100, 100 * finished // batch.total) if batch.total else 100,
            }
            for second, finished in figures.progress(TIMELINE_POINTS)
        ],
    }


def results_shape(batch: Batch, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Document 004's batch with results: a page of them, and a summary of all."""
    figures = Figures.of(batch)
    minutes = batch.seconds_running(timezone.now()) / 60
    return batch_shape(batch) | {
        "results": results,
        "summary": {
            "total": batch.total,
            "successful": batch.succeeded,
            "failed": batch.failed + batch.unknown,
            "cancelled": batch.cancelled,
            "qualityScore": figures.average_quality,
            "performanceMetrics": {
                "averageDuration": figures.durations.average,
                "totalDuration": figures.durations.total,
                "requestsPerMinute": round(tried(batch) / minutes, 2) if minutes > 0 else 0.0,
            },
        },
    }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def _percentage(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0

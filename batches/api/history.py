"""Document 004: an owner's batches as a whole: history, statistics, cleanup. No item row is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db.models import Count
from rest_framework.request import Request
from rest_framework.response import Response

from batches import services
from batches.api.base import ApiView, body_of, page_of, user_id
from batches.api.shapes import batch_shape
from batches.models import Batch
from batches.operations.payload import text_fault, unknown_fields
from batches.problems import InvalidInput, Problem
from batches.states import BatchStatus

LONGEST_OPERATION = 64
LONGEST_RETENTION_DAYS = 36_500

ALWAYS_SHOWN = (
    BatchStatus.PENDING,
    BatchStatus.RUNNING,
    BatchStatus.COMPLETED,
    BatchStatus.FAILED,
    BatchStatus.CANCELLED,
)
"""Document 004's statuses; ``paused`` is counted beside them where there is such a batch."""


class HistoryView(ApiView):
    """``GET /api/batch/history``."""

    def get(self, request: Request) -> Response:
        """A page of the owner's batches, newest first. ``count`` is of the page, as documented; ``total`` of all."""
        given = _filter(request)
        batches = Batch.objects.owned_by(request.user).defer("parameters", "warnings", "source_cursor").order_by("-id")
        for name, lookup in LOOKUPS.items():
            if name in given:
                batches = batches.filter(**{lookup: given[name]})
        page = page_of(batches, request)
        shown = {name: request.query_params[name] for name in given}
        return Response(
            {
                "success": True,
                "batches": [batch_shape(batch) for batch in page.rows],
                "count": len(page.rows),
                "total": page.count,
                "filter": shown | {"limit": page.limit, "offset": page.offset},
            }
        )


LOOKUPS = {
    "operation": "operation",
    "status": "status",
    "createdAfter": "created_at__gte",
    "createdBefore": "created_at__lt",
}


def _filter(request: Request) -> dict[str, Any]:
    """The filters that were given, read. Raises :class:`InvalidInput` with every problem in them."""
    problems: list[Problem] = []
    given: dict[str, Any] = {}
    for name, text in request.query_params.dict().items():
        if name == "operation":
            if fault := text_fault(text, maximum=LONGEST_OPERATION):
                problems.append(Problem(name, *fault))
            given[name] = text
        elif name == "status":
            if text not in BatchStatus.values:
                problems.append(Problem(name, f"Must be one of {', '.join(BatchStatus.values)}.", "invalid_choice"))
            given[name] = text
        elif name in {"createdAfter", "createdBefore"}:
            given[name] = _moment(name, text, problems)
        elif name not in {"limit", "offset"}:
            problems.extend(unknown_fields({name: text}, [*LOOKUPS, "limit", "offset"]))
    if problems:
        raise InvalidInput(problems)
    return given


def _moment(name: str, text: str, problems: list[Problem]) -> datetime | None:
    """An instant in ISO 8601; a date is its first moment, and without a zone it is UTC."""
    try:
        # A plus sign in a query string is a space to whoever does not escape it.
        moment = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        problems.append(Problem(name, "Must be an ISO 8601 date or date and time.", "invalid_time"))
        return None


class StatsView(ApiView):
    """``GET /api/batch/stats``."""

    def get(self, request: Request) -> Response:
        """How many batches there are, by status and by operation, and which share of them was completed."""
        groups = Batch.objects.owned_by(request.user).order_by().values_list("status", "operation")
        by_status: Counter[str] = Counter(dict.fromkeys(ALWAYS_SHOWN, 0))
        by_operation: Counter[str] = Counter()
        for status, operation, count in groups.annotate(count=Count("id")):
            by_status[status] += count
            by_operation[operation] += count
        total = by_status.total()
        completed = by_status[BatchStatus.COMPLETED]
        stats = {
            "total": total,
            "byStatus": dict(by_status),
            "byOperation": dict(by_operation.most_common()),
            "completionRate": round(completed / total, 4) if total else 0.0,
        }
        return Response({"success": True, "stats": stats})


class CleanupView(ApiView):
    """``DELETE /api/batch/cleanup``."""

    def delete(self, request: Request) -> Response:
        """Delete batches that have been over for longer than ``daysToKeep`` (default: ``BATCH_RETENTION_DAYS``)."""
        days = _days_to_keep(body_of(request), request.query_params.get("daysToKeep"))
        owner_id = user_id(request)
        deleted = services.cleanup_old_batches(days, owner_id=owner_id, actor_id=owner_id)
        return Response({"success": True, "deleted": deleted, "daysToKeep": days})


def _days_to_keep(body: Mapping[str, Any], queried: str | None) -> int:
    problems = list(unknown_fields(body, ["daysToKeep"]))
    days = body.get("daysToKeep")
    if queried is not None:
        number = int(queried) if queried.isascii() and queried.isdigit() and len(queried) < 7 else -1
        if days is not None and days != number:
            problems.append(
                Problem("daysToKeep", "The body and the query string say different things.", "contradiction")
            )
        days = number
    if days is None:
        days = settings.BATCH_RETENTION_DAYS
    if isinstance(days, bool) or not isinstance(days, int):
        problems.append(Problem("daysToKeep", "Must be a whole number.", "invalid_type"))
    elif not 0 <= days <= LONGEST_RETENTION_DAYS:
        message = f"Must be between 0 and {LONGEST_RETENTION_DAYS}."
        problems.append(Problem("daysToKeep", message, "out_of_range"))
    if problems:
        raise InvalidInput(problems)
    return int(days)

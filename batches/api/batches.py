"""What every batch has, whatever it does: status, items, errors, analytics, and the verbs on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.db.models import QuerySet, Sum
from rest_framework.request import Request
from rest_framework.response import Response

from batches import services
from batches.api.analytics import analytics
from batches.api.base import BatchView, body_of, choice_of, optional_body_of, page_of, user_id
from batches.api.shapes import (
    batch_shape,
    economy_shape,
    error_shape,
    file_shape,
    item_shape,
    result_shape,
    sms_shape,
    spelled_status,
    unavailable_shape,
)
from batches.api.visualization import results_shape, tried, visualization
from batches.models import Batch, Item
from batches.operations.messages import sms
from batches.result_files import result_files
from batches.states import ItemStatus
from batches.steering import read_budget, read_changes, read_positions
from batches.visibility import error_visible_to, errors_visible_to
from providers.base import ErrorCategory

RESULT_STATUSES = sorted({ItemStatus.SUCCEEDED, ItemStatus.FAILED, ItemStatus.UNKNOWN})


class BatchDetailView(BatchView):
    """``GET /api/batch/{id}``: document 004's shape, with document 002's around it for text messages."""

    def get(self, request: Request, batch_id: str) -> Response:
        """Where it stands."""
        batch = self.batch(request, batch_id)
        body: dict[str, Any] = {"success": True, "batch": batch_shape(batch)}
        if unavailable := unavailable_shape(batch):
            body["batch"]["unavailable"] = unavailable
        body["batch"] |= economy_shape(batch)
        return Response(body | sms_shape(batch) if batch.operation == sms.NAME else body)

    def patch(self, request: Request, batch_id: str) -> Response:
        """Change its rate, concurrency, priority or budget while it runs, or 409 when it is final."""
        batch = self.batch(request, batch_id)
        changes = read_changes(body_of(request))
        batch = services.change(batch, changes, actor_id=user_id(request))
        changed = sorted(set(body_of(request)))
        return Response({"success": True, "batch": batch_shape(batch), "changed": changed})


class BatchResultsView(BatchView):
    """``GET /api/batch/{id}/results``: what became of the items so far, in the order of the items."""

    def get(self, request: Request, batch_id: str) -> Response:
        """A page of them, with a summary of all."""
        batch = self.batch(request, batch_id)
        page = page_of(_with_results(batch), request, count=tried(batch))
        results = [result_shape(item) for item in page.rows]
        return Response({"success": True, "batch": results_shape(batch, results), **page.position})


def _with_results(batch: Batch) -> QuerySet[Item]:
    """Items that were tried to the end; where these are all of them, the index alone finds the page."""
    items = batch.items.order_by("position")
    if tried(batch) == batch.total and batch.loaded_at is not None:
        return items
    return items.filter(status__in=RESULT_STATUSES)


class BatchVisualizationView(BatchView):
    """``GET /api/batch/{id}/viz``."""

    def get(self, request: Request, batch_id: str) -> Response:
        """Distributions, percentiles and a timeline, from counters alone."""
        return Response({"success": True, "visualization": visualization(self.batch(request, batch_id))})


class BatchItemsView(BatchView):
    """``GET /api/batch/{id}/items``."""

    def get(self, request: Request, batch_id: str) -> Response:
        """A page of its items, in the order they were given."""
        batch = self.batch(request, batch_id)
        status = choice_of(request, "status", ItemStatus.values)
        items = batch.items.order_by("position")
        page = page_of(items.filter(status=status) if status else items, request, count=None if status else batch.total)
        shapes = [item_shape(item, with_error=error_visible_to(request.user, batch, item)) for item in page.rows]
        return Response({"success": True, "items": shapes, **page.position})


class BatchFilesView(BatchView):
    """``GET /api/batch/{id}/files``: what the batch made for its owner."""

    def get(self, request: Request, batch_id: str) -> Response:
        """A page of them, oldest first; each is downloaded from ``/api/files/{fileId}``."""
        page = page_of(result_files(self.batch(request, batch_id)), request)
        return Response({"success": True, "files": [file_shape(one) for one in page.rows], **page.position})


class BatchErrorsView(BatchView):
    """``GET /api/batch/{id}/errors``."""

    def get(self, request: Request, batch_id: str) -> Response:
        """How often each category occurred, and a page of what happened to which item."""
        batch = self.batch(request, batch_id)
        category = choice_of(request, "category", [one.value for one in ErrorCategory])
        errors = errors_visible_to(request.user, batch)
        sums = errors.order_by().values("category").annotate(count=Sum("count")).order_by("-count", "category")
        listed = errors.filter(category=category) if category else errors
        page = page_of(listed.select_related("item").order_by("-id"), request)
        return Response(
            {
                "success": True,
                "byCategory": list(sums),
                "errors": [error_shape(error) for error in page.rows],
                **page.position,
            }
        )


class BatchAnalyticsView(BatchView):
    """``GET /api/batch/{id}/analytics``."""

    def get(self, request: Request, batch_id: str) -> Response:
        """Rates, durations, errors and throughput, from counters alone."""
        batch = self.batch(request, batch_id)
        return Response({"success": True, "analytics": analytics(batch, request.user)})


class BatchVerbView(BatchView):
    """``POST /api/batch/{id}/start`` and its kin: one service, one sentence."""

    verb: ClassVar[Callable[..., Batch]]
    message: ClassVar[str]

    def arguments(self, request: Request) -> dict[str, Any]:
        """What the body says, where the verb has something to be told."""
        return {}

    def post(self, request: Request, batch_id: str) -> Response:
        """Do it, or 409 where the batch's status does not allow it."""
        batch = type(self).verb(self.batch(request, batch_id), actor_id=request.user.pk, **self.arguments(request))
        body = {"success": True, "message": self.message}
        return Response(body | {"batchId": batch.public_id, "status": spelled_status(batch)})


class StartView(BatchVerbView):
    """``POST /api/batch/{id}/start``."""

    verb = staticmethod(services.start)
    message = "Batch started"


class PauseView(BatchVerbView):
    """``POST /api/batch/{id}/pause``."""

    verb = staticmethod(services.pause)
    message = "Batch paused"


class ResumeView(BatchVerbView):
    """``POST /api/batch/{id}/resume``."""

    verb = staticmethod(services.resume)
    message = "Batch resumed"

    def arguments(self, request: Request) -> dict[str, Any]:
        """``maxCost``: the budget with which it goes on, for one that had spent it."""
        return {"max_cost": read_budget(optional_body_of(request))}


class CancelView(BatchView):
    """``POST /api/batch/{id}/cancel``, answered as document 004 shows it."""

    def post(self, request: Request, batch_id: str) -> Response:
        """Cancel, or 409 when it is final already."""
        services.cancel(self.batch(request, batch_id), actor_id=request.user.pk)
        return Response({"success": True, "message": "Batch cancelled successfully"})


class RetryView(BatchView):
    """``POST /api/batch/{id}/retry``."""

    def post(self, request: Request, batch_id: str) -> Response:
        """Run the failed items again, or those of them that ``positions`` names."""
        batch = self.batch(request, batch_id)
        positions = read_positions(optional_body_of(request))
        retried = services.retry_failed(batch, actor_id=user_id(request), positions=positions)
        return Response({"success": True, "retried": retried})

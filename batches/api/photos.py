"""Document 001: photo batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from batches import services
from batches.api.base import BatchView, CreateBatchView, page_of
from batches.api.shapes import instant, photo_result_shape, photo_status_shape
from batches.models import Batch
from batches.operations.photos import rate_photos
from batches.options import NewBatch
from batches.states import ItemStatus


class ProcessView(CreateBatchView):
    """``POST /api/batch/process``."""

    def build(self, owner_id: int, payload: Mapping[str, Any]) -> NewBatch:
        """Read the images."""
        return rate_photos.build_photo_batch(owner_id, payload)

    def answer(self, batch: Batch) -> dict[str, Any]:
        """Document 001's answer."""
        return {
            "jobId": batch.public_id,
            "message": "Batch processing started",
            "mode": batch.mode,
            "totalImages": batch.total,
        }


class PhotoStatusView(BatchView):
    """``GET /api/batch/status/{id}``."""

    operation = rate_photos.NAME

    def get(self, request: Request, batch_id: str) -> Response:
        """How far it is."""
        return Response(photo_status_shape(self.batch(request, batch_id)))


class PhotoResultsView(BatchView):
    """``GET /api/batch/results/{id}``: the ratings there are so far, in the order of the images."""

    operation = rate_photos.NAME

    def get(self, request: Request, batch_id: str) -> Response:
        """A page of them."""
        batch = self.batch(request, batch_id)
        succeeded = batch.items.filter(status=ItemStatus.SUCCEEDED).order_by("position")
        page = page_of(succeeded, request, count=batch.succeeded)
        return Response(
            {
                "jobId": batch.public_id,
                "results": [photo_result_shape(item) for item in page.rows],
                "totalImages": batch.total,
                "processedImages": batch.succeeded,
                "completedAt": instant(batch.completed_at),
                **page.position,
            }
        )


class PhotoCancelView(BatchView):
    """``POST /api/batch/cancel/{id}``."""

    operation = rate_photos.NAME

    def post(self, request: Request, batch_id: str) -> Response:
        """Cancel, or 409 when it is final already."""
        batch = services.cancel(self.batch(request, batch_id), actor_id=request.user.pk)
        return Response({"jobId": batch.public_id, "message": "Job cancelled successfully"})

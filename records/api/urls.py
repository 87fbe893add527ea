"""The routes under ``/api/v1``, each with and without a slash at its end."""

from __future__ import annotations

from batches.api.urls import route
from records.api.batch import MemoryBatchView

urlpatterns = [
    route("batch", MemoryBatchView, "api-memory-batch"),
]

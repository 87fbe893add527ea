"""Document 004 by its own examples: each request as it stands gets the documented answer, ids and times aside."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from batches.histogram import duration_bucket
from batches.models import Batch, BatchHistogram
from batches.operations import get_operation
from tests import scripted_operations
from tests.api.conftest import Submit, end_items, settle

JSON = "application/json"


@pytest.fixture(autouse=True)
def scripted(settings: Any) -> Any:
    settings.OPERATIONS = {**settings.OPERATIONS, **scripted_operations.OPERATIONS}
    yield
    get_operation.cache_clear()


def count(batch: Batch, measure: str, bucket: int, number: int) -> None:
    BatchHistogram.objects.create(batch=batch, measure=measure, bucket=bucket, count=number)


@pytest.fixture
def documented(submit: Submit) -> Batch:
    """A hundred items: 98 succeeded, one timed out, one answered nonsense; document 004's numbers."""
    batch = submit(count=100)
    end_items(batch, "succeeded", list(range(98)), result={"description": "Invoice processing"}, duration_ms=1180)
    end_items(batch, "failed", [98], error_category="timeout", error_code="timeout", error_message="No answer.")
    end_items(batch, "failed", [99], error_category="content", error_code="invalid_answer", error_message="Nonsense.")
    settle(batch)
    Batch.objects.filter(pk=batch.pk).update(started_at=F("completed_at") - timedelta(seconds=118))
    batch.refresh_from_db()
    day = int(timezone.now().timestamp()) // 86_400
    count(batch, "failed:timeout", day, 1)
    count(batch, "failed:content", day, 1)
    count(batch, "quality", 17, 85)
    count(batch, "quality", 13, 13)
    count(batch, "quality_sum", 0, 920_000 * 98 // 100)
    for milliseconds, number in ((1150, 94), (1850, 4), (2200, 2)):
        count(batch, "duration", duration_bucket(milliseconds), number)
    count(batch, "duration_sum", 0, 118_000)
    return batch

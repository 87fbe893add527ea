"""Document 002: text message campaigns. Their status is in :mod:`batches.api.batches`, with everybody's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batches.api.base import CreateBatchView
from batches.api.shapes import spelled_status
from batches.models import Batch
from batches.operations.messages import sms
from batches.options import NewBatch


class CreateSmsView(CreateBatchView):
    """``POST /api/batch``."""

    def build(self, owner_id: int, payload: Mapping[str, Any]) -> NewBatch:
        """Read template and recipients."""
        return sms.build_sms_batch(owner_id, payload)

    def answer(self, batch: Batch) -> dict[str, Any]:
        """The batch's id, and what was odd about the recipients."""
        return {
            "success": True,
            "batchId": batch.public_id,
            "status": spelled_status(batch),
            "totalRecipients": batch.total,
            "warnings": batch.warnings,
        }

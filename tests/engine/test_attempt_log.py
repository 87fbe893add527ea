"""Document 001's admin log, line by line."""

from __future__ import annotations

from typing import Any

import pytest

from batches.outcomes import Fault
from batches.running.attempt_log import note
from batches.running.changes import Change
from batches.running.leases import LeasedItem
from providers.base import ErrorCategory


def line(caplog: pytest.LogCaptureFixture, status: str, *, operation: str = "rate_photos", **fields: Any) -> list[str]:
    item = LeasedItem(1, fields.pop("key", "img123"), fields.pop("input", {}), fields.pop("attempts", 2), 0, 0.0)
    fault = fields.pop("fault", Fault(ErrorCategory.RATE_LIMIT, "429", "Rate limit exceeded."))
    elapsed = fields.pop("elapsed", 0.0)
    change = Change(
        item_id=1,
        batch_id=1,
        lease_id=1,
        provider="",
        attempt_id=None,
        status=status,
        attempts=1,
        fault=fault,
        **fields,
    )
    with caplog.at_level("INFO", "batches.attempts"):
        note(operation, item, change, elapsed)
    return [f"{record.levelname} {record.getMessage()}" for record in caplog.records]


def test_a_retry(caplog: pytest.LogCaptureFixture) -> None:
    assert line(caplog, "pending", delay_seconds=4.0) == [
        "INFO [BatchProcessor] Image img123 attempt 3 failed: Rate limit exceeded. Retrying in 4000ms"
    ]


def test_the_end(caplog: pytest.LogCaptureFixture) -> None:
    assert line(caplog, "failed", key="img456", attempts=126, elapsed=21600.0) == [
        "WARNING [BatchProcessor] Image img456 failed permanently after 127 attempts (21600000ms): Rate limit exceeded."
    ]


def test_a_number_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    (logged,) = line(
        caplog, "unknown", operation="sms", key="+14155552671", input={"to": "+14155552671", "variables": {}}
    )
    assert "+14155552671" not in logged
    assert "failed permanently" in logged


def test_success_and_snooze_are_nothing_to_log(caplog: pytest.LogCaptureFixture) -> None:
    assert line(caplog, "succeeded", fault=None) == []
    assert line(caplog, "pending", fault=None) == []

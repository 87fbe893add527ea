"""What a worker adds up for /metrics."""

from __future__ import annotations

import json

import pytest

from batches.outcomes import Fault
from batches.running.changes import Change
from batches.running.tally import BOUNDS_MS, Tally, class_of
from batches.states import ItemStatus
from providers.base import ErrorCategory

LIMITED = Fault(ErrorCategory.RATE_LIMIT, "http_429", "Too many.")


def change(
    status: str, *, fault: Fault | None = None, waited_ms: int = 0, queued_ms: int = 0, ms: int | None = None
) -> Change:
    return Change(
        item_id=1,
        batch_id=1,
        lease_id=1,
        provider="openai-gpt-5",
        attempt_id=None,
        status=status,
        attempts=0 if ms is None else 1,
        duration_ms=ms,
        fault=fault,
        waited_ms=waited_ms,
        queued_ms=queued_ms,
    )


def test_outcomes_durations_and_waits_are_counted_by_provider() -> None:
    tally = Tally()
    tally.add([change(ItemStatus.SUCCEEDED, ms=40), change(ItemStatus.SUCCEEDED, ms=700, queued_ms=300)])
    tally.add([change(ItemStatus.PENDING, fault=LIMITED, ms=10, waited_ms=2_000), change(ItemStatus.PENDING)])
    figures = json.loads(json.dumps(tally.as_figures()))
    assert sorted(figures["outcomes"]) == [
        ["openai-gpt-5", "pending", "rate_limit", 1],
        ["openai-gpt-5", "snoozed", "", 1],
        ["openai-gpt-5", "succeeded", "", 2],
    ]
    assert sorted(figures["durations"]) == [["openai-gpt-5", 0, 2], ["openai-gpt-5", class_of(700), 1]]
    assert figures["duration_ms"] == {"openai-gpt-5": 750}
    assert figures["waited_ms"] == {"openai-gpt-5": 2_000}
    assert figures["queued_ms"] == {"openai-gpt-5": 300}
    assert (figures["groups"], figures["items"]) == (2, 4)


def test_what_was_refused_without_a_call_is_no_snooze() -> None:
    tally = Tally()
    tally.add([change(ItemStatus.FAILED, fault=Fault(ErrorCategory.CONTENT, "opted_out", "No more."))])
    figures = tally.as_figures()
    assert figures["opted_out"] == {"openai-gpt-5": 1}
    assert figures["outcomes"] == [["openai-gpt-5", "failed", "content", 1]]


@pytest.mark.parametrize(("milliseconds", "number"), [(0, 0), (50, 0), (51, 1), (60_000, 9), (60_001, 10)])
def test_a_duration_is_in_the_class_it_does_not_exceed(milliseconds: int, number: int) -> None:
    assert class_of(milliseconds) == number
    assert number <= len(BOUNDS_MS)

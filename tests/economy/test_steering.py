"""Pause and cancel."""

from __future__ import annotations

import pytest

from batches import services
from providers.base import ErrorCategory, LineResult, RemoteState
from tests.economy.driving import drive, economy_batch, step, tick
from tests.economy.scripted import Remote, Stored, echo, failure
from tests.engine.ledger import assert_counters, assert_no_lease, statuses

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_paused_batch_submits_nothing_more_and_collects_what_is_there(scripted: Remote) -> None:
    scripted.state = lambda stored: RemoteState.WAITING
    batch = economy_batch(15)
    step()
    assert scripted.submits == 2
    services.retry_failed(batch, actor_id=None)
    paused = economy_batch(5)
    tick()  # gathered
    services.pause(paused, actor_id=None)
    services.pause(batch, actor_id=None)
    scripted.state = lambda stored: RemoteState.ENDED
    for _ in range(4):
        step()
    assert_counters(batch, succeeded=15)
    assert_counters(paused)
    assert scripted.submits == 2
    services.resume(paused, actor_id=None)
    assert_counters(drive(paused), succeeded=5)


def test_cancel_ends_it_at_the_provider_and_keeps_what_was_paid(scripted: Remote) -> None:
    def state(stored: Stored) -> RemoteState:
        return RemoteState.ENDED if stored.cancelled else RemoteState.WAITING

    def line(custom_id: str, prompt: str) -> LineResult:
        if prompt == "item-0":
            return echo(custom_id, prompt)
        return LineResult(custom_id=custom_id, error=failure("batch_cancelled", ErrorCategory.CANCELLED))

    scripted.state, scripted.line = state, line
    scripted.results = lambda stored, lines: lines[:2]  # the third never comes
    batch = economy_batch(3)
    step()
    services.cancel(batch, actor_id=None)
    drive(batch)
    assert statuses(batch) == ["succeeded", "cancelled", "cancelled"]
    assert batch.status == "cancelled"
    assert scripted.calls.count("cancel") == 1


def test_cancel_before_anything_was_submitted_frees_the_items(scripted: Remote) -> None:
    batch = economy_batch(3)
    tick()
    services.cancel(batch, actor_id=None)
    drive(batch)
    assert statuses(batch) == ["cancelled"] * 3
    assert scripted.submits == 0
    assert_no_lease()

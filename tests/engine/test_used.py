"""What calls used and how long they waited for limits: counted once, whatever dies, and for whatever outcome."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any, cast

import pytest
from django.utils import timezone
from pytest_django import Settings

from batches.dispatching import rescue
from batches.figures import Figures
from batches.models import Batch, Item
from batches.operations import Attempt
from batches.outcomes import Fault, Outcome, Rejected, Retry, Snooze, Succeeded
from batches.running.changes import change_of
from batches.running.engine import Engine
from batches.running.recorder import unstorable, write
from providers.base import ChatAnswer, ChatRequest, ErrorCategory, Provider, ProviderError
from tests.engine.conftest import until
from tests.engine.ledger import accepted, assert_counters, change, changes, expire, held, items, new_batch
from tests.engine.scripted import ONCE_ONLY, REPEATABLE, OnceOnly, Repeatable, Script, entry
from tests.engine.worker import finish

pytestmark = pytest.mark.django_db(transaction=True)

FAULT = Fault(ErrorCategory.CONTENT, "invalid_answer", "No form.")
TOKENS = {"input_tokens": 310, "output_tokens": 88}


def test_every_outcome_counts_what_it_used() -> None:
    batch = new_batch(4)
    lease = accepted(batch)
    one, two, three, four = lease.items
    write(
        [
            change(lease, one, used=TOKENS),
            change(lease, two, "failed", used=TOKENS),
            change(lease, three, "pending", used=TOKENS),
            change(lease, four, used={"input_tokens": 5}, simulated=True),
        ]
    )
    figures = Figures.of(batch)
    assert figures.used == {"input_tokens": 930, "output_tokens": 264}
    assert figures.simulated == {"input_tokens": 5}


def test_a_group_that_is_written_again_counts_once() -> None:
    batch = new_batch(2)
    group = changes(accepted(batch), used={"segments": 2}, waited_ms=150)
    write(group)
    write(group)
    figures = Figures.of(batch)
    assert (figures.used["segments"], figures.waited) == (4, 300)


def test_what_a_lost_lease_used_counts_when_its_late_truth_wins_and_only_then() -> None:
    batch = new_batch(2, provider="once-only")
    late = accepted(batch)
    attempt_ids = [uuid.uuid4(), uuid.uuid4()]
    for item, attempt_id in zip(items(batch), attempt_ids, strict=True):
        Item.objects.filter(pk=item.pk).update(started_at=timezone.now(), attempt_id=attempt_id)
    expire(late.id)
    rescue.rescue()
    used: dict[str, Any] = {"idempotent": False, "used": {"segments": 3}}
    group = [
        change(late, late.items[0], attempt_id=attempt_ids[0], **used),
        change(late, late.items[1], attempt_id=uuid.uuid4(), **used),
    ]
    write(group)
    write(group)
    assert Figures.of(batch).used["segments"] == 3


def test_an_answer_that_cannot_be_stored_was_billed_all_the_same() -> None:
    batch = new_batch(1)
    lease = accepted(batch)
    write([unstorable(change(lease, lease.items[0], used=TOKENS))])
    assert Figures.of(batch).used == TOKENS


@pytest.mark.parametrize(
    "outcome",
    [Succeeded({}), Rejected(FAULT), Retry(FAULT), Snooze(), Succeeded({"no": object()})],
    ids=["succeeded", "rejected", "retry", "snooze", "unstorable"],
)
def test_every_change_carries_what_was_used(outcome: Outcome) -> None:
    assert change_of(outcome, held(), used=TOKENS).used == TOKENS


def test_what_cannot_be_added_up_is_left_out() -> None:
    odd: Any = {"segments": -1, "Segments": 1, "a" * 33: 1, "x\x00": 1, 5: 1, "half": 0.5, "yes": True, "none": None}
    assert change_of(Succeeded({}), held(), used=odd | {"zero": 0, "huge": 10**30}).used == {"huge": 2**31}


def test_waiting_for_limits_counts_until_the_next_try() -> None:
    limited = Retry(Fault(ErrorCategory.RATE_LIMIT, "429", "Slow down.", retry_after=7.0))
    assert change_of(limited, held(), waited_seconds=0.25).waited_ms >= 7250
    assert change_of(Retry(FAULT), held(), waited_seconds=0.25).waited_ms == 250
    assert change_of(Snooze(2.0, for_limits=True), held(), waited_seconds=0.5).waited_ms == 2500
    assert change_of(Snooze(2.0), held()).waited_ms == 0


def test_a_call_that_fails_after_another_was_billed(engine: Engine, scripted: Script) -> None:
    def act(attempt: Attempt) -> Outcome:
        attempt.used["input_tokens"] += 7
        if attempt.key == "item-1":
            raise ProviderError(
                "No.", category=ErrorCategory.SERVER, code="server_error", permanent=True, surely_not_sent=False
            )
        if attempt.key == "item-2":
            raise KeyError("a bug")
        return Succeeded({})

    scripted.act = act
    batch = new_batch(3)
    finish(engine, batch)
    assert_counters(batch, succeeded=1, failed=2)
    assert Figures.of(batch).simulated == {"input_tokens": 21}  # there is no key in tests
    assert Figures.of(batch).used == {}


def test_an_answer_of_no_use_is_counted_when_it_is_asked_for() -> None:
    class Refusing:
        def complete(self, request: ChatRequest) -> ChatAnswer:
            error = ProviderError(
                "No.", category=ErrorCategory.CONTENT, code="refused", permanent=True, surely_not_sent=False
            )
            error.billed = ChatAnswer(text="", model="m", input_tokens=9, output_tokens=4)
            raise error

    attempt = Attempt(
        item_id=1,
        owner_id=1,
        key="a",
        input={},
        parameters={},
        provider=cast(Provider, Refusing()),
        reference="attempt-1",
        timeout_seconds=1.0,
    )
    with pytest.raises(ProviderError):
        attempt.ask(ChatRequest(prompt="Rate.", reference=attempt.reference, timeout_seconds=1.0))
    assert attempt.used == {"input_tokens": 9, "output_tokens": 4}


def test_calls_wait_for_their_slots(engine: Engine, settings: Settings) -> None:
    limited = entry(Repeatable, requests_per_minute=1200.0)
    settings.PROVIDERS = {REPEATABLE: limited, ONCE_ONLY: entry(OnceOnly)}
    batch, free = new_batch(5), new_batch(5, provider=ONCE_ONLY)
    finish(engine, free)

    def all_done() -> bool:
        finish(engine, batch)
        return Figures.of(batch).calls == 5

    until(all_done)
    # Slots lie 50 ms apart: the last of five calls waits for four of them.
    assert 450 <= Figures.of(batch).waited <= 5_000
    assert Figures.of(free).waited == 0


def test_waiting_for_a_turn_counts_from_when_it_was_due(engine: Engine) -> None:
    batch = new_batch(3)
    begun = timezone.now() - timedelta(seconds=40)
    Batch.objects.filter(pk=batch.pk).update(started_at=begun)
    Item.objects.filter(batch=batch).update(due_at=begun - timedelta(hours=1))
    finish(engine, batch)
    waits = Figures.of(batch).queued
    assert waits.measured == 3
    # Nothing counts before the batch was started.
    assert 40_000 <= (waits.average or 0) <= 70_000
    assert 40_000 / 1.02 <= (waits.at_most(0.99) or 0) <= 70_000 * 1.02


def test_who_waited_for_no_limit_waited_no_time() -> None:
    batch = new_batch(4)
    lease = accepted(batch)
    waited = [
        change(lease, item, queued_ms=5, waited_ms=wait) for item, wait in zip(lease.items, (0, 0, 0, 900), strict=True)
    ]
    write(waited)
    limited = Figures.of(batch).limited
    assert (limited.measured, limited.average) == (4, 225.0)
    assert (limited.at_most(0.5), limited.at_most(0.75)) == (0.0, 0.0)
    assert limited.at_most(0.99) == pytest.approx(900, rel=0.02)


def test_what_no_worker_began_with_waited_for_nothing_known() -> None:
    assert change_of(Snooze(), held()).queued_ms is None
    assert change_of(Snooze(), held(), queued_seconds=-0.1).queued_ms == 0

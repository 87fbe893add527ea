"""What a provider refuses, as a whole or line by line, and what it says that no provider should."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from batches import services
from batches.models import Item
from batches.outcomes import Outcome, Succeeded
from batches.states import Step
from providers.base import ChatAnswer, ErrorCategory, LineResult, RemoteState
from tests.economy.driving import drive, economy_batch, only_row, results, step, tick
from tests.economy.scripted import Asking, Remote, Stored, echo, failure, question
from tests.engine.ledger import assert_counters, statuses

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("category", [ErrorCategory.AUTHENTICATION, ErrorCategory.BUDGET, ErrorCategory.RATE_LIMIT])
def test_what_a_person_or_time_mends_keeps_the_items_waiting(scripted: Remote, category: ErrorCategory) -> None:
    def refuse() -> None:
        permanent = category != ErrorCategory.RATE_LIMIT
        raise failure("refused_for_now", category, permanent=permanent, surely_not_sent=True)

    scripted.on_submit = refuse
    batch = economy_batch(3)
    for _ in range(3):
        step()
    row = only_row(batch)
    assert (row.step, row.failures, row.error_code) == (Step.GATHERED, 3, "refused_for_now")
    assert statuses(batch) == ["running"] * 3
    scripted.on_submit = lambda: None
    assert_counters(drive(batch), succeeded=3)


def test_who_asked_to_fail_while_the_account_is_unavailable_does_not_wait(scripted: Remote) -> None:
    def refuse() -> None:
        raise failure("invalid_api_key", ErrorCategory.AUTHENTICATION, permanent=True, surely_not_sent=True)

    scripted.on_submit = refuse
    batch = drive(economy_batch(3, when_unavailable="fail"))
    assert set(Item.objects.filter(batch=batch).values_list("status", "error_code")) == {("failed", "invalid_api_key")}


def test_it_waits_longer_from_refusal_to_refusal(scripted: Remote) -> None:
    def refuse() -> None:
        raise failure("no_room", ErrorCategory.RATE_LIMIT, surely_not_sent=True)

    scripted.on_submit = refuse
    batch = economy_batch(1)
    waits = []
    for _ in range(3):
        before = timezone.now()
        step()
        waits.append((only_row(batch).due_at - before).total_seconds())
    assert waits == sorted(waits)
    assert 29 < waits[0] < 40
    assert 110 < waits[2] < 130


def test_a_batch_refused_at_a_closer_look_waits_for_room_under_a_new_marker(scripted: Remote) -> None:
    full = failure("token_limit_exceeded", ErrorCategory.RATE_LIMIT, surely_not_sent=True)
    scripted.state = lambda stored: RemoteState.FAILED if len(scripted.batches) == 1 else RemoteState.ENDED
    scripted.refusal = lambda stored: (full, {})
    batch = economy_batch(3)
    tick()
    before = only_row(batch).marker
    drive(batch)
    assert_counters(batch, succeeded=3)
    assert scripted.submits == 2
    assert only_row(batch).marker != before


def test_lines_that_were_named_fail_and_the_others_are_asked_again(scripted: Remote) -> None:
    def refusal(stored: Stored) -> Any:
        return failure("invalid_request", ErrorCategory.INVALID_REQUEST, permanent=True), {
            "refused_lines": {"2": "image_too_odd"}
        }

    scripted.state = lambda stored: RemoteState.FAILED if len(scripted.batches) == 1 else RemoteState.ENDED
    scripted.refusal = refusal
    batch = drive(economy_batch(3))
    assert statuses(batch) == ["succeeded", "failed", "succeeded"]
    assert Item.objects.get(batch=batch, position=1).error_code == "image_too_odd"


def test_a_batch_refused_without_a_word_of_lines_fails_all_of_them(scripted: Remote) -> None:
    wrong = failure("model_not_in_batches", ErrorCategory.INVALID_REQUEST, permanent=True, surely_not_sent=True)
    scripted.state = lambda stored: RemoteState.FAILED
    scripted.refusal = lambda stored: (wrong, {})
    batch = drive(economy_batch(3))
    assert_counters(batch, failed=3)
    assert scripted.submits == 1


def test_lines_refused_because_of_the_account_wait(scripted: Remote) -> None:
    broke = failure("insufficient_quota", ErrorCategory.BUDGET, permanent=True)

    def line(custom_id: str, prompt: str) -> LineResult:
        return LineResult(custom_id=custom_id, error=broke) if len(scripted.batches) == 1 else echo(custom_id, prompt)

    scripted.line = line
    batch = economy_batch(2)
    while len(scripted.batches) < 1 or only_row(batch).step != Step.DONE:
        step()
    assert statuses(batch) == ["pending", "pending"]
    assert only_row(batch).error_code == "insufficient_quota"
    assert_counters(drive(batch), succeeded=2)


def test_a_batch_that_is_gone_at_its_provider_is_asked_again(scripted: Remote) -> None:
    batch = economy_batch(2)
    step()
    scripted.batches.clear()
    for _ in range(20):
        step()
        if scripted.batches:
            break
    assert_counters(drive(batch), succeeded=2)
    assert scripted.submits == 2


def test_a_hostile_provider_stops_nothing(scripted: Remote) -> None:
    """NUL, lone surrogates, numbers beyond all measure: in its objections, its state and its answers."""
    nasty = "x\x00y\ud800"

    def refuse() -> None:
        scripted.on_submit = lambda: None
        raise failure(nasty, ErrorCategory.RATE_LIMIT, surely_not_sent=True)

    def act(attempt: Any) -> Outcome:
        text = attempt.ask(question(attempt, attempt.key)).text
        return Succeeded({"text": attempt.ask(question(attempt, f"again {len(text)}")).text})

    def line(custom_id: str, prompt: str) -> LineResult:
        odd = ChatAnswer(text=nasty, model=nasty, input_tokens=10**40, output_tokens=-5, request_id=nasty)
        return LineResult(custom_id=custom_id, answer=odd)

    Asking.act = act
    scripted.on_submit, scripted.line = refuse, line
    scripted.detail = {"name": nasty, "number": 10**400}
    batch = drive(economy_batch(2))
    assert_counters(batch, succeeded=2)
    assert results(batch) == ["xy?", "xy?"]


def test_retrying_failed_items_asks_them_in_economy_mode_again(scripted: Remote) -> None:
    refused = failure("refused", ErrorCategory.CONTENT, permanent=True)
    scripted.line = lambda custom_id, prompt: LineResult(custom_id=custom_id, error=refused)
    batch = drive(economy_batch(2))
    scripted.line = echo
    assert services.retry_failed(batch, actor_id=None) == 2
    assert_counters(drive(batch), succeeded=2)
    assert scripted.submits == 2

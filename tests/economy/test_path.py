"""From items to a provider's batch and back: the straight path, and what comes back odd."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from batches import services
from batches.dispatching import claim, rescue
from batches.dispatching.window import read_window
from batches.economy.questions import line_id
from batches.models import BatchHistogram, Item, ItemError, Lease, ProviderBatch
from batches.money.budgets import hold_spent
from batches.outcomes import Outcome, Rejected, Retry, Snooze, Succeeded
from batches.states import Step
from providers.base import BatchLimits, ErrorCategory, LineResult
from tests.economy.driving import drive, economy_batch, only_row, results, step, tick
from tests.economy.scripted import Asking, Batcher, Remote, Stored, answer, ask_so_often, echo, failure, question
from tests.engine.ledger import FAULT, assert_counters, assert_no_lease, statuses

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_batch_is_answered_by_its_providers_batches(scripted: Remote) -> None:
    batch = drive(economy_batch(25))
    assert (batch.status, scripted.asked_fast) == ("completed", [])
    assert results(batch) == [f"re: item-{place}" for place in range(25)]
    assert_counters(batch, succeeded=25)
    assert_no_lease()
    rows = list(ProviderBatch.objects.order_by("id"))
    assert [row.size for row in rows] == [10, 10, 5]  # staggered
    assert {row.step for row in rows} == {Step.DONE}
    assert scripted.submits == 3
    item = Item.objects.filter(batch=batch).first()
    assert item is not None
    assert (item.attempts, item.failures, item.duration_ms) == (1, 0, None)


def test_what_was_used_is_counted_in_units_of_economy() -> None:
    batch = drive(economy_batch(2))
    used = dict(BatchHistogram.objects.filter(batch=batch, measure__contains="economy").values_list("measure", "count"))
    assert used == {"simulated:economy_input_tokens": 200, "simulated:economy_output_tokens": 20}


def test_results_are_found_by_their_ids_whatever_their_order(scripted: Remote) -> None:
    scripted.results = lambda stored, lines: reversed(lines)
    assert results(drive(economy_batch(5))) == [f"re: item-{place}" for place in range(5)]


def test_lines_of_others_and_repeated_ones_are_ignored(scripted: Remote) -> None:
    def odd(stored: Stored, lines: list[LineResult]) -> Iterable[LineResult]:
        name = line_id(stored.lines[0][0])
        assert name is not None
        other = name._replace(marker="bs" + "0" * 20)
        unheard = name._replace(item_id=10**15)
        yield LineResult(custom_id=str(other), answer=answer("of another batch"))
        yield LineResult(custom_id=str(unheard), answer=answer("of no item"))
        yield LineResult(custom_id="", answer=answer("of nobody"))
        yield from lines
        yield from [LineResult(custom_id=line.custom_id, answer=answer("once more")) for line in lines]

    scripted.results = odd
    batch = drive(economy_batch(3))
    assert results(batch) == ["re: item-0", "re: item-1", "re: item-2"]
    assert_counters(batch, succeeded=3)


def test_a_missing_line_is_missing_after_a_second_reading_only(scripted: Remote) -> None:
    readings: list[int] = []

    def cut_once(stored: Stored, lines: list[LineResult]) -> Iterable[LineResult]:
        readings.append(len(lines))
        return lines[:1] if len(readings) == 1 else lines

    scripted.results = cut_once
    batch = drive(economy_batch(3))
    assert_counters(batch, succeeded=3)
    assert (readings, scripted.submits) == ([3, 3], 1)


def test_lines_that_never_come_are_asked_again(scripted: Remote) -> None:
    scripted.results = lambda stored, lines: lines[1:] if len(scripted.batches) == 1 else lines
    batch = drive(economy_batch(3))
    assert_counters(batch, succeeded=3)
    assert scripted.submits == 2
    error = ItemError.objects.get(batch=batch)
    assert (error.code, error.item.attempts) == ("missing_line", 2)


def test_failed_lines_are_what_their_errors_would_be_in_fast_mode(scripted: Remote) -> None:
    def line(custom_id: str, prompt: str) -> LineResult:
        if prompt == "item-0":
            return LineResult(custom_id=custom_id, error=failure("refused", ErrorCategory.CONTENT, permanent=True))
        if prompt == "item-1" and len(scripted.batches) == 1:
            return LineResult(custom_id=custom_id, error=failure("server_error"))
        return echo(custom_id, prompt)

    scripted.line = line
    batch = drive(economy_batch(3))
    assert statuses(batch) == ["failed", "succeeded", "succeeded"]
    assert_counters(batch, succeeded=2, failed=1)
    assert scripted.submits == 2


@pytest.mark.parametrize(("max_retries", "rounds"), [(1, 2), (None, 5)])
def test_a_line_that_always_fails_ends(scripted: Remote, max_retries: int | None, rounds: int) -> None:
    scripted.line = lambda custom_id, prompt: LineResult(custom_id=custom_id, error=failure("server_error"))
    batch = drive(economy_batch(2, max_retries=max_retries))
    assert_counters(batch, failed=2)
    assert scripted.submits == rounds


def test_the_retry_window_does_not_end_what_waited_for_a_day(scripted: Remote) -> None:
    def line(custom_id: str, prompt: str) -> LineResult:
        if len(scripted.batches) < 3:
            return LineResult(custom_id=custom_id, error=failure("batch_expired", ErrorCategory.TIMEOUT))
        return echo(custom_id, prompt)

    scripted.line = line
    batch = economy_batch(1, retry_window_seconds=1)
    Item.objects.filter(batch=batch).update(first_attempt_at="2020-01-01T00:00:00Z")
    assert_counters(drive(batch), succeeded=1)


def test_a_reading_that_is_cut_off_keeps_what_it_read(scripted: Remote) -> None:
    cuts: list[int] = []

    def cut(stored: Stored, lines: list[LineResult]) -> Iterator[LineResult]:
        yield from lines[:2]
        if not cuts:
            cuts.append(len(lines))
            raise failure("connection_lost", ErrorCategory.NETWORK)
        yield from lines[2:]

    scripted.results = cut
    batch = economy_batch(5)
    while not cuts:
        step()
    assert_counters(batch, succeeded=2)
    row = only_row(batch)
    assert (row.step, row.failures, row.error_code) == (Step.COLLECTING, 1, "connection_lost")
    assert_counters(drive(batch), succeeded=5)


def test_an_item_that_needs_no_answer_is_never_submitted(scripted: Remote) -> None:
    def act(attempt: Any) -> Outcome:
        return Rejected(FAULT) if attempt.key == "item-1" else ask_so_often(attempt, 1)

    Asking.act = act
    batch = drive(economy_batch(3))
    assert statuses(batch) == ["succeeded", "failed", "succeeded"]
    (stored,) = scripted.batches.values()
    assert [prompt for _, prompt in stored.lines] == ["item-0", "item-2"]


def test_a_batch_of_which_nothing_is_asked_ends() -> None:
    Asking.act = lambda attempt: Succeeded({"text": "known"})
    assert results(drive(economy_batch(2))) == ["known", "known"]


def test_several_questions_take_several_batches_and_each_is_paid_once(scripted: Remote) -> None:
    batch = drive(economy_batch(2, parameters={"questions": 3}))
    assert results(batch) == ["re: re: re: item-0", "re: re: re: item-1"]
    assert scripted.submits == 3
    asked = [prompt for stored in scripted.batches.values() for _, prompt in stored.lines]
    assert len(asked) == len(set(asked)) == 6


def test_an_answer_that_cannot_be_used_now_is_kept(scripted: Remote) -> None:
    tries: list[str] = []

    def act(attempt: Any) -> Outcome:
        text = attempt.ask(question(attempt, attempt.key)).text
        tries.append(text)
        return Snooze(60.0) if len(tries) == 1 else Succeeded({"text": text})

    Asking.act = act
    assert results(drive(economy_batch(1))) == ["re: item-0"]
    assert scripted.submits == 1


def test_an_answer_of_no_use_is_asked_for_again(scripted: Remote) -> None:
    tries: list[str] = []

    def act(attempt: Any) -> Outcome:
        text = attempt.ask(question(attempt, attempt.key)).text
        tries.append(text)
        return Retry(FAULT) if len(tries) == 1 else Succeeded({"text": text})

    Asking.act = act
    assert results(drive(economy_batch(1))) == ["re: item-0"]
    assert scripted.submits == 2


def test_an_answer_to_another_question_is_not_used(scripted: Remote) -> None:
    asked = {"about": "yesterday"}
    Asking.act = lambda attempt: Succeeded({"text": attempt.ask(question(attempt, asked["about"])).text})
    batch = economy_batch(1)
    scripted.on_look = lambda: asked.update(about="today")
    assert results(drive(batch)) == ["re: today"]
    assert ItemError.objects.get(batch=batch).code == "question_changed"
    assert scripted.submits == 2


def test_a_bug_fails_its_item_alone() -> None:
    def act(attempt: Any) -> Outcome:
        if attempt.key == "item-1":
            raise KeyError("no such thing")
        return ask_so_often(attempt, 1)

    Asking.act = act
    batch = drive(economy_batch(3))
    assert statuses(batch) == ["succeeded", "failed", "succeeded"]


def test_what_does_not_fit_joins_the_next(scripted: Remote, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Batcher, "batch_limits", BatchLimits(lines=1000, size=200))
    batch = drive(economy_batch(10))
    assert_counters(batch, succeeded=10)
    assert scripted.submits > 2
    first, *later = ProviderBatch.objects.order_by("id").values_list("size", flat=True)
    assert all(size <= 2 * first for size in later)  # no more is gathered than is likely to fit
    assert_no_lease()


def test_fewer_items_wait_for_company(scripted: Remote) -> None:
    batch = economy_batch(12)
    later = Item.objects.filter(batch=batch, position=11)
    tick()
    assert ProviderBatch.objects.count() == 2
    assert Lease.objects.filter(lane="economy").count() == 2
    assert not later.filter(status="pending").exists()


def test_its_leases_are_no_capacity_and_are_never_published_or_rescued() -> None:
    batch = economy_batch(3)
    tick()
    window = read_window()
    assert (window.batches, dict(window.leased_by_lane), dict(window.leased_by_batch)) == ((), {}, {})
    assert claim.unaccepted(0) == []
    assert rescue.rescue() == (0, [])
    assert statuses(batch) == ["running"] * 3


def test_a_budget_bounds_what_is_gathered(scripted: Remote) -> None:
    """An answer costs 0.00014 here: five of them are paid for."""
    batch = economy_batch(20, max_cost=Decimal("0.0007"), item_cost=Decimal("0.00014"))
    for _ in range(5):
        step()
        hold_spent()
    batch.refresh_from_db()
    assert (batch.status, batch.held_for, batch.succeeded) == ("paused", "budget", 5)
    assert batch.spent == batch.max_cost
    assert statuses(batch).count("pending") == 15
    batch.max_cost = Decimal("0.0028")
    batch.save(update_fields=["max_cost"])
    services.resume(batch, actor_id=None)
    assert_counters(drive(batch), succeeded=20)
    assert sum(len(stored.lines) for stored in scripted.batches.values()) == 20

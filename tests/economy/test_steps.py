"""Each step may die between any two lines; what a provider refuses; pause, cancel, deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from batches import services
from batches.dispatching import claim
from batches.dispatching.allotment import Allotment
from batches.dispatching.window import read_window
from batches.economy import bell, claims, held_items, recording, refusals, stepping, submitting
from batches.economy.deadline import turn_fast
from batches.models import Batch, Item, ProviderBatch
from batches.outcomes import Outcome, Succeeded
from batches.running import recorder
from batches.states import Step
from providers.base import ChatAnswer, ErrorCategory, LineResult, RemoteState
from tests.economy.driving import PAST, drive, economy_batch, only_row, results, step, tick
from tests.economy.scripted import Asking, Remote, Stored, echo, failure, question
from tests.engine.dispatching import worker
from tests.engine.ledger import accepted, assert_counters, assert_no_lease, statuses

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(BaseException):
    """The worker is gone: nothing after this line happens, not even what is in a ``finally`` of ours."""


@pytest.fixture
def killed_at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Kills the worker the first time it comes to a place; what it claimed lapses."""

    def arm(owner: Any, name: str, *, after: bool) -> None:
        original = getattr(owner, name)
        struck: list[int] = []

        def strike(*args: Any, **kwargs: Any) -> Any:
            if struck:
                return original(*args, **kwargs)
            struck.append(1)
            done = original(*args, **kwargs) if after else None
            raise Killed(done)

        monkeypatch.setattr(owner, name, strike)

    return arm


def die_and_drive(batch: Batch) -> None:
    """Steps until one dies, then as another worker would: its claim has lapsed."""
    with pytest.raises(Killed):
        for _ in range(20):
            step()
    ProviderBatch.objects.filter(step_claim=None).update(step_claim="0" * 32, claimed_until=PAST)
    drive(batch)


PLACES: list[Any] = [
    (submitting, "prepare", False),
    (submitting, "prepare", True),
    (submitting, "submitted", False),
    (submitting, "submitted", True),
    (claims.Work, "step_on", False),
    (claims.Work, "step_on", True),
    (recorder, "write", False),
    (recorder, "write", True),
    (held_items, "_read", True),
    (recording, "change_of", True),
]


@pytest.mark.parametrize(("owner", "name", "after"), PLACES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_worker_that_dies_there_loses_nothing_and_pays_nothing_twice(
    scripted: Remote, killed_at: Callable[..., None], owner: Any, name: str, after: bool
) -> None:
    batch = economy_batch(3)
    killed_at(owner, name, after=after)
    die_and_drive(batch)
    assert_counters(batch, succeeded=3)
    assert results(batch) == ["re: item-0", "re: item-1", "re: item-2"]
    assert scripted.submits == 1
    assert_no_lease()


def test_a_submit_that_worked_and_was_never_answered_is_found(scripted: Remote) -> None:
    def lost() -> None:
        scripted.after_submit = lambda: None
        raise failure("timeout", ErrorCategory.TIMEOUT)

    scripted.after_submit = lost
    batch = drive(economy_batch(3))
    assert_counters(batch, succeeded=3)
    assert (scripted.submits, scripted.calls.count("find")) == (1, 1)


def test_a_submit_that_never_arrived_is_repeated_after_several_searches(scripted: Remote) -> None:
    def lost() -> None:
        scripted.on_submit = lambda: None
        raise failure("timeout", ErrorCategory.TIMEOUT)

    scripted.on_submit = lost
    batch = drive(economy_batch(3))
    assert_counters(batch, succeeded=3)
    assert (scripted.submits, scripted.calls.count("find")) == (1, 4)


def test_a_search_that_fails_says_nothing_of_the_batch(scripted: Remote) -> None:
    def lost() -> None:
        raise failure("timeout", ErrorCategory.TIMEOUT)

    tries: list[int] = []

    def down() -> None:
        tries.append(1)
        if len(tries) < 8:
            raise failure("server_error")

    scripted.after_submit, scripted.on_find = lost, down
    assert_counters(drive(economy_batch(3)), succeeded=3)
    assert scripted.submits == 1


def test_where_there_are_no_markers_the_unknown_one_of_our_size_is_adopted(scripted: Remote) -> None:
    scripted.marks = False

    def lost() -> None:
        raise failure("timeout", ErrorCategory.TIMEOUT)

    scripted.after_submit = lost
    batch = drive(economy_batch(3))
    assert_counters(batch, succeeded=3)
    assert scripted.submits == 1


def test_an_adopted_batch_that_is_anothers_is_given_up_for_ours(scripted: Remote) -> None:
    """Two of the same size, both in doubt: each takes the other's at first."""
    scripted.marks = False
    order: list[str] = []

    def lost() -> None:
        raise failure("timeout", ErrorCategory.TIMEOUT)

    scripted.after_submit = lost
    first, second = economy_batch(3), economy_batch(3)
    tick()
    for row in ProviderBatch.objects.order_by("id"):
        stepping.advance(row.pk)
        order.append(row.marker)
    assert scripted.submits == 2
    scripted.batches = dict(reversed(scripted.batches.items()))
    for batch in (first, second):
        assert_counters(drive(batch), succeeded=3)
    assert scripted.submits == 2


def test_a_worker_that_wakes_after_its_claim_lapsed_submits_nothing(scripted: Remote) -> None:
    """It stood still between the commit and the create: somebody else is searching by now."""

    def stood_still() -> None:
        ProviderBatch.objects.update(step_claim=None)

    Asking.act = None
    batch = economy_batch(3)
    (row_id,) = tick()
    scripted.after_submit = stood_still
    stepping.advance(row_id)
    assert only_row(batch).step == Step.SUBMITTING  # its answer was not written by the one that lost the claim
    drive(batch)
    assert scripted.submits == 1


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


def test_a_worker_that_dies_while_lines_are_refused_refuses_no_others(
    scripted: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusal(stored: Stored) -> Any:
        return failure("invalid_request", ErrorCategory.INVALID_REQUEST, permanent=True), {
            "refused_lines": {"1": "odd", "2": "odd"}
        }

    original = recording.record

    def record_and_die(changes: Any) -> None:
        monkeypatch.setattr(refusals, "record", original)
        original(changes)
        raise Killed

    scripted.state = lambda stored: RemoteState.FAILED if len(scripted.batches) == 1 else RemoteState.ENDED
    scripted.refusal = refusal
    monkeypatch.setattr(refusals, "record", record_and_die)
    batch = economy_batch(5)
    die_and_drive(batch)
    assert statuses(batch) == ["failed", "failed", "succeeded", "succeeded", "succeeded"]


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


def test_cancel_in_doubt_searches_before_it_lets_go(scripted: Remote) -> None:
    def lost() -> None:
        raise failure("timeout", ErrorCategory.TIMEOUT)

    scripted.after_submit = lost
    scripted.state = lambda stored: RemoteState.ENDED if stored.cancelled else RemoteState.WAITING
    scripted.line = lambda custom_id, prompt: LineResult(
        custom_id=custom_id, error=failure("batch_cancelled", ErrorCategory.CANCELLED)
    )
    batch = economy_batch(3)
    step()
    services.cancel(batch, actor_id=None)
    drive(batch)
    assert statuses(batch) == ["cancelled"] * 3
    assert scripted.calls.count("cancel") == 1


def test_a_deadline_moves_what_is_unfinished_to_fast_mode(scripted: Remote) -> None:
    scripted.state = lambda stored: RemoteState.ENDED if stored.cancelled else RemoteState.WAITING
    scripted.results = lambda stored, lines: lines[:1]
    batch = economy_batch(3, deadline_at=timezone.now() + timedelta(hours=10))
    step()
    assert batch.fast_since is None
    Batch.objects.filter(pk=batch.pk).update(
        created_at=timezone.now() - timedelta(hours=10), deadline_at=timezone.now() + timedelta(minutes=30)
    )
    for _ in range(4):
        step()
    batch.refresh_from_db()
    assert batch.fast_since is not None
    assert statuses(batch) == ["succeeded", "pending", "pending"]
    assert Item.objects.filter(batch=batch, status="pending").values_list("attempts", flat=True)[0] == 0
    assert scripted.calls.count("cancel") == 1


@pytest.mark.parametrize(("hours", "left", "fast"), [(8, 1.1, False), (8, 0.9, True), (1, 0.2, True), (1, 0.3, False)])
def test_a_deadline_is_near_in_its_last_quarter(hours: float, left: float, fast: bool) -> None:
    now = timezone.now()
    batch = economy_batch(3, deadline_at=now + timedelta(hours=left))
    Batch.objects.filter(pk=batch.pk).update(created_at=now - timedelta(hours=hours - left))
    assert turn_fast() == ([batch.pk] if fast else [])


def test_a_slow_batch_begins_earlier() -> None:
    now = timezone.now()
    batch = economy_batch(120, rate_limit=1.0, deadline_at=now + timedelta(hours=1.5))
    Batch.objects.filter(pk=batch.pk).update(created_at=now - timedelta(hours=8))
    assert turn_fast() == [batch.pk]


def test_failed_lines_may_go_on_fast(scripted: Remote) -> None:
    scripted.line = lambda custom_id, prompt: (
        LineResult(custom_id=custom_id, error=failure("server_error"))
        if prompt == "item-1"
        else echo(custom_id, prompt)
    )
    batch = economy_batch(3, economy_retries="fast")
    for _ in range(3):
        step()
    assert statuses(batch) == ["succeeded", "pending", "succeeded"]
    for _ in range(2):
        step()
    assert scripted.submits == 1
    Item.objects.filter(status="pending").update(due_at=PAST)
    Item.objects.create(batch=batch, position=3, key="new", due_at=PAST)  # not tried yet: none of the fast lane's
    Batch.objects.filter(pk=batch.pk).update(total=4)
    worker(ai=100)
    window = read_window()
    (runnable,) = window.batches
    assert (runnable.id, runnable.unfinished, runnable.least_attempts) == (batch.pk, 2, 1)
    shares, routes = Allotment().shares(window, 1.0)
    claimed = claim.claim(shares, routes)
    assert claimed.taken == {batch.pk: 1}
    assert statuses(batch) == ["succeeded", "running", "succeeded", "pending"]


def test_what_became_fast_has_a_retry_window_of_its_own() -> None:
    now = timezone.now()
    batch = economy_batch(2, fast_since=now - timedelta(minutes=1))
    Item.objects.filter(batch=batch, position=0).update(first_attempt_at=now - timedelta(hours=20))
    tried, new = accepted(batch).items
    assert 59 < tried.elapsed_seconds < 120
    assert new.elapsed_seconds == 0


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


def test_items_that_kill_their_workers_become_suspects(scripted: Remote) -> None:
    batch = economy_batch(3)
    tick()
    for _ in range(3):
        ProviderBatch.objects.update(step_claim="0" * 32, claimed_until=PAST, due_at=PAST)
        (row_id,) = bell.ring()
    assert only_row(batch).deaths == 3
    stepping.advance(row_id)
    assert statuses(batch) == ["pending"] * 3
    assert set(Item.objects.filter(batch=batch).values_list("deaths", flat=True)) == {2}
    assert_no_lease()
    assert tick() == []  # not gathered again: they travel the solo lane


def test_answers_that_kill_their_workers_make_suspects_of_what_is_left(scripted: Remote) -> None:
    batch = economy_batch(3)
    while not ProviderBatch.objects.filter(step=Step.COLLECTING).exists():
        scripted.results = lambda stored, lines: lines[:1]  # one is recorded, then a second reading is due
        step()
    ProviderBatch.objects.update(deaths=3)
    step()
    assert statuses(batch) == ["succeeded", "pending", "pending"]
    assert list(Item.objects.filter(batch=batch, status="pending").values_list("deaths", flat=True)) == [2, 2]
    assert_no_lease()


def test_a_reading_that_goes_on_has_outlived_its_deaths(scripted: Remote) -> None:
    def cut(stored: Stored, lines: list[LineResult]) -> Iterator[LineResult]:
        yield from lines[:1]
        raise failure("connection_lost", ErrorCategory.NETWORK)

    scripted.state = lambda stored: RemoteState.WAITING
    scripted.results = cut
    batch = economy_batch(3)
    step()
    step()
    ProviderBatch.objects.update(step=Step.COLLECTING, deaths=2)
    step()
    assert_counters(batch, succeeded=1)
    assert only_row(batch).deaths == 0


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


def test_an_operation_that_ends_its_process_fails_its_item(scripted: Remote) -> None:
    def act(attempt: Any) -> Outcome:
        raise SystemExit(1)

    Asking.act = act
    assert_counters(drive(economy_batch(2)), failed=2)


def test_a_database_that_is_away_spends_nothing(scripted: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    original = recorder.write
    failures: list[int] = []

    def away(group: Any) -> Any:
        if not failures:
            failures.append(1)
            raise OperationalError("gone")
        return original(group)

    monkeypatch.setattr(recorder, "write", away)
    batch = economy_batch(3)
    with pytest.raises(OperationalError):
        for _ in range(5):
            step()
    assert ProviderBatch.objects.get().step_claim is None
    assert_counters(drive(batch), succeeded=3)
    assert scripted.submits == 1


def test_only_one_worker_takes_a_step(scripted: Remote) -> None:
    economy_batch(3)
    (row_id,) = tick()

    def another() -> None:
        stepping.advance(row_id)

    scripted.on_submit = another
    stepping.advance(row_id)
    assert scripted.submits == 1


def test_a_stopping_worker_gives_its_step_back(scripted: Remote) -> None:
    batch = economy_batch(3)
    (row_id,) = tick()
    stepping.advance(row_id, lambda: True)
    row = only_row(batch)
    assert (row.step, row.step_claim, row.deaths, scripted.submits) == (Step.GATHERED, None, 0, 0)
    assert_counters(drive(batch), succeeded=3)


def test_a_finished_row_is_left_alone(scripted: Remote) -> None:
    batch = drive(economy_batch(1))
    calls = len(scripted.calls)
    stepping.advance(only_row(batch).pk)
    assert len(scripted.calls) == calls


def test_retrying_failed_items_asks_them_in_economy_mode_again(scripted: Remote) -> None:
    refused = failure("refused", ErrorCategory.CONTENT, permanent=True)
    scripted.line = lambda custom_id, prompt: LineResult(custom_id=custom_id, error=refused)
    batch = drive(economy_batch(2))
    scripted.line = echo
    assert services.retry_failed(batch, actor_id=None) == 2
    assert_counters(drive(batch), succeeded=2)
    assert scripted.submits == 2

"""A worker dies between any two lines, stands still, or meets what kills it: nothing lost, nothing paid twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError

from batches.economy import bell, claims, held_items, recording, refusals, stepping, submitting
from batches.models import Batch, Item, ProviderBatch
from batches.outcomes import Outcome
from batches.running import recorder
from batches.states import Step
from providers.base import ErrorCategory, LineResult, RemoteState
from tests.economy.driving import PAST, drive, economy_batch, only_row, results, step, tick
from tests.economy.scripted import Asking, Remote, Stored, failure
from tests.engine.ledger import assert_counters, assert_no_lease, statuses

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

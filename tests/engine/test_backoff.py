"""When an item is tried again, and when it has had all it is allowed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batches.backoff import RATE_LIMITED, TRANSIENT, RetryPolicy, equal_jitter, ladder_for, retry_delay
from batches.outcomes import Fault
from providers.base import ErrorCategory
from tests.engine.conftest import quick
from tests.engine.ledger import FAULT, PATIENT

LIMITED = Fault(ErrorCategory.RATE_LIMIT, "too_many", "Too many requests.")


def delay(fault: Fault = FAULT, policy: RetryPolicy = PATIENT, **facts: float) -> float | None:
    values = {"attempts": 1, "failures": 1, "elapsed_seconds": 0.0, "randomness": 1.0} | facts
    return retry_delay(fault, policy, **values)  # type: ignore[arg-type]


def test_the_rate_limited_ladder_doubles_from_one_second_to_sixty() -> None:
    assert [RATE_LIMITED.rung(attempt) for attempt in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_the_transient_ladder_doubles_from_two_seconds_to_two_minutes() -> None:
    assert [TRANSIENT.rung(attempt) for attempt in range(1, 9)] == [2, 4, 8, 16, 32, 64, 120, 120]


@pytest.mark.parametrize("attempt", [10, 1_000, 10**9])
def test_a_ladder_never_overflows(attempt: int) -> None:
    assert TRANSIENT.rung(attempt) == 120


@pytest.mark.parametrize("category", list(ErrorCategory))
def test_only_a_rate_limit_climbs_the_short_ladder(category: ErrorCategory) -> None:
    expected = RATE_LIMITED if category == ErrorCategory.RATE_LIMIT else TRANSIENT
    assert ladder_for(category, PATIENT) is expected


@pytest.mark.parametrize(("backoff", "rungs"), [(0.5, [0.5, 1, 2, 4]), (0.0, [0, 0, 0]), (300.0, [300, 300])])
def test_a_batch_may_choose_its_first_delay(backoff: float, rungs: list[float]) -> None:
    ladder = ladder_for(ErrorCategory.SERVER, RetryPolicy(3, 60, backoff))
    assert [ladder.rung(attempt) for attempt in range(1, len(rungs) + 1)] == rungs


@quick
@given(st.floats(0, 1e6), st.floats(0, 1))
def test_jitter_is_between_half_and_the_whole_delay(whole: float, randomness: float) -> None:
    assert whole / 2 <= equal_jitter(whole, randomness) <= whole


def test_jitter_spreads_by_itself() -> None:
    assert len({equal_jitter(60.0) for _ in range(20)}) > 15


@pytest.mark.parametrize(("asked", "expected"), [(None, 2.0), (0.5, 2.0), (90.0, 90.0)])
def test_what_the_provider_asked_for_is_a_minimum(asked: float | None, expected: float) -> None:
    fault = Fault(ErrorCategory.SERVER, "x", "x", retry_after=asked)
    assert delay(fault) == expected


@pytest.mark.parametrize(("failures", "allowed"), [(0, True), (3, True), (4, False), (100, False)])
def test_the_retry_count_is_spent_by_failures(failures: int, allowed: bool) -> None:
    assert (delay(policy=RetryPolicy(3, 21_600, None), failures=failures) is not None) is allowed


def test_no_retries_means_none() -> None:
    assert delay(policy=RetryPolicy(0, 21_600, None), failures=1) is None


def test_a_429_is_tried_again_however_often_while_the_window_lasts() -> None:
    assert delay(LIMITED, RetryPolicy(0, 21_600, None), attempts=500, failures=0) == 60.0


@pytest.mark.parametrize(("elapsed", "expected"), [(0.0, 2.0), (98.0, 2.0), (98.1, None), (1e9, None)])
def test_the_last_retry_begins_within_the_window(elapsed: float, expected: float | None) -> None:
    assert delay(policy=RetryPolicy(None, 100, None), elapsed_seconds=elapsed) == expected


def test_a_provider_that_asks_for_more_than_the_window_ends_the_item() -> None:
    assert delay(Fault(ErrorCategory.RATE_LIMIT, "x", "x", retry_after=30_000.0), failures=0) is None

"""What opens an account's breaker, and what becomes of the item that was refused: a table."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from batches.outcomes import Fault, Outcome, Rejected, Retry, Snooze, Succeeded, Unknown
from batches.running.account_health import (
    AMBIGUOUS_REFUSALS,
    LONE_TRIES,
    REFUSED_SECONDS,
    TROUBLE_ANSWERS,
    TROUBLE_SECONDS,
    AccountHealth,
    Judgement,
)
from providers.base import ErrorCategory
from tests.engine.clock import Clock

ALIAS = "openai"
GOOD = Succeeded({})
WRONG_KEY = Rejected(Fault(ErrorCategory.AUTHENTICATION, "invalid_api_key", "No.", status=401))
NO_RIGHT = Rejected(Fault(ErrorCategory.AUTHENTICATION, "permission_error", "No.", status=403))
NO_MONEY = Rejected(Fault(ErrorCategory.BUDGET, "credit_balance_exhausted", "No.", status=429))
BAD_INPUT = Rejected(Fault(ErrorCategory.INVALID_REQUEST, "http_400", "No.", status=400))
OVERLOADED = Retry(Fault(ErrorCategory.SERVER, "overloaded_error", "Later.", status=529))


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000.0)


@pytest.fixture
def health(clock: Clock) -> AccountHealth:
    return AccountHealth(clock)


def judge(health: AccountHealth, outcome: Outcome, item: int = 1, *, waits: bool = True) -> Judgement:
    return health.judge(ALIAS, item, outcome, waits=waits) or Judgement(outcome)


@pytest.mark.parametrize(("refusal", "words"), [(WRONG_KEY, "authentication"), (NO_MONEY, "budget")])
def test_two_refusals_in_a_row_open_the_breaker_and_no_item_fails(
    health: AccountHealth, refusal: Rejected, words: str
) -> None:
    first, second = judge(health, refusal, 1), judge(health, refusal, 2)
    assert (first.outcome, first.fault, first.opens_for) == (Snooze(REFUSED_SECONDS), refusal.fault, "")
    assert (second.outcome, second.fault) == (Snooze(REFUSED_SECONDS), refusal.fault)
    assert second.opens_for == f"{words} ({refusal.fault.code})"


def test_what_nobody_was_asked_for_says_nothing_between_them(health: AccountHealth) -> None:
    judge(health, WRONG_KEY, 1)
    opted_out = Rejected(Fault(ErrorCategory.CONTENT, "opted_out", "No more."), attempted=False)
    assert judge(health, opted_out, 2) == Judgement(opted_out)
    assert judge(health, WRONG_KEY, 3).opens_for


def test_a_good_answer_between_them_keeps_it_closed_and_the_item_that_is_refused_again_is_to_blame(
    health: AccountHealth,
) -> None:
    assert isinstance(judge(health, WRONG_KEY, 1).outcome, Snooze)
    judge(health, GOOD, 2)
    again = judge(health, WRONG_KEY, 1)
    assert (again.outcome, again.opens_for) == (WRONG_KEY, "")


@pytest.mark.parametrize("other", [GOOD, BAD_INPUT])
def test_one_item_in_three_that_its_provider_does_not_want_never_opens_it(
    health: AccountHealth, other: Outcome
) -> None:
    outcomes = []
    for number in range(300):
        assert not judge(health, other, 3 * number).opens_for
        judge(health, other, 3 * number + 1)
        outcomes.append(judge(health, NO_RIGHT, 3 * number + 2))
        outcomes.append(judge(health, GOOD, 10_000 + number))
        outcomes.append(judge(health, NO_RIGHT, 3 * number + 2))
    assert not any(each.opens_for for each in outcomes)
    assert sum(each.outcome == NO_RIGHT for each in outcomes) == 300


def test_what_may_mean_the_item_opens_it_after_ten_of_several_items(health: AccountHealth) -> None:
    found = [judge(health, NO_RIGHT, number % 3).opens_for for number in range(AMBIGUOUS_REFUSALS)]
    assert found == [""] * (AMBIGUOUS_REFUSALS - 1) + ["authentication (permission_error)"]


def test_an_item_that_is_alone_with_what_may_mean_it_fails_in_the_end(health: AccountHealth) -> None:
    outcomes = [judge(health, NO_RIGHT, 1) for _ in range(LONE_TRIES)]
    assert [isinstance(each.outcome, Snooze) for each in outcomes] == [True] * (LONE_TRIES - 1) + [False]
    assert not any(each.opens_for for each in outcomes)


def test_a_batch_that_is_to_fail_fails_and_the_breaker_opens_for_the_others(health: AccountHealth) -> None:
    judge(health, WRONG_KEY, 1, waits=False)
    judgement = judge(health, WRONG_KEY, 2, waits=False)
    assert (judgement.outcome, judgement.fault) == (WRONG_KEY, None)
    assert judgement.opens_for


def test_only_trouble_that_lasts_opens_it(health: AccountHealth, clock: Clock) -> None:
    def trouble(number: int, seconds: float) -> list[str]:
        found = []
        for _ in range(number):
            found.append(judge(health, OVERLOADED).opens_for)
            clock.now += seconds
        return found

    assert not any(trouble(10 * TROUBLE_ANSWERS, 0.01))  # many at once
    judge(health, GOOD)
    assert not any(trouble(TROUBLE_ANSWERS - 1, TROUBLE_SECONDS))  # few
    judge(health, GOOD)
    found = trouble(TROUBLE_ANSWERS + 1, TROUBLE_SECONDS / TROUBLE_ANSWERS)
    assert found[-1] == "overload (overloaded_error)"
    assert not any(found[:-1])


@pytest.mark.parametrize("make", [Retry, Unknown])
def test_what_is_our_own_says_nothing(health: AccountHealth, make: Callable[[Fault], Outcome]) -> None:
    judge(health, WRONG_KEY, 1)
    judge(health, make(Fault(ErrorCategory.INTERNAL, "bug", "Ours.")), 2)
    judge(health, Snooze(1.0), 3)
    assert judge(health, WRONG_KEY, 4).opens_for


def test_accounts_are_judged_each_by_itself(health: AccountHealth) -> None:
    judge(health, WRONG_KEY, 1)
    other = health.judge("another", 2, WRONG_KEY, waits=True)
    assert other is not None
    assert not other.opens_for
    assert health.judge("", 2, WRONG_KEY, waits=True) is None

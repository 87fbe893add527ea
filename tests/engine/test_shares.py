"""Who gets how many slots, how fast a limit is fed, how an account reopens."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batches.dispatching.pace import AHEAD, Pace, Paces, slow_start
from batches.dispatching.shares import Demand, fair_shares
from tests.engine.conftest import quick

demands = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 60)), max_size=12).map(
    lambda pairs: [Demand(batch, owner, wanted) for batch, (owner, wanted) in enumerate(pairs)]
)
served = st.dictionaries(st.integers(0, 12), st.floats(0, 100))


@quick
@given(st.integers(0, 300), demands, served)
def test_nobody_gets_more_than_it_wants_and_all_together_not_more_than_there_is(
    slots: int, wants: list[Demand], last: dict[int, float]
) -> None:
    shares = fair_shares(slots, wants, last)
    assert sum(shares.values()) <= slots
    assert all(0 < shares[demand.batch_id] <= demand.wanted for demand in wants if demand.batch_id in shares)


@quick
@given(st.integers(0, 300), demands, served)
def test_no_slot_is_wasted_while_somebody_wants_it(slots: int, wants: list[Demand], last: dict[int, float]) -> None:
    assert sum(fair_shares(slots, wants, last).values()) == min(slots, sum(demand.wanted for demand in wants))


@quick
@given(st.integers(0, 300), demands, served)
def test_owners_who_want_more_differ_by_at_most_one(slots: int, wants: list[Demand], last: dict[int, float]) -> None:
    shares = fair_shares(slots, wants, last)
    given_to, wanted_by = Counter[int](), Counter[int]()
    for demand in wants:
        given_to[demand.owner_id] += shares.get(demand.batch_id, 0)
        wanted_by[demand.owner_id] += demand.wanted
    hungry = [given_to[owner] for owner in wanted_by if given_to[owner] < wanted_by[owner]]
    assert max(hungry, default=0) - min(hungry, default=0) <= 1


@quick
@given(st.integers(1, 300), st.lists(st.integers(0, 60), min_size=1, max_size=8))
def test_batches_of_one_owner_that_want_more_differ_by_at_most_one(slots: int, wanted: list[int]) -> None:
    shares = fair_shares(slots, [Demand(batch, 1, number) for batch, number in enumerate(wanted)], {})
    hungry = [shares.get(batch, 0) for batch, number in enumerate(wanted) if shares.get(batch, 0) < number]
    assert max(hungry, default=0) - min(hungry, default=0) <= 1


@quick
@given(st.integers(1, 3), st.lists(st.integers(1, 3), min_size=1, max_size=6))
def test_with_few_slots_everybody_is_served_in_turn(slots: int, batches_of_owner: list[int]) -> None:
    wants = [
        Demand(owner * 10 + batch, owner, 1_000)
        for owner, count in enumerate(batches_of_owner)
        for batch in range(count)
    ]
    last: dict[int, float] = {}
    received = Counter[int]()
    rounds = len(batches_of_owner) * max(batches_of_owner) * 2
    for now in range(1, rounds + 1):
        for batch_id, number in fair_shares(slots, wants, last).items():
            received[batch_id] += number
            last[batch_id] = float(now)
    assert all(received[demand.batch_id] > 0 for demand in wants)


def test_an_owner_of_many_batches_gets_no_more_than_an_owner_of_one() -> None:
    wants = [Demand(batch, 1, 100) for batch in range(9)] + [Demand(9, 2, 100)]
    shares = fair_shares(100, wants, {})
    assert shares[9] == 50
    assert sum(shares.values()) == 100


def handed_out(per_second: float, *, tick: float, seconds: float) -> int:
    pace, total = Pace(per_second, 0.0), 0
    for number in range(round(seconds / tick)):
        available = pace.available(number * tick)
        pace.spend(available)
        total += available
    return total


@pytest.mark.parametrize("per_second", [0.5, 2.0, 5.0, 8.0, 50.0, 1000.0])
def test_a_pace_hands_out_a_little_more_than_the_limit_admits(per_second: float) -> None:
    total = handed_out(per_second, tick=0.1, seconds=60)
    assert per_second * 60 * 1.04 <= total <= per_second * 60 * AHEAD + max(1, per_second / 2) + 1


def test_a_pause_saves_up_half_a_second_and_no_more() -> None:
    pace = Pace(100.0, 0.0)
    assert pace.available(3600.0) == 50


def test_a_slow_limit_always_admits_one_in_the_end() -> None:
    pace = Pace(0.01, 0.0)
    pace.spend(1)
    assert pace.available(80.0) == 0
    assert pace.available(100.0) == 1


def test_a_clock_that_jumps_back_gives_nothing_away() -> None:
    pace = Pace(10.0, 1000.0, allowance=0.0)
    assert pace.available(0.0) == 0


def test_idle_paces_are_forgotten_and_busy_ones_kept() -> None:
    paces = Paces()
    paces.get("old", 1.0, 0.0)
    busy = paces.get("busy", 1.0, 0.0)
    busy.available(5000.0)
    paces.forget_idle(5000.0)
    assert paces.get("busy", 1.0, 5000.0) is busy
    assert paces.get("old", 1.0, 5000.0).updated_at == 5000.0


def test_a_changed_rate_takes_effect_at_once() -> None:
    paces = Paces()
    paces.get("x", 1.0, 0.0)
    assert paces.get("x", 9.0, 0.0).per_second == 9.0


@pytest.mark.parametrize(("seconds", "calls"), [(-5.0, 8), (0.0, 8), (1.0, 16), (3.5, 90), (10.0, 8192)])
def test_a_reopened_account_starts_with_eight_calls_and_doubles(seconds: float, calls: int) -> None:
    assert slow_start(seconds) == calls


def test_a_slow_start_never_overflows() -> None:
    assert slow_start(1e12) == slow_start(20.0)

"""What the SMS measurement makes of the instants at which calls arrived."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.messages import Rate, busiest_second, rate, report


def every(seconds: float, number: int) -> list[float]:
    return [1_000.0 + seconds * place for place in range(number)]


@pytest.mark.parametrize(
    ("instants", "expected"),
    [
        ([5.0], 1),
        ([5.0, 6.0], 1),  # the end of a second belongs to the next
        ([5.0, 5.999], 2),
        ([0.0, 0.9, 1.0, 1.1, 1.8, 3.0], 4),
        (every(0.125, 100), 8),
    ],
)
def test_the_fullest_sliding_second_is_found_wherever_it_begins(instants: list[float], expected: int) -> None:
    assert busiest_second(instants) == expected


def test_the_rate_is_that_of_the_gaps() -> None:
    measured = rate("high alone", 8.0, every(0.125, 81), wanted=81)
    assert measured.per_second == pytest.approx(8.0)
    assert measured.holds


EXACT = Rate("high alone", 8.0, wanted=80, messages=80, twice=0, per_second=8.0, busiest_second=9)


@pytest.mark.parametrize(
    ("measured", "holds"),
    [
        (EXACT, True),
        (replace(EXACT, per_second=8.0 * 1.0049), True),
        (replace(EXACT, per_second=8.0 * 1.0051), False),
        (replace(EXACT, per_second=8.0 * 0.951), True),
        (replace(EXACT, per_second=8.0 * 0.949), False),
        (replace(EXACT, busiest_second=10), False),
        (replace(EXACT, messages=79), False),
        (replace(EXACT, twice=1), False),
    ],
)
def test_a_lane_holds_within_its_bounds_and_with_nothing_lost_or_doubled(measured: Rate, holds: bool) -> None:
    assert measured.holds is holds
    assert ("| yes |" in report([measured], workers=3, seconds=10, faults=False)) is holds

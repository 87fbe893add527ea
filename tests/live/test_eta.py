"""The rate and the time left, as tables."""

from __future__ import annotations

import pytest

from batches.live.eta import Sample, items_per_second, seconds_left


@pytest.mark.parametrize(
    ("samples", "now", "rate"),
    [
        ([], 10.0, None),
        ([(0, 5)], 10.0, None),
        ([(0, 0), (0.5, 50)], 0.5, None),  # too short to say
        ([(0, 0), (10, 100)], 10.0, 10.0),
        ([(0, 0), (10, 100)], 20.0, 5.0),  # it stalls, so it slows down
        ([(0, 0), (10, 0)], 10.0, None),  # nothing finished yet
        ([(0, 0), (94, 900), (95, 1000), (120, 1400)], 125.0, 400 / 30),  # the old past does not count
        ([(0, 0), (60, 3)], 60.0, 3 / 60),  # slower than the window: measured from the last sample before it
    ],
)
def test_the_rate_is_that_of_the_last_half_minute(
    samples: list[tuple[float, int]], now: float, rate: float | None
) -> None:
    assert items_per_second([Sample(at, finished) for at, finished in samples], now) == rate


@pytest.mark.parametrize(
    ("remaining", "rate", "seconds"),
    [(10, 2.0, 5), (10, 3.0, 4), (10, None, None), (10, 0.0, None), (0, None, 0), (0, 5.0, 0), (1, 100.0, 1)],
)
def test_the_time_left_is_whole_seconds_or_unknown(remaining: int, rate: float | None, seconds: int | None) -> None:
    assert seconds_left(remaining, rate) == seconds

"""Percentiles out of logarithmic buckets."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from batches.histogram import bucket_middle, duration_bucket, percentile
from tests.engine.conftest import quick


@quick
@given(st.lists(st.floats(1.0, 1e7), min_size=1, max_size=200), st.floats(0, 1))
def test_a_percentile_is_within_two_percent_of_the_exact_one(durations: list[float], share: float) -> None:
    exact = sorted(durations)[max(1, math.ceil(share * len(durations))) - 1]
    found = percentile(Counter(duration_bucket(each) for each in durations), share)
    assert math.isclose(found, exact, rel_tol=0.02)


@quick
@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_longer_duration_is_never_in_a_lower_bucket(one: float, other: float) -> None:
    assert duration_bucket(min(one, other)) <= duration_bucket(max(one, other))


def test_nothing_counted_is_zero() -> None:
    assert percentile({}, 0.5) == 0.0


def test_everything_up_to_a_millisecond_shares_a_bucket() -> None:
    assert {duration_bucket(each) for each in (0.0, 0.5, 1.0)} == {0}
    assert bucket_middle(0) == 1.0
    assert percentile({0: 5}, 1.0) == 1.0

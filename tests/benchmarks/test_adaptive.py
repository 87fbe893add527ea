"""How the measurement of a changing limit is counted."""

from __future__ import annotations

import pytest

from benchmarks.adaptive import Change, Seen, evaluate


def calls(start: float, end: float, per_second: float, *, admitted: bool = True) -> list[Seen]:
    return [Seen(start + place / per_second, admitted) for place in range(round((end - start) * per_second))]


def test_a_limit_that_is_used_wholly() -> None:
    measured = evaluate(calls(0.0, 60.0, 10.0), [Change(-2.0, 600.0)])
    assert measured.share == pytest.approx(1.0, abs=0.01)
    assert (measured.calls, measured.refused, measured.recovered) == (600, 0, ())


def test_what_is_refused_is_not_used_and_what_is_left_is_missing() -> None:
    seen = [*calls(0.0, 50.0, 8.0), *calls(0.0, 50.0, 1.0, admitted=False), *calls(50.0, 60.0, 8.0)]
    measured = evaluate(seen, [Change(0.0, 600.0)])
    assert measured.share == pytest.approx(0.8, abs=0.01)
    assert measured.refused_share == pytest.approx(50 / 530)


def test_it_has_recovered_when_the_new_limit_is_used_and_not_exceeded() -> None:
    halved = [*calls(30.0, 34.0, 5.0), *calls(30.0, 34.0, 5.0, admitted=False), *calls(34.0, 60.0, 5.0)]
    restored = [*calls(60.0, 70.0, 5.0), *calls(70.0, 100.0, 10.0)]
    changes = [Change(0.0, 600.0), Change(30.0, 300.0), Change(60.0, 600.0)]
    measured = evaluate([*calls(0.0, 30.0, 10.0), *halved, *restored], changes)
    assert list(measured.recovered) == pytest.approx([4.0, 9.0], abs=1.0)


def test_one_that_never_recovers_says_so() -> None:
    seen = [*calls(0.0, 30.0, 10.0), *calls(30.0, 60.0, 5.0)]
    assert evaluate(seen, [Change(0.0, 600.0), Change(30.0, 600.0)]).recovered == (None,)

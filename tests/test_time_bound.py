"""The bound on a computation."""

from __future__ import annotations

import time
import weakref
from typing import Any

import pytest

from batches.time_bound import TooSlow, at_most


def compute(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_what_computes_too_long_is_interrupted() -> None:
    began = time.process_time()
    with pytest.raises(TooSlow), at_most(0.05):
        compute(20)
    assert time.process_time() - began < 5


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_it_is_interrupted_again_where_the_first_time_was_lost(capsys: pytest.CaptureFixture[str]) -> None:
    """What is raised within a destructor or a callback, Python prints and drops."""
    lost: list[float] = []

    def die(gone: Any) -> None:
        try:
            compute(20)
        except TooSlow:
            lost.append(time.process_time())
            raise

    class Something:
        pass

    with pytest.raises(TooSlow), at_most(0.05):
        thing = Something()
        observed = weakref.ref(thing, die)
        del thing
        assert observed() is None
        compute(20)
    assert len(lost) == 1


def test_waiting_is_not_computing() -> None:
    """On a busy machine a computation waits for its turn, and that is not its fault."""
    with at_most(0.05):
        time.sleep(0.3)


def test_what_ends_in_time_is_not_interrupted_later() -> None:
    with at_most(0.05):
        pass
    compute(0.2)


def test_an_interrupt_never_hits_the_end_of_the_block() -> None:
    """It would leave the timer running, and the next interrupt would end whatever runs then."""
    for _ in range(300):
        try:
            with at_most(0.001):
                compute(0.0011)
        except TooSlow:
            continue
    compute(0.2)

"""Never more than the limit in any window, in order, and nothing taken by who gave up."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchsite.processing import RateLimiter
from tests.processing.conftest import now, run

delays = st.floats(0, 200, allow_nan=False)


@given(st.integers(1, 5), st.floats(0.5, 100), st.lists(delays, min_size=1, max_size=30))
def test_no_window_anywhere_holds_more_than_the_limit(limit: int, window: float, arrivals: list[float]) -> None:
    async def scenario() -> list[float]:
        limiter = RateLimiter(limit, window)
        granted = []

        async def ask(after: float) -> None:
            await asyncio.sleep(after)
            await limiter.acquire()
            granted.append(now())

        await asyncio.gather(*map(ask, arrivals))
        return granted

    granted = run(scenario())
    assert len(granted) == len(arrivals)
    assert granted == sorted(granted)
    for first, beyond in zip(granted, granted[limit:], strict=False):
        assert beyond - first >= window * (1 - 1e-9)


def test_ten_a_minute_are_ten_at_once_and_the_eleventh_after_a_minute() -> None:
    async def scenario() -> list[float]:
        limiter, granted = RateLimiter(10), []
        for _ in range(21):
            await limiter.acquire()
            granted.append(now())
        return granted

    assert run(scenario()) == [0.0] * 10 + [60.0] * 10 + [120.0]


def test_permits_come_in_the_order_they_were_asked_for() -> None:
    async def scenario() -> list[int]:
        limiter, order = RateLimiter(1, 1.0), []

        async def ask(number: int) -> None:
            await limiter.acquire()
            order.append(number)

        await asyncio.gather(*map(ask, range(20)))
        return order

    assert run(scenario()) == list(range(20))


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_who_is_cancelled_while_waiting_takes_nothing(gives_up: list[bool]) -> None:
    async def scenario() -> list[float]:
        limiter, granted = RateLimiter(1, 10.0), []
        await limiter.acquire()

        async def ask() -> None:
            await limiter.acquire()
            granted.append(now())

        tasks = [asyncio.create_task(ask()) for _ in gives_up]
        await asyncio.sleep(5)
        for task, cancelled in zip(tasks, gives_up, strict=True):
            if cancelled:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return granted

    assert run(scenario()) == [10.0 * number for number in range(1, gives_up.count(False) + 1)]


def test_reset_frees_a_whole_window_also_for_who_waits() -> None:
    async def scenario() -> list[float]:
        limiter, granted = RateLimiter(2), []

        async def ask() -> None:
            await limiter.acquire()
            granted.append(now())

        tasks = [asyncio.create_task(ask()) for _ in range(5)]
        await asyncio.sleep(7)
        limiter.reset()
        await asyncio.gather(*tasks)
        return granted

    assert run(scenario()) == [0.0, 0.0, 7.0, 7.0, 67.0]


def test_a_pause_holds_everybody_and_the_longer_one_counts() -> None:
    async def scenario() -> list[float]:
        limiter = RateLimiter(None)
        await limiter.acquire()
        limiter.pause(30)
        limiter.pause(5)
        await asyncio.gather(*(limiter.acquire() for _ in range(3)))
        held_until = now()
        limiter.pause(1000)
        limiter.reset()
        await limiter.acquire()
        return [held_until, now()]

    assert run(scenario()) == [30.0, 30.0]


def test_one_limiter_serves_loops_one_after_the_other() -> None:
    limiter = RateLimiter(1, 0.001)

    async def scenario() -> None:
        await asyncio.gather(*(limiter.acquire() for _ in range(3)))

    asyncio.run(scenario())
    asyncio.run(scenario())


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "10"])
def test_a_limit_that_means_nothing_is_refused(limit: object) -> None:
    with pytest.raises(ValueError, match="limit"):
        RateLimiter(limit)  # type: ignore[arg-type]


@pytest.mark.parametrize("window", [0, -1, float("inf"), float("nan")])
def test_a_window_that_means_nothing_is_refused(window: float) -> None:
    with pytest.raises(ValueError, match="window_seconds"):
        RateLimiter(1, window)

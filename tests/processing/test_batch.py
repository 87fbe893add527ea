"""process_batch: order, partial success, both limits, constant memory, and nothing left running."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchsite.processing import ProcessorCancelled, Progress, process_batch
from tests.engine_fixture import ROOT
from tests.processing.conftest import now, run
from tests.processing.test_retry import StatusError


class Service:
    """Answers after a while; keeps when each call was made and how many were under way at once."""

    def __init__(self, seconds: float = 1.0, failures: dict[int, list[Exception]] | None = None) -> None:
        self.seconds = seconds
        self.failures = failures or {}
        self.calls: list[tuple[float, int]] = []
        self.under_way = self.most = 0

    async def double(self, item: int) -> int:
        self.calls.append((now(), item))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(self.seconds)
            if self.failures.get(item):
                raise self.failures[item].pop(0)
            return item * 2
        finally:
            self.under_way -= 1


outcomes = st.lists(
    st.tuples(st.floats(0, 50), st.lists(st.sampled_from([400, 429, 500, "timeout"]), max_size=6)), max_size=25
)


@given(outcomes, st.integers(1, 6), st.none() | st.integers(1, 12), st.integers(0, 3), st.booleans())
def test_whatever_happens_every_result_is_in_its_place(
    script: list[tuple[float, list[Any]]], concurrency: int, rate_limit: int | None, retries: int, is_async: bool
) -> None:
    calls: list[float] = []
    under_way = most = 0

    async def processor(index: int) -> int:
        nonlocal under_way, most
        calls.append(now())
        under_way += 1
        most = max(most, under_way)
        seconds, failures = script[index]
        await asyncio.sleep(seconds)
        under_way -= 1
        if failures:
            fault = failures.pop(0)
            raise TimeoutError if fault == "timeout" else StatusError(fault)
        return index

    def expected(failures: list[Any]) -> bool:
        tries = failures[: retries + 1]
        return 400 not in tries and len(tries) <= retries

    wanted = [expected(list(failures)) for _, failures in script]

    async def numbers() -> AsyncIterator[int]:
        for index in range(len(script)):
            yield index

    reports: list[Progress] = []
    results = run(
        process_batch(
            numbers() if is_async else range(len(script)),
            processor,
            concurrency=concurrency,
            rate_limit=rate_limit,
            retries=retries,
            on_progress=reports.append,
        )
    )
    assert [result == index for index, result in enumerate(results)] == wanted
    assert all(isinstance(result, Exception) for result, good in zip(results, wanted, strict=True) if not good)
    assert most <= concurrency
    if rate_limit is not None:
        assert all(beyond - first >= 60 - 1e-6 for first, beyond in zip(calls, calls[rate_limit:], strict=False))
    assert [report.done for report in reports] == list(range(1, len(script) + 1))
    assert {report.total for report in reports} <= {None if is_async else len(script)}
    if reports:
        assert reports[-1].succeeded == sum(wanted)


def test_the_defaults_are_the_documents() -> None:
    service = Service(seconds=2.0)
    assert run(process_batch(range(12), service.double)) == [2 * number for number in range(12)]
    assert service.most == 3
    assert [at for at, _ in service.calls] == [0.0] * 3 + [2.0] * 3 + [4.0] * 3 + [6.0] + [60.0] * 2


def test_a_failed_item_is_its_exception_and_the_others_go_on() -> None:
    refusal = StatusError(404)
    service = Service(failures={1: [refusal]})
    assert run(process_batch([0, 1, 2], service.double)) == [0, refusal, 4]
    assert len(service.calls) == 3


def test_without_return_exceptions_the_first_failure_cancels_the_rest() -> None:
    cause = KeyError("why")
    refusal = StatusError(404)
    refusal.__cause__ = cause
    service = Service(failures={0: [refusal]})
    with pytest.raises(StatusError) as raised:
        run(process_batch(range(100), service.double, return_exceptions=False))
    assert raised.value is refusal
    assert raised.value.__cause__ is cause
    assert len(service.calls) <= 6
    assert service.under_way == 0


def test_a_retry_after_holds_the_whole_batch() -> None:
    service = Service(seconds=0.0, failures={0: [StatusError(429, {"Retry-After": "40"})]})
    results = run(process_batch(range(4), service.double, concurrency=1, rate_limit=None))
    assert results == [0, 2, 4, 6]
    service = Service(seconds=1.0, failures={0: [StatusError(429, {"Retry-After": "40"})]})
    run(process_batch(range(6), service.double, concurrency=3, rate_limit=None))
    assert [at for at, _ in service.calls] == [0.0] * 3 + [41.0] * 3 + [42.0]


def test_a_cancelled_batch_leaves_nothing_running() -> None:
    service = Service(seconds=1000.0)

    async def scenario() -> None:
        task = asyncio.create_task(process_batch(range(1000), service.double, concurrency=7))
        await asyncio.sleep(3)
        assert service.under_way == 7
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert service.under_way == 0

    run(scenario())


@pytest.mark.parametrize("waits_for", ["permit", "retry"])
def test_a_batch_may_be_cancelled_while_it_waits(waits_for: str) -> None:
    failures: dict[int, list[Exception]] = {number: [TimeoutError()] * 4 for number in range(9)}
    service = Service(0.0, failures if waits_for == "retry" else None)

    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4):
                await process_batch(range(99), service.double, rate_limit=None if waits_for == "retry" else 1)

    run(scenario())
    assert len(service.calls) == (3 if waits_for == "retry" else 1)


def test_items_are_taken_only_when_there_is_room() -> None:
    taken = finished = most_ahead = 0

    def numbers() -> Iterator[int]:
        nonlocal taken, most_ahead
        for number in range(5000):
            taken += 1
            most_ahead = max(most_ahead, taken - finished)
            yield number

    async def processor(_: int) -> None:
        nonlocal finished
        await asyncio.sleep(1)
        finished += 1

    run(process_batch(numbers(), processor, concurrency=10, rate_limit=None))
    assert finished == 5000
    assert most_ahead == 10


def test_a_source_that_breaks_stops_the_batch_with_its_own_error() -> None:
    service = Service(seconds=50)

    def numbers() -> Iterator[int]:
        yield from range(2)
        raise LookupError("the table is gone")

    with pytest.raises(LookupError, match="the table is gone"):
        run(process_batch(numbers(), service.double))
    assert service.under_way == 0


def test_progress_may_be_a_coroutine_function_and_is_told_in_order() -> None:
    seen: list[Progress] = []

    async def tell(progress: Progress) -> None:
        await asyncio.sleep(5 if progress.done == 1 else 0)
        seen.append(progress)

    service = Service(failures={2: [StatusError(400)]})
    run(process_batch(iter(range(5)), service.double, on_progress=tell))
    assert [progress.done for progress in seen] == [1, 2, 3, 4, 5]
    assert seen[-1] == Progress(total=None, succeeded=4, failed=1)


def test_a_broken_callback_costs_no_result(caplog: pytest.LogCaptureFixture) -> None:
    def tell(progress: Progress) -> None:
        raise RuntimeError("a bug of the caller")

    with caplog.at_level(logging.ERROR):
        assert run(process_batch([1, 2], Service().double, on_progress=tell)) == [2, 4]
    assert caplog.text.count("on_progress raised") == 2


def test_a_processor_cancelled_from_elsewhere_is_a_failure_of_its_item() -> None:
    async def processor(item: int) -> int:
        if item == 1:
            raise asyncio.CancelledError
        return item

    results = run(process_batch(range(3), processor))
    assert (results[0], results[2]) == (0, 2)
    assert isinstance(results[1], ProcessorCancelled)
    with pytest.raises(ProcessorCancelled):
        run(process_batch(range(3), processor, return_exceptions=False))


def test_nothing_to_do_is_done() -> None:
    assert run(process_batch([], Service().double)) == []


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": 0},
        {"concurrency": True},
        {"rate_limit": 0},
        {"retries": -1},
        {"backoff": -1},
        {"rate_limit": 2.5},
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    service = Service()
    with pytest.raises(ValueError, match="must be"):
        run(process_batch([1], service.double, **options))
    assert not service.calls


def test_importing_it_brings_neither_django_nor_gevent() -> None:
    code = (
        "import sys, batchsite.processing;"
        "print([name for name in ('django', 'gevent', 'celery', 'rest_framework') if name in sys.modules])"
    )
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(  # measured, it would have the gevent that coverage imports
        [sys.executable, "-c", code], cwd=ROOT, env=unmeasured, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"

"""One function over many items: several at once, under one limit, each with retries of its own."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sized
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, overload

from batchsite.processing.rate_limiter import RateLimiter
from batchsite.processing.retry import check_retries, is_retryable, seconds_asked_for, with_retry

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")


class ProcessorCancelled(Exception):
    """A processor raised CancelledError although nobody cancelled the batch."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch is. ``total`` is None while nobody knows how many items there are."""

    total: int | None
    succeeded: int
    failed: int

    @property
    def done(self) -> int:
        """Items that are final, either way."""
        return self.succeeded + self.failed


OnProgress = Callable[[Progress], Awaitable[None] | None]


@overload
async def process_batch(
    items: Iterable[Item] | AsyncIterable[Item],
    processor: Callable[[Item], Awaitable[Result]],
    *,
    concurrency: int = ...,
    rate_limit: int | None = ...,
    retries: int = ...,
    backoff: float = ...,
    on_progress: OnProgress | None = ...,
    return_exceptions: Literal[True] = ...,
) -> list[Result | Exception]: ...
@overload
async def process_batch(
    items: Iterable[Item] | AsyncIterable[Item],
    processor: Callable[[Item], Awaitable[Result]],
    *,
    concurrency: int = ...,
    rate_limit: int | None = ...,
    retries: int = ...,
    backoff: float = ...,
    on_progress: OnProgress | None = ...,
    return_exceptions: Literal[False],
) -> list[Result]: ...
async def process_batch(
    items: Iterable[Item] | AsyncIterable[Item],
    processor: Callable[[Item], Awaitable[Result]],
    *,
    concurrency: int = 3,
    rate_limit: int | None = 10,
    retries: int = 3,
    backoff: float = 1000,
    on_progress: OnProgress | None = None,
    return_exceptions: bool = True,
) -> list[Any]:
    """Await ``processor(item)`` for every item and return the results in the order of the items.

    ``concurrency``: items in work at once, those that wait for a retry included. ``rate_limit``: calls a minute,
    retries included; None: no limit. ``retries`` and ``backoff`` (ms): see :func:`with_retry`. A Retry-After holds
    back the whole batch, not only the item that was told.

    An item that finally fails has its exception in its place, as with ``asyncio.gather(return_exceptions=True)``,
    and the others go on. With ``return_exceptions=False`` the first failure cancels the rest and is raised.

    ``on_progress`` (a function or a coroutine function) is called with a :class:`Progress` after each item, one call
    at a time; what it raises is logged and stops nothing. ``items`` may be an async iterable; an item is only taken
    when there is room for it, so that beside the results memory stays constant. Who cancels the call finds every
    processor cancelled and ended when it returns. Raises ValueError for options that mean nothing.
    """
    if not isinstance(concurrency, int) or isinstance(concurrency, bool) or concurrency < 1:
        raise ValueError("concurrency must be a whole number of at least 1")
    check_retries(retries, backoff)
    run: _Run[Item, Result] = _Run(
        processor=processor,
        limiter=RateLimiter(rate_limit),
        retries=retries,
        backoff=backoff,
        reporter=_Reporter(items, on_progress),
        return_exceptions=return_exceptions,
    )
    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group, aclosing(_iterate(items)) as source:
            slots = asyncio.Semaphore(concurrency)
            await slots.acquire()
            async for item in source:
                group.create_task(run.item(item)).add_done_callback(lambda _: slots.release())
                await slots.acquire()
    except BaseExceptionGroup as failures:
        failure = failures.exceptions[0]
    if failure is not None:  # raised out here, or its own cause and context would be replaced
        raise failure
    return run.results


class _Reporter:
    """Counts, and tells who wants to know, in order."""

    def __init__(self, items: Any, on_progress: OnProgress | None) -> None:
        self._total = len(items) if isinstance(items, Sized) else None
        self._succeeded = self._failed = 0
        self._on_progress = on_progress
        self._turn = asyncio.Lock()

    async def report(self, *, failed: bool) -> None:
        self._failed += failed
        self._succeeded += not failed
        if self._on_progress is None:
            return
        progress = Progress(self._total, self._succeeded, self._failed)
        async with self._turn:
            try:
                answer = self._on_progress(progress)
                if inspect.isawaitable(answer):
                    await answer
            except Exception:
                logger.exception("on_progress raised")


@dataclass(slots=True, kw_only=True)
class _Run(Generic[Item, Result]):
    """One call of :func:`process_batch`."""

    processor: Callable[[Item], Awaitable[Result]]
    limiter: RateLimiter
    retries: int
    backoff: float
    reporter: _Reporter
    return_exceptions: bool
    results: list[Any] = field(default_factory=list)

    def item(self, item: Item) -> Any:
        """The coroutine that fills the next place of the results."""
        self.results.append(None)
        return self._run(len(self.results) - 1, item)

    async def _run(self, index: int, item: Item) -> None:
        failed = False
        try:
            self.results[index] = await with_retry(lambda: self._call(item), self.retries, self.backoff)
        except Exception as error:
            if not self.return_exceptions:
                raise
            self.results[index] = error
            failed = True
        await self.reporter.report(failed=failed)

    async def _call(self, item: Item) -> Result:
        await self.limiter.acquire()
        try:
            return await self.processor(item)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody stopped this batch: left alone, it would end the item's task without a word.
            raise ProcessorCancelled("The processor awaited something that others cancelled.") from error
        except Exception as error:
            if is_retryable(error) and (seconds := seconds_asked_for(error)):
                self.limiter.pause(seconds)
            raise


async def _iterate(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncGenerator[Item, None]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item

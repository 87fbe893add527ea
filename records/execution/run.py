"""Operations from the first to the last: in segments, within a time, again after faults that pass."""

from __future__ import annotations

import itertools
import random
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import Error, connection
from django.utils import timezone

from records.execution.faults import Fault, fault_of
from records.execution.operations import Operation, Search, named_ids, named_topics
from records.execution.segment import Caller, Undecided, run_segment
from records.execution.simulation import Simulation, after_failure
from records.execution.statements import find_memories, find_topics
from records.outcomes import Code, Failure, Outcome, Status, failed, skipped, succeeded
from records.search import search
from records.shapes import hit_shape
from records.time_limit import TimeIsUp, TimeLimit

FIRST_PAUSE_SECONDS = 0.05
DEFAULT_TIMEOUT_MS = 30_000


@dataclass(frozen=True, slots=True)
class Options:
    """How a list of operations is carried out, with document 003's defaults."""

    continue_on_error: bool = False
    max_retries: int = 0
    timeout_ms: int = DEFAULT_TIMEOUT_MS
    parallel: bool = True
    validate_only: bool = False


class Unavailable(Exception):
    """The database did not do it, however often it was asked."""


class NotStorable(Exception):
    """Postgres refused a value, or a topic went away meanwhile; nothing was done."""


def run(caller: Caller, operations: list[Operation], options: Options) -> list[Outcome]:
    """One outcome for each operation, in their order. Whatever an operation did stays done if a later one fails."""
    if options.validate_only:
        return judge(caller, operations)
    return _Run(caller, operations, options).run()


class _Run:
    def __init__(self, caller: Caller, operations: list[Operation], options: Options) -> None:
        self.caller = caller
        self.total = len(operations)
        self.options = options
        self.limit = TimeLimit(options.timeout_ms / 1000)
        self.waiting = deque(segments(operations, set_wise=options.parallel))
        self.outcomes: list[Outcome] = []
        self.nested = connection.in_atomic_block

    def run(self) -> list[Outcome]:
        while self.waiting:
            segment = self.waiting.popleft()
            try:
                self.outcomes += self._insist(segment)
            except TimeIsUp:
                return self._out_of_time()
            except Undecided:
                self._fail(segment, Failure(Code.UNKNOWN, "The database broke off; this may have been done or not."))
            except Unavailable:
                self._fail(segment, Failure(Code.DATABASE_ERROR, "The database did not answer; this was not done."))
            except NotStorable:
                if len(segment) > 1:
                    self.waiting.extendleft([operation] for operation in reversed(segment))
                    continue
                self._fail(segment, Failure(Code.VALIDATION_ERROR, "Holds a value that cannot be stored."))
            if not self.options.continue_on_error and (failure := self._first_failure()) is not None:
                return self._stopped(failure)
        return self.outcomes

    def _insist(self, segment: list[Operation]) -> list[Outcome]:
        """Again after a fault that passes, as often as was asked for and while there is time."""
        for attempt in itertools.count():
            try:
                return self._once(segment)
            except Error as error:
                fault = fault_of(error)
                if fault is Fault.TIME_IS_UP:
                    raise TimeIsUp from None
                if fault is Fault.VALUE:
                    raise NotStorable from None
                if fault is Fault.CONNECTION:
                    if self.nested:  # the transaction around us is gone, and all that was done within it
                        raise
                    connection.close()
                pause = FIRST_PAUSE_SECONDS * 2**attempt * (0.5 + random.random() / 2)  # noqa: S311 - only jitter
                if attempt >= self.options.max_retries or pause > self.limit.left:
                    raise Unavailable from None
                time.sleep(pause)
        raise AssertionError

    def _once(self, segment: list[Operation]) -> list[Outcome]:
        first = segment[0]
        if isinstance(first, Search):
            found = search(self.caller.owner_id, first.request, limit=self.limit)
            return [succeeded({"results": [hit_shape(hit) for hit in found.hits], "total": found.total})]
        stop = not self.options.continue_on_error
        return run_segment(self.caller, segment, stop=stop, first_index=len(self.outcomes), limit=self.limit)

    def _first_failure(self) -> int | None:
        return next((index for index, one in enumerate(self.outcomes) if one.status == Status.FAILED), None)

    def _fail(self, segment: list[Operation], failure: Failure) -> None:
        """The whole segment; one that may not go on after a failure counts as stopped at its first operation."""
        count = len(segment) if self.options.continue_on_error else 1
        self.outcomes += [failed(failure)] * count

    def _stopped(self, index: int) -> list[Outcome]:
        rest = self.total - len(self.outcomes)
        return self.outcomes + [skipped(after_failure(index))] * rest

    def _out_of_time(self) -> list[Outcome]:
        """The first that was not done failed for want of time; those after it were not begun."""
        message = f"The batch's time of {self.options.timeout_ms} ms was over."
        failure = Failure(Code.TIMEOUT, message, {"timeout": self.options.timeout_ms})
        rest = self.total - len(self.outcomes) - 1
        return [*self.outcomes, failed(failure), *[skipped(failure)] * rest]


def segments(operations: list[Operation], *, set_wise: bool) -> Iterator[list[Operation]]:
    """Neighbours that can be done together. A search stands alone: it must see what was done before it."""
    if not set_wise:
        yield from ([operation] for operation in operations)
        return
    for is_search, group in itertools.groupby(operations, key=lambda operation: isinstance(operation, Search)):
        if is_search:
            yield from ([operation] for operation in group)
        else:
            yield list(group)


def judge(caller: Caller, operations: list[Operation]) -> list[Outcome]:
    """What would fail, without doing anything; every operation is judged, whatever becomes of the others."""
    simulation = Simulation(
        caller.owner_id,
        timezone.now(),
        find_memories(caller.owner_id, named_ids(operations)),
        find_topics(caller.owner_id, named_topics(operations)),
    )
    valid = succeeded({"valid": True})
    outcomes = []
    for operation in operations:
        if isinstance(operation, Search):
            outcomes.append(valid)
        else:
            (outcome,) = simulation.run([operation], stop=False)
            outcomes.append(valid if outcome.status == Status.SUCCESS else outcome)
    return outcomes

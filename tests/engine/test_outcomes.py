"""What becomes of an item by what its call did: errors, bugs, and calls that do not end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest

from batches.models import ItemError
from batches.operations.base import Attempt
from batches.outcomes import Outcome, Rejected, Retry
from batches.running.engine import Engine
from providers.base import ErrorCategory
from tests.engine.ledger import FAULT, assert_counters, items, new_batch, statuses
from tests.engine.scripted import Script, fail, succeed, take, too_many
from tests.engine.worker import ONCE, finish

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_call_that_does_not_end_is_ended(engine: Engine, scripted: Script) -> None:
    scripted.act = take(60)
    batch = new_batch(1, timeout_ms=50)
    finish(engine, batch)
    (item,) = items(batch)
    assert (item.status, item.attempts, item.failures) == ("pending", 1, 1)
    assert ItemError.objects.get().code == "deadline_exceeded"


def test_a_message_whose_call_does_not_end_is_unknown(engine: Engine, scripted: Script) -> None:
    scripted.act = take(60)
    batch = new_batch(1, timeout_ms=50, **ONCE)
    finish(engine, batch)
    assert_counters(batch, unknown=1)
    assert len(scripted.calls) == 1


def test_a_library_that_catches_everything_cannot_swallow_the_deadline(engine: Engine, scripted: Script) -> None:
    def stubborn(attempt: Attempt) -> Outcome:
        for _ in range(100):
            try:
                gevent.sleep(60)
            except Exception:  # noqa: S112 - as some libraries do
                continue
        return succeed(attempt)

    scripted.act = stubborn
    batch = new_batch(1, timeout_ms=50)
    finish(engine, batch)
    assert statuses(batch) == ["pending"]


def surprise(attempt: Attempt) -> Outcome:
    raise ValueError("secret content of the answer")


def stop_the_world(attempt: Attempt) -> Outcome:
    raise SystemExit(1)


def nothing(attempt: Attempt) -> None:
    return None


def hollow(attempt: Attempt) -> Outcome:
    return Retry(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("act", [surprise, stop_the_world, nothing, hollow])
@pytest.mark.parametrize(("options", "status"), [({}, "failed"), (ONCE, "unknown")])
def test_a_bug_in_an_operation_ends_its_item_and_nothing_else(
    engine: Engine, scripted: Script, act: Callable[[Attempt], Any], options: dict[str, Any], status: str
) -> None:
    scripted.act = lambda attempt: act(attempt) if attempt.key == "item-1" else succeed(attempt)
    batch = new_batch(3, **options)
    finish(engine, batch)
    assert statuses(batch) == ["succeeded", status, "succeeded"]
    item = items(batch)[1]
    assert (item.error_category, "secret" in item.error_message) == ("internal", False)


@pytest.mark.parametrize(
    ("act", "options", "written"),
    [
        (fail(permanent=True), {}, ("failed", 1, 1)),
        (fail(ErrorCategory.TIMEOUT), {}, ("pending", 1, 1)),
        (fail(ErrorCategory.TIMEOUT), ONCE, ("unknown", 1, 1)),
        (fail(ErrorCategory.NETWORK, surely_not_sent=True), ONCE, ("pending", 1, 1)),
        (too_many(None), ONCE, ("pending", 1, 0)),
        (fail(ErrorCategory.SERVER), {"max_retries": 0}, ("failed", 1, 1)),
    ],
)
def test_an_error_of_the_provider_is_recorded_by_what_it_means(
    engine: Engine, scripted: Script, act: Callable[[Attempt], Outcome], options: Any, written: tuple[str, int, int]
) -> None:
    scripted.act = act
    batch = new_batch(1, **options)
    finish(engine, batch)
    (item,) = items(batch)
    assert (item.status, item.attempts, item.failures) == written


def test_an_outcome_of_the_operation_itself_is_recorded(engine: Engine, scripted: Script) -> None:
    scripted.act = lambda attempt: Rejected(FAULT)
    batch = new_batch(1)
    finish(engine, batch)
    assert_counters(batch, failed=1)

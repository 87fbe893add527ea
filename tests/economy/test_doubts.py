"""A submit that nobody answered: it is searched for before it is repeated."""

from __future__ import annotations

import pytest

from batches import services
from batches.economy import stepping
from batches.models import ProviderBatch
from providers.base import ErrorCategory, LineResult, RemoteState
from tests.economy.driving import drive, economy_batch, step, tick
from tests.economy.scripted import Remote, failure
from tests.engine.ledger import assert_counters, statuses

pytestmark = pytest.mark.django_db(transaction=True)


def lost() -> None:
    """What was sent arrived or not, and no answer came."""
    raise failure("timeout", ErrorCategory.TIMEOUT)


def test_a_submit_that_worked_and_was_never_answered_is_found(scripted: Remote) -> None:
    def lost_once() -> None:
        scripted.after_submit = lambda: None
        lost()

    scripted.after_submit = lost_once
    batch = drive(economy_batch(3))
    assert_counters(batch, succeeded=3)
    assert (scripted.submits, scripted.calls.count("find")) == (1, 1)


def test_a_submit_that_never_arrived_is_repeated_after_several_searches(scripted: Remote) -> None:
    def lost_once() -> None:
        scripted.on_submit = lambda: None
        lost()

    scripted.on_submit = lost_once
    batch = drive(economy_batch(3))
    assert_counters(batch, succeeded=3)
    assert (scripted.submits, scripted.calls.count("find")) == (1, 4)


def test_a_search_that_fails_says_nothing_of_the_batch(scripted: Remote) -> None:
    tries: list[int] = []

    def down() -> None:
        tries.append(1)
        if len(tries) < 8:
            raise failure("server_error")

    scripted.after_submit, scripted.on_find = lost, down
    assert_counters(drive(economy_batch(3)), succeeded=3)
    assert scripted.submits == 1


def test_where_there_are_no_markers_the_unknown_one_of_our_size_is_adopted(scripted: Remote) -> None:
    scripted.marks = False

    scripted.after_submit = lost
    batch = drive(economy_batch(3))
    assert_counters(batch, succeeded=3)
    assert scripted.submits == 1


def test_an_adopted_batch_that_is_anothers_is_given_up_for_ours(scripted: Remote) -> None:
    """Two of the same size, both in doubt: each takes the other's at first."""
    scripted.marks = False
    order: list[str] = []

    scripted.after_submit = lost
    first, second = economy_batch(3), economy_batch(3)
    tick()
    for row in ProviderBatch.objects.order_by("id"):
        stepping.advance(row.pk)
        order.append(row.marker)
    assert scripted.submits == 2
    scripted.batches = dict(reversed(scripted.batches.items()))
    for batch in (first, second):
        assert_counters(drive(batch), succeeded=3)
    assert scripted.submits == 2


def test_cancel_in_doubt_searches_before_it_lets_go(scripted: Remote) -> None:
    scripted.after_submit = lost
    scripted.state = lambda stored: RemoteState.ENDED if stored.cancelled else RemoteState.WAITING
    scripted.line = lambda custom_id, prompt: LineResult(
        custom_id=custom_id, error=failure("batch_cancelled", ErrorCategory.CANCELLED)
    )
    batch = economy_batch(3)
    step()
    services.cancel(batch, actor_id=None)
    drive(batch)
    assert statuses(batch) == ["cancelled"] * 3
    assert scripted.calls.count("cancel") == 1

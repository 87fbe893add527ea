"""A claim begins where the last one of its batch ended, and still finds what turned up below."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from batches.dispatching import claim
from batches.dispatching.claim import Route
from batches.dispatching.floors import BOTTOM, LOOK_BELOW_SECONDS, Floors
from batches.models import Batch, Item
from tests.engine.clock import Clock
from tests.engine.ledger import items, new_batch


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0)


@pytest.fixture
def floors(clock: Clock) -> Floors:
    return Floors(clock)


def take(batch: Batch, number: int, floors: Floors) -> list[int]:
    """Claim so many; the positions taken."""
    before = positions(batch, "running")
    claim.claim({batch.pk: number}, {batch.pk: Route(batch.lane, batch.channel, batch.provider, 50)}, floors)
    return sorted(positions(batch, "running") - before)


def positions(batch: Batch, status: str) -> set[int]:
    return set(batch.items.filter(status=status).values_list("position", flat=True))


def staggered(count: int) -> Batch:
    """A batch whose items became due one after the other."""
    batch = new_batch(count)
    now = timezone.now()
    for item in items(batch):
        Item.objects.filter(pk=item.pk).update(due_at=now - timedelta(seconds=100 - item.position))
    return batch


def give_back(batch: Batch, position: int) -> None:
    batch.items.filter(position=position).update(status="pending", lease=None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("make", [new_batch, staggered], ids=["due together", "due one by one"])
def test_claims_go_on_where_the_last_one_ended(make: type[Batch], floors: Floors) -> None:
    batch = make(7)
    assert [take(batch, 3, floors) for _ in range(4)] == [[0, 1, 2], [3, 4, 5], [6], []]


@pytest.mark.django_db(transaction=True)
def test_what_turned_up_below_is_found_when_there_is_nothing_else(floors: Floors) -> None:
    batch = staggered(4)
    take(batch, 2, floors)
    give_back(batch, 0)
    assert take(batch, 2, floors) == [2, 3]
    assert take(batch, 2, floors) == []
    assert floors.leave(batch.pk)
    assert take(batch, 2, floors) == [0]
    assert not floors.leave(batch.pk)


@pytest.mark.django_db(transaction=True)
def test_what_turned_up_below_is_found_after_some_seconds_in_a_batch_that_never_ends(
    floors: Floors, clock: Clock
) -> None:
    batch = staggered(20)
    take(batch, 2, floors)
    give_back(batch, 0)
    clock.now += LOOK_BELOW_SECONDS[0] - 0.1
    assert take(batch, 2, floors) == [2, 3]
    clock.now += LOOK_BELOW_SECONDS[1] - LOOK_BELOW_SECONDS[0] + 0.2
    assert take(batch, 2, floors) == [0, 4]


def test_a_floor_that_is_raised_is_left_no_later(floors: Floors, clock: Clock) -> None:
    place = (timezone.now(), 1)
    for _ in range(30):
        floors.took(7, place)
        clock.now += 0.5
    assert floors.get(7) == place or clock.now >= 100 + LOOK_BELOW_SECONDS[0]
    clock.now += LOOK_BELOW_SECONDS[1]
    assert floors.get(7) == BOTTOM


def test_floors_are_left_everywhere_when_items_were_given_back(floors: Floors) -> None:
    for batch_id in (1, 2):
        floors.took(batch_id, (timezone.now(), 5))
    floors.clear()
    assert [floors.get(1), floors.get(2)] == [BOTTOM, BOTTOM]

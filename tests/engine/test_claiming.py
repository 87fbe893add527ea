"""Claim, lease, accept, renew, release: who has an item, at any moment at most one."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.utils import timezone

from batches.dispatching import claim, rescue
from batches.dispatching.claim import Route
from batches.models import Batch, Item, Lease
from batches.running import leases
from batches.states import SUSPECT_DEATHS
from tests.engine.ledger import WORKER, accepted, assert_no_lease, expire, items, lease, new_batch, statuses

pytestmark = pytest.mark.django_db(transaction=True)
SOME_DAY = datetime(2026, 1, 2, tzinfo=UTC)


def in_another_session(work: Callable[[], Any]) -> Any:
    """Run it on a connection of its own, in a thread of its own."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work())
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    assert found, "the other session failed or hangs"
    return found[0]


@pytest.mark.parametrize(
    "impossible",
    [
        {"status": "running"},
        {"status": "succeeded"},
        {"status": "pending", "lease_id": 5},
        {"status": "pending", "finished_at": SOME_DAY},
        {"status": "failed", "finished_at": SOME_DAY, "lease_id": 5},
        {"status": "retrying"},
        {"attempts": -1},
        {"deaths": -1},
    ],
    ids=str,
)
def test_the_database_refuses_an_impossible_item(impossible: dict[str, Any]) -> None:
    batch = new_batch(1)
    with pytest.raises((IntegrityError, DataError)), transaction.atomic():
        Item.objects.filter(batch=batch).update(**impossible)


@pytest.mark.parametrize(
    "impossible",
    [
        {"status": "completed"},
        {"status": "running", "completed_at": SOME_DAY},
        {"status": "processing"},
        {"succeeded": 2, "failed": 2},
        {"unknown": -1},
    ],
    ids=str,
)
def test_the_database_refuses_an_impossible_batch(impossible: dict[str, Any]) -> None:
    batch = new_batch(3)
    with pytest.raises(IntegrityError), transaction.atomic():
        Batch.objects.filter(pk=batch.pk).update(**impossible)


def test_two_items_never_share_a_place() -> None:
    batch = new_batch(2)
    with pytest.raises(IntegrityError), transaction.atomic():
        Item.objects.filter(batch=batch).update(position=0)


def test_a_claim_takes_due_items_in_order_and_no_others() -> None:
    batch = new_batch(6)
    now = timezone.now()
    rows = items(batch)
    for item, seconds in zip(rows, [-10, -30, 60, -20, -40, -50], strict=True):
        Item.objects.filter(pk=item.pk).update(due_at=now + timedelta(seconds=seconds))
    Item.objects.filter(pk=rows[5].pk).update(status="succeeded", finished_at=now)
    lease(batch, 3)
    assert statuses(batch) == ["pending", "running", "pending", "running", "running", "succeeded"]


def test_suspects_are_left_to_the_solo_lane() -> None:
    batch = new_batch(3)
    Item.objects.filter(position=1).update(deaths=SUSPECT_DEATHS)
    Item.objects.filter(position=2).update(deaths=SUSPECT_DEATHS - 1)
    lease(batch)
    assert statuses(batch) == ["running", "pending", "running"]


def test_a_claim_passes_over_items_that_another_session_holds() -> None:
    batch = new_batch(4)
    with transaction.atomic():
        list(Item.objects.filter(position__lt=2).select_for_update())
        taken = in_another_session(lambda: lease(batch))
    assert len(taken) == 1
    assert statuses(batch) == ["pending", "pending", "running", "running"]


def test_two_dispatchers_at_once_never_lease_an_item_twice() -> None:
    batch = new_batch(200)

    def claim_some() -> None:
        lease(batch, 40, size=7)
        connection.close()

    threads = [threading.Thread(target=claim_some) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sizes = list(Lease.objects.values_list("size", flat=True))
    assert sum(sizes) == Item.objects.filter(status="running").count() == 200


@pytest.mark.parametrize(("size", "sizes"), [(50, [7]), (3, [1, 3, 3]), (1, [1] * 7)])
def test_leases_are_cut_to_the_routes_size(size: int, sizes: list[int]) -> None:
    batch = new_batch(7)
    lease(batch, size=size)
    assert sorted(Lease.objects.values_list("size", flat=True)) == sizes
    for each in Lease.objects.all():
        assert Item.objects.filter(lease=each).count() == each.size == each.remaining


def test_one_claim_serves_many_batches_each_by_its_share() -> None:
    batches = [new_batch(5) for _ in range(3)]
    routes = {each.pk: Route(each.lane, each.channel, each.provider, 2) for each in batches}
    claimed = claim.claim({batches[0].pk: 2, batches[1].pk: 9, batches[2].pk: 1}, routes)
    assert claimed.taken == {batches[0].pk: 2, batches[1].pk: 5, batches[2].pk: 1}
    assert len(claimed.leases) == 1 + 3 + 1


def test_releasing_gives_back_only_what_no_worker_has() -> None:
    batch = new_batch(4)
    first, second = lease(batch, size=2)
    assert leases.accept(first, WORKER)
    claim.release([first, second])
    assert statuses(batch) == ["running", "running", "pending", "pending"]
    assert Lease.objects.get().pk == first
    assert set(Item.objects.values_list("deaths", flat=True)) == {0}


def test_releasing_what_is_gone_already_changes_nothing() -> None:
    batch = new_batch(1)
    (only,) = lease(batch)
    claim.release([only])
    claim.release([only])
    assert statuses(batch) == ["pending"]
    assert_no_lease()


def test_a_lease_is_accepted_once() -> None:
    batch = new_batch(3)
    (only,) = lease(batch)
    taken = leases.accept(only, WORKER)
    assert taken is not None
    assert [item.key for item in taken.items] == ["item-0", "item-1", "item-2"]
    assert leases.accept(only, "worker-2") is None
    assert leases.accept(only, WORKER) is None
    assert leases.accept(only + 1000, WORKER) is None


def test_of_many_workers_that_accept_at_once_one_has_it() -> None:
    (only,) = lease(new_batch(3))
    found: list[bool] = []

    def accept(worker: str) -> None:
        found.append(leases.accept(only, worker) is not None)
        connection.close()

    threads = [threading.Thread(target=accept, args=[f"worker-{number}"]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [False] * 7 + [True]


def test_an_expired_lease_cannot_be_accepted_before_or_after_its_rescue() -> None:
    (only,) = lease(new_batch(1))
    expire(only)
    assert leases.accept(only, WORKER) is None
    rescue.rescue()
    assert leases.accept(only, WORKER) is None


def test_accepting_tells_how_long_ago_the_item_was_first_tried() -> None:
    batch = new_batch(1)
    Item.objects.update(attempts=4, failures=2, first_attempt_at=timezone.now() - timedelta(hours=2))
    (item,) = accepted(batch).items
    assert (item.attempts, item.failures) == (4, 2)
    assert item.elapsed_seconds == pytest.approx(7200, abs=5)


def test_an_expired_lease_that_nobody_rescued_is_renewed() -> None:
    held = accepted(new_batch(1))
    expire(held.id)
    assert leases.renew(WORKER, [held.id]) == {held.id}
    assert rescue.rescue() == (0, [])


def test_a_rescued_lease_is_not_renewed_nor_one_of_another_worker() -> None:
    held, other = accepted(new_batch(1)), accepted(new_batch(1), worker="worker-2")
    expire(held.id)
    rescue.rescue()
    assert leases.renew(WORKER, [held.id, other.id]) == set()


def test_a_start_is_marked_only_under_the_lease_and_in_a_running_batch() -> None:
    batch = new_batch(1)
    held = accepted(batch)
    (item,) = held.items
    attempt_id = uuid.uuid4()
    assert not leases.mark_started(item.id, held.id + 1, attempt_id)
    Batch.objects.update(status="paused")
    assert not leases.mark_started(item.id, held.id, attempt_id)
    Batch.objects.update(status="running")
    assert leases.mark_started(item.id, held.id, attempt_id)
    assert items(batch)[0].attempt_id == attempt_id
    assert items(batch)[0].started_at is not None
    assert leases.mark_started(item.id, held.id, attempt_id)  # again, after a slot was missed
    Batch.objects.update(status="paused")
    assert not leases.mark_started(item.id, held.id, attempt_id)


@pytest.mark.parametrize(("due_in", "expected"), [(30, 30.0), (-30, -30.0)])
def test_the_next_due_item_is_known(due_in: int, expected: float) -> None:
    batch = new_batch(2)
    Item.objects.update(due_at=timezone.now() + timedelta(seconds=due_in))
    assert claim.seconds_until_due(batch.pk) == pytest.approx(expected, abs=2)
    lease(batch)
    Item.objects.filter(status="pending").delete()
    assert claim.seconds_until_due(batch.pk) is None


def test_a_lease_is_lost_mail_only_while_it_is_old_and_unaccepted() -> None:
    batch = new_batch(3)
    old, young, taken = lease(batch, size=1)
    assert leases.accept(taken, WORKER)
    Lease.objects.filter(pk__in=[old, taken]).update(created_at=timezone.now() - timedelta(seconds=10))
    assert [lease_id for lease_id, _ in claim.unaccepted(3.0)] == [old]
    assert young in [lease_id for lease_id, _ in claim.unaccepted(0.0)]

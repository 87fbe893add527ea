"""The items of dead leases; suspects; and who may rescue at all."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from batches.dispatching import leader, rescue
from batches.dispatching.leader import Leadership
from batches.dispatching.rescue import ALONE_DEATHS, POISON_DEATHS, SOLO_GROUP
from batches.dispatching.window import read_window
from batches.models import BatchHistogram, Item, ItemError, Lease, ProviderAccount
from batches.running import leases
from batches.running.recorder import write
from batches.states import SOLO_LANE, SUSPECT_DEATHS
from tests.engine.ledger import (
    WORKER,
    accepted,
    assert_counters,
    assert_no_lease,
    changes,
    expire,
    items,
    lease,
    new_batch,
    statuses,
)
from tests.engine.scripted import REPEATABLE

pytestmark = pytest.mark.django_db(transaction=True)


def deaths() -> list[int]:
    return list(Item.objects.order_by("position").values_list("deaths", flat=True))


def test_a_lease_that_no_worker_had_goes_back_unharmed() -> None:
    batch = new_batch(3)
    expire(*lease(batch))
    assert rescue.rescue()[0] == 1
    assert statuses(batch) == ["pending"] * 3
    assert deaths() == [0, 0, 0]
    assert_no_lease()


def test_items_of_a_dead_worker_run_again_and_count_a_death() -> None:
    batch = new_batch(3)
    expire(accepted(batch).id)
    rescue.rescue()
    assert statuses(batch) == ["pending"] * 3
    assert deaths() == [1, 1, 1]
    assert_counters(batch)
    assert_no_lease()


def test_a_started_message_becomes_unknown_and_its_neighbours_run_again() -> None:
    batch = new_batch(3, provider="once-only", channel="sms")
    held = accepted(batch)
    attempt_id = uuid.uuid4()
    assert leases.mark_started(held.items[1].id, held.id, attempt_id)
    expire(held.id)
    _, facts = rescue.rescue()
    assert statuses(batch) == ["pending", "unknown", "pending"]
    assert_counters(batch, unknown=1)
    assert [(fact.pk, fact.unknown) for fact in facts] == [(batch.pk, 1)]
    unknown = items(batch)[1]
    assert (unknown.attempt_id, unknown.error_code, unknown.attempts) == (attempt_id, "worker_died", 1)
    assert ItemError.objects.get().item_id == unknown.pk
    assert BatchHistogram.objects.filter(measure="failed:internal").get().count == 1


def test_a_provider_that_is_gone_from_the_settings_counts_as_not_repeatable() -> None:
    batch = new_batch(1, provider="removed")
    held = accepted(batch)
    Item.objects.update(started_at=timezone.now())
    expire(held.id)
    rescue.rescue()
    assert statuses(batch) == ["unknown"]


def test_a_renewal_that_comes_first_keeps_the_lease() -> None:
    batch = new_batch(2)
    held = accepted(batch)
    expire(held.id)
    assert leases.renew(WORKER, [held.id])
    assert rescue.rescue() == (0, [])
    assert statuses(batch) == ["running", "running"]


def test_a_renewal_that_commits_during_the_rescue_wins() -> None:
    """The rescuer has seen the lease dead, waits for its lock, and looks again."""
    batch = new_batch(2)
    held = accepted(batch)
    expire(held.id)
    result: list[int] = []

    def run() -> None:
        result.append(rescue.rescue()[0])
        connection.close()

    rescuing = threading.Thread(target=run)
    with transaction.atomic():
        list(Lease.objects.select_for_update())
        rescuing.start()
        wait_for_a_blocked_session()
        leases.renew(WORKER, [held.id])
    rescuing.join(10)
    assert result == [0]
    assert statuses(batch) == ["running", "running"]
    assert Lease.objects.count() == 1


def wait_for_a_blocked_session() -> None:
    with connection.cursor() as cursor:
        for _ in range(10_000):
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            if cursor.fetchone()[0]:
                return
    raise AssertionError("nobody waits for a lock")


def test_a_rescue_and_the_outcome_of_the_same_item_count_once() -> None:
    batch = new_batch(2)
    held = accepted(batch)
    expire(held.id)
    write(changes(held))
    assert rescue.rescue()[0] == 0
    assert_counters(batch, succeeded=2)
    assert_no_lease()


def test_a_dead_lease_without_items_goes_too() -> None:
    batch = new_batch(2)
    held = accepted(batch)
    expire(held.id)
    Item.objects.all().delete()
    rescue.rescue()
    assert_no_lease()


def test_more_dead_leases_than_one_rescue_takes_are_all_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescue, "RESCUE_LIMIT", 3)
    batch = new_batch(8)
    expire(*lease(batch, size=1))
    assert [rescue.rescue()[0] for _ in range(4)] == [3, 3, 2, 0]
    assert statuses(batch) == ["pending"] * 8


def die(batch_of: int = 1) -> None:
    """All leases under way lose their worker."""
    for each in Lease.objects.all():
        leases.accept(each.pk, WORKER)
    expire(*Lease.objects.values_list("pk", flat=True))
    rescue.rescue()


def claim_suspects(workers: int) -> tuple[tuple[int, str], ...]:
    """As the dispatcher does with so many workers."""
    return rescue.claim_suspects(replace(read_window(), workers=workers))


def test_suspicion_narrows_until_a_poison_item_stands_alone() -> None:
    batch = new_batch(40)
    for _ in range(2):
        lease(batch)
        die()
    claim_suspects(4)
    assert set(Lease.objects.values_list("lane", "size")) == {(SOLO_LANE, SOLO_GROUP), (SOLO_LANE, 15)}
    die()
    assert set(deaths()) == {ALONE_DEATHS}
    claim_suspects(4)
    assert list(Lease.objects.values_list("size", flat=True)) == [1] * 4
    die()
    poisoned = Item.objects.filter(deaths=ALONE_DEATHS + 1)
    assert poisoned.count() == 4
    Item.objects.filter(deaths=ALONE_DEATHS).delete()
    claim_suspects(1)
    die()
    failed = Item.objects.get(status="failed")
    assert (failed.deaths, failed.error_code) == (POISON_DEATHS, "poison")
    assert_counters(batch, failed=1)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_there_are_never_more_solo_leases_than_workers(workers: int) -> None:
    batch = new_batch(10)
    Item.objects.update(deaths=ALONE_DEATHS)
    for _ in range(3):
        claim_suspects(workers)
    assert Lease.objects.filter(lane=SOLO_LANE).count() == workers
    assert statuses(batch).count("running") == workers


@pytest.mark.parametrize("deaths", [SUSPECT_DEATHS, ALONE_DEATHS])
def test_suspects_keep_to_the_concurrency_of_their_batch(deaths: int) -> None:
    narrow, wide = new_batch(10, concurrency=3), new_batch(10)
    lease(narrow, 1)
    Item.objects.filter(status="pending").update(deaths=deaths)
    for _ in range(3):
        claim_suspects(30)
    assert statuses(narrow).count("running") == 3
    assert statuses(wide).count("running") == 10


def test_suspects_wait_for_a_closed_account() -> None:
    new_batch(2)
    Item.objects.update(deaths=ALONE_DEATHS)
    account = ProviderAccount.objects.create(alias=REPEATABLE, closed_until=timezone.now() + timedelta(seconds=60))
    assert claim_suspects(2) == ()
    account.delete()
    assert len(claim_suspects(2)) == 2


@pytest.mark.parametrize("status", ["paused", "pending"])
def test_suspects_of_a_batch_that_does_not_run_wait(status: str) -> None:
    new_batch(2, status=status)
    Item.objects.update(deaths=ALONE_DEATHS)
    assert claim_suspects(2) == ()


class Rival:
    """A leadership of a second process, that is: on a connection of its own, in a thread of its own."""

    def __init__(self) -> None:
        self.leadership = Leadership()
        self.connection = connection.copy()

    def holds(self) -> bool:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(leader, "connection", self.connection)
            return self.leadership.hold()

    def lose(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(leader, "connection", self.connection)
            self.leadership.lose()


@pytest.fixture
def rivals() -> Iterator[tuple[Rival, Rival]]:
    pair = Rival(), Rival()
    yield pair
    for rival in pair:
        raw = rival.connection.connection
        if raw is not None:
            raw.close()
        rival.connection.close()


def test_one_of_two_dispatchers_leads(rivals: tuple[Rival, Rival]) -> None:
    one, other = rivals
    assert one.holds()
    assert one.holds()
    assert not other.holds()
    assert other.leadership.steady_seconds == 0.0
    assert one.leadership.steady_seconds > 0.0


def test_leadership_ends_with_its_connection(rivals: tuple[Rival, Rival]) -> None:
    one, other = rivals
    assert one.holds()
    one.connection.connection.close()
    until = time.monotonic() + 10
    while not other.holds():  # Postgres ends a session when it notices, not when it is told
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_leader_that_steps_down_leaves_the_lock_to_the_others_at_once(rivals: tuple[Rival, Rival]) -> None:
    """Its connection goes back to a pool that keeps it open, and an open session keeps its locks."""
    one, other = rivals
    assert one.holds()
    one.lose()
    assert other.holds()
    assert not one.holds()


class Clock:
    """The two clocks of a process, in the hands of a test."""

    def __init__(self) -> None:
        self.since_boot = 1_000.0
        self.of_the_wall = 1_800_000_000.0

    def monotonic(self) -> float:
        return self.since_boot

    def time(self) -> float:
        return self.of_the_wall

    def pass_by(self, seconds: float) -> None:
        self.since_boot += seconds
        self.of_the_wall += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(leader, "time", clock)
    monkeypatch.setattr(rescue, "time", clock)
    return clock


def test_a_leader_is_steady_while_its_rounds_follow_each_other(rivals: tuple[Rival, Rival], clock: Clock) -> None:
    for _ in range(20):
        assert rivals[0].holds()
        clock.pass_by(1.0)
    assert rivals[0].leadership.steady_seconds == 20.0


def test_a_standstill_of_the_database_or_of_the_process_begins_the_count_anew(
    rivals: tuple[Rival, Rival], clock: Clock
) -> None:
    assert rivals[0].holds()
    clock.pass_by(60.0)
    assert rivals[0].holds()
    assert rivals[0].leadership.steady_seconds == 0.0


def test_a_machine_that_slept_begins_the_count_anew(rivals: tuple[Rival, Rival], clock: Clock) -> None:
    """Its monotonic clock slept as well; the database's leases ran out meanwhile."""
    assert rivals[0].holds()
    clock.pass_by(1.0)
    clock.of_the_wall += 3600.0
    assert rivals[0].holds()
    assert rivals[0].leadership.steady_seconds == 0.0


def test_a_clock_set_back_is_no_standstill(rivals: tuple[Rival, Rival], clock: Clock) -> None:
    assert rivals[0].holds()
    clock.pass_by(5.0)
    clock.of_the_wall -= 3600.0
    assert rivals[0].holds()
    assert rivals[0].leadership.steady_seconds == 5.0


def test_the_server_notices_a_leader_whose_machine_is_gone(rivals: tuple[Rival, Rival]) -> None:
    assert rivals[0].holds()
    with rivals[0].connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('tcp_keepalives_idle')")
        assert cursor.fetchone()[0] in {"5", "0"}  # 0: a Unix socket, whose end is noticed anyway


def test_nothing_is_rescued_when_the_database_was_frozen_while_it_was_asked(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = new_batch(1)
    expire(accepted(batch).id)

    def freeze(execute: Callable[..., Any], *call: Any) -> Any:
        clock.pass_by(30.0)
        return execute(*call)

    with connection.execute_wrapper(freeze):
        assert rescue.rescue() == (0, [])
    assert statuses(batch) == ["running"]
    assert rescue.rescue()[0] == 1

"""One round of the dispatcher in this process, with a publication that keeps what it was given."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
import redis
from django.db import DataError, OperationalError, connection
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError
from redis.backoff import NoBackoff
from redis.retry import Retry

from batches import loading
from batches.connections import CELERY_PREFIX, redis_client
from batches.dispatching import claim, dispatcher, publish, rescue, settle
from batches.dispatching.dispatcher import Dispatcher
from batches.dispatching.leader import LOCK_KEY
from batches.dispatching.publish import Publication
from batches.dispatching.window import Window
from batches.models import Batch, Item, Lease, ProviderAccount, Worker
from batches.states import Channel
from tests.engine.ledger import accepted, assert_no_lease, expire, items, lease, new_batch, statuses
from tests.engine.scripted import ONCE_ONLY, REPEATABLE, OnceOnly, Repeatable, entry

pytestmark = pytest.mark.django_db(transaction=True)


class Messages:
    """What was sent as Celery messages; or nothing can be sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, str]] = []
        self.broken = False
        self.tries = 0

    def send_task(self, name: str, *, args: list[int], queue: str, **options: Any) -> None:
        self.tries += 1
        if self.broken:
            raise BrokerError("Redis is gone")
        self.sent.append((args[0], queue))


@pytest.fixture
def messages() -> Messages:
    return Messages()


@pytest.fixture
def running(messages: Messages, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dispatcher]:
    """A dispatcher whose duties are due at every tick."""
    for name in ("UPKEEP_SECONDS", "RESCUE_SECONDS", "STEADY_SECONDS"):
        monkeypatch.setattr(dispatcher, name, 0.0)
    made = Dispatcher(Publication(messages))  # type: ignore[arg-type]
    yield made
    made._leadership.lose()


def worker(**capacity: int) -> None:
    """A worker that was just seen, with so many calls in flight at most by channel."""
    Worker.objects.create(
        boot_id=secrets.token_hex(8), hostname="here", process_id=1, capacity={"ai": 0, "sms": 0, "data": 0} | capacity
    )


def leased(batch: Batch) -> int:
    return Item.objects.filter(batch=batch, status="running").count()


def test_the_window_is_a_little_more_than_the_capacity(running: Dispatcher) -> None:
    worker(ai=60)
    worker(ai=40)
    batch = new_batch(500, priority="high")
    running.tick()
    assert leased(batch) == 120
    running.tick()
    assert leased(batch) == 120


def test_normal_and_low_leave_room_for_high(running: Dispatcher) -> None:
    worker(ai=100)
    normal = new_batch(500)
    running.tick()
    assert leased(normal) == 96
    high = new_batch(500, priority="high")
    running.tick()
    assert (leased(normal), leased(high)) == (96, 24)


def test_low_is_slow_beside_normal_but_never_starved(running: Dispatcher) -> None:
    worker(ai=100)
    low, normal = new_batch(500, priority="low"), new_batch(500)
    running.tick()
    assert leased(low) == 20
    assert leased(normal) == 76


def test_low_alone_has_all_that_is_ordinary(running: Dispatcher) -> None:
    worker(ai=100)
    low = new_batch(500, priority="low")
    running.tick()
    assert leased(low) == 96


def test_owners_share_alike_whatever_they_submit(running: Dispatcher) -> None:
    worker(ai=100)
    many = [new_batch(100, owner="alice") for _ in range(4)]
    one = new_batch(100, owner="bob")
    running.tick()
    assert [leased(batch) for batch in many] == [12] * 4
    assert leased(one) == 48


def test_a_channel_is_no_room_for_another(running: Dispatcher) -> None:
    worker(ai=10)
    batch = new_batch(5, channel="sms", provider=ONCE_ONLY)
    running.tick()
    assert leased(batch) == 0


def test_without_a_worker_nothing_is_claimed(running: Dispatcher) -> None:
    worker(ai=10)
    Worker.objects.update(seen_at=timezone.now() - timedelta(seconds=11))
    batch = new_batch(5)
    running.tick()
    assert leased(batch) == 0


def test_a_batch_has_no_more_under_way_than_its_concurrency(running: Dispatcher) -> None:
    worker(ai=100)
    batch = new_batch(50, concurrency=3)
    for _ in range(3):
        running.tick()
    assert leased(batch) == 3


def test_an_account_has_no_more_in_flight_than_it_may(running: Dispatcher, settings: Any) -> None:
    settings.PROVIDERS = {REPEATABLE: entry(Repeatable, max_in_flight=7)}
    worker(ai=100)
    batches = [new_batch(50), new_batch(50, priority="high"), new_batch(50, owner="bob")]
    for _ in range(3):
        running.tick()
    assert sum(leased(batch) for batch in batches) == 7


def test_an_open_lane_has_few_big_leases_and_every_worker_some(running: Dispatcher, messages: Messages) -> None:
    worker(ai=1000)
    worker(ai=1000)
    new_batch(1000, priority="high")
    running.tick()
    sizes = list(Lease.objects.values_list("size", flat=True))
    assert set(sizes) == {claim.LEASE_SIZE}
    new_batch(8)
    running.tick()
    assert list(Lease.objects.filter(lane="ai.normal").values_list("size", flat=True)) == [2] * 4
    assert {lane for _, lane in messages.sent} == {"ai.high", "ai.normal"}


def test_many_batches_together_need_no_small_leases(running: Dispatcher) -> None:
    worker(ai=1000)
    worker(ai=1000)
    for _ in range(20):
        new_batch(10)
    running.tick()
    assert list(Lease.objects.values_list("size", flat=True)) == [10] * 20


def test_what_was_given_back_is_the_first_to_go_out_again(running: Dispatcher, messages: Messages) -> None:
    worker(ai=50)
    batch = new_batch(500, priority="high")
    messages.broken = True
    running.tick()
    messages.broken = False
    running._publication._closed_until = 0.0
    running.tick()
    assert statuses(batch)[:60] == ["running"] * 60


def test_a_limited_lane_has_leases_of_one(running: Dispatcher, settings: Any) -> None:
    settings.PROVIDERS = {ONCE_ONLY: entry(OnceOnly, sms_per_second={"normal": 5.0})}
    worker(sms=100)
    batch = new_batch(50, channel="sms", provider=ONCE_ONLY)
    for _ in range(3):
        running.tick()
    assert set(Lease.objects.values_list("size", flat=True)) == {1}
    assert 1 <= leased(batch) <= 3  # what the limit admits, not the whole batch


def test_batches_that_share_a_limit_share_its_pace(running: Dispatcher, settings: Any) -> None:
    settings.PROVIDERS = {REPEATABLE: entry(Repeatable, requests_per_minute=1200.0)}
    worker(ai=1000)
    batches = [new_batch(500, owner=name) for name in ("alice", "bob", "carol")]
    for _ in range(5):
        running.tick()
        time.sleep(0.1)
    numbers = [leased(batch) for batch in batches]
    assert sum(numbers) <= 25
    assert min(numbers) >= 1


def test_every_lease_is_published_once_after_it_is_committed(running: Dispatcher, messages: Messages) -> None:
    worker(ai=100)
    new_batch(90)
    running.tick()
    running.tick()
    assert sorted(messages.sent) == sorted(Lease.objects.values_list("id", "lane"))


def test_what_cannot_be_published_is_given_back_at_once(running: Dispatcher, messages: Messages) -> None:
    worker(ai=100)
    messages.broken = True
    batch = new_batch(60)
    running.tick()
    assert statuses(batch) == ["pending"] * 60
    assert_no_lease()
    assert messages.tries == 1
    running.tick()
    assert messages.tries == 1  # Redis gets a moment
    messages.broken = False
    running._publication._closed_until = 0.0
    running.tick()
    assert leased(batch) == 60


def test_a_full_claim_that_cannot_be_published_is_not_repeated_for_ever(
    running: Dispatcher, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "FULL_CLAIM", 10)
    worker(ai=100)
    messages.broken = True
    new_batch(60)
    giving_up = threading.Timer(5.0, running.stop)
    giving_up.start()
    running.tick()
    giving_up.cancel()
    assert messages.tries == 1


def test_the_pause_after_a_failed_publish_begins_when_it_failed(messages: Messages) -> None:
    publication = Publication(messages)  # type: ignore[arg-type]
    messages.broken = True
    long_ago = time.monotonic() - 60  # the try took so long
    assert publication.publish([(1, "ai.high")], long_ago) == [1]
    assert not publication.is_open(time.monotonic())


def test_a_redis_that_is_gone_is_noticed_at_once(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """kombu and redis-py try for six seconds; meanwhile nothing would be rescued, settled or started."""
    from batchsite.celery import app

    closed_port = redis.Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(publish, "redis_client", lambda: closed_port)
    monkeypatch.setattr(app, "send_task", lambda *_, **__: pytest.fail("it was tried"))
    before = time.monotonic()
    assert Publication(app).publish([(1, "ai.high"), (2, "ai.high")], before) == [1, 2]


def test_a_closed_account_claims_nothing(running: Dispatcher) -> None:
    ProviderAccount.objects.create(alias=REPEATABLE, closed_until=timezone.now() + timedelta(seconds=30))
    worker(ai=100)
    closed, other = new_batch(10), new_batch(10, provider="another")
    running.tick()
    assert (leased(closed), leased(other)) == (0, 10)


def test_an_account_that_reopens_starts_slowly(running: Dispatcher) -> None:
    worker(ai=1000)
    batch = new_batch(200, priority="high")
    ProviderAccount.objects.create(alias=REPEATABLE, closed_until=timezone.now())
    running.tick()
    assert 8 <= leased(batch) < 32  # doubled each second: not two seconds have passed
    ProviderAccount.objects.update(closed_until=timezone.now() - timedelta(seconds=2))
    running.tick()
    assert 32 <= leased(batch) < 128


def test_a_standby_does_nothing(running: Dispatcher, messages: Messages) -> None:
    worker(ai=100)
    batch = new_batch(5)
    leader = connection.copy()
    try:
        with leader.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK_KEY])
        assert running.tick() == dispatcher.STANDBY_SECONDS
        assert (leased(batch), messages.sent) == (0, [])
    finally:
        leader.connection.close()
        leader.close()
    running.tick()
    assert leased(batch) == 5


def test_a_round_rescues_starts_sweeps_and_settles(running: Dispatcher, messages: Messages) -> None:
    dead = new_batch(2)
    expire(accepted(dead).id)
    scheduled = new_batch(1, status="pending", scheduled_at=timezone.now())
    cancelled = new_batch(2, status="cancelled")
    empty = new_batch(0)
    running.tick()
    for batch in (scheduled, cancelled, empty):
        batch.refresh_from_db()
    assert statuses(dead) == ["pending"] * 2
    assert (scheduled.status, cancelled.cancelled, empty.status) == ("running", 2, "completed")
    assert cancelled.settled_at is not None


def test_nothing_is_rescued_before_the_leader_is_steady(running: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "STEADY_SECONDS", 15.0)
    dead = new_batch(2)
    expire(accepted(dead).id)
    running.tick()
    assert statuses(dead) == ["running"] * 2


def test_suspects_travel_the_solo_lane(running: Dispatcher, messages: Messages) -> None:
    worker(ai=100)
    new_batch(3)
    Item.objects.filter(position=1).update(deaths=3)
    running.tick()
    assert sorted(Lease.objects.values_list("lane", "size")) == [("ai.normal", 2), ("solo", 1)]
    assert len(messages.sent) == 2


def test_a_batch_with_nothing_due_leaves_its_share_to_others(running: Dispatcher) -> None:
    worker(ai=100)
    waiting, busy = new_batch(100, owner="alice"), new_batch(100, owner="bob")
    Item.objects.filter(batch=waiting).update(due_at=timezone.now() + timedelta(hours=1))
    running.tick()
    running.tick()
    assert leased(busy) == 96


def test_what_ended_is_forgotten(running: Dispatcher) -> None:
    worker(ai=100)
    batch = new_batch(3)
    running.tick()
    assert running._allotment._last_served
    Batch.objects.filter(pk=batch.pk).update(status="paused")
    running._allotment.forget_ended(empty_window(), time.monotonic())
    assert not running._allotment._last_served
    assert not running._allotment._nothing_due_until


@pytest.mark.parametrize("error", [LookupError("unknown operation"), DataError("an odd row")])
@pytest.mark.parametrize(
    ("place", "duty"),
    [(settle, "settle"), (settle, "start_scheduled"), (rescue, "rescue"), (loading, "load_chunk")],
)
def test_a_duty_that_fails_keeps_no_other_from_being_done(
    running: Dispatcher, monkeypatch: pytest.MonkeyPatch, place: ModuleType, duty: str, error: Exception
) -> None:
    tries = []

    def failing() -> None:
        tries.append(1)
        raise error

    monkeypatch.setattr(place, duty, failing)
    worker(ai=10)
    batch, cancelled = new_batch(5), new_batch(2, status="cancelled")
    running.tick()
    running.tick()
    assert leased(batch) == 5
    assert statuses(cancelled) == ["cancelled"] * 2
    assert len(tries) == 1


def test_a_duty_that_the_database_failed_ends_the_leadership(
    running: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing() -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(settle, "settle", failing)
    with pytest.raises(OperationalError):
        running.tick()


def test_workers_that_were_killed_long_ago_are_forgotten(running: Dispatcher) -> None:
    for ago in (0, 60, 7200):
        worker(ai=1)
        Worker.objects.filter(seen_at__gt=timezone.now() - timedelta(seconds=1)).update(
            seen_at=timezone.now() - timedelta(seconds=ago + 2)
        )
    running.tick()
    assert Worker.objects.filter(role="worker").count() == 2


def empty_window() -> Window:
    return Window((), dict.fromkeys(Channel.values, 0), 0, {}, {}, {}, {})


@pytest.fixture
def queue() -> Iterator[str]:
    """A lane that no other test's messages travel."""
    lane = f"test.{secrets.token_hex(4)}"
    yield lane
    redis_client().delete(CELERY_PREFIX + lane)


def lost(queue: str) -> Sequence[tuple[int, str]]:
    return [(lease_id, queue) for lease_id in lease(new_batch(2), size=1, lane=queue)]


def test_a_lost_message_is_sent_again_when_its_queue_is_empty(messages: Messages, queue: str) -> None:
    publication, now = Publication(messages), time.monotonic()  # type: ignore[arg-type]
    unaccepted = lost(queue)
    publication.publish_lost(unaccepted, now)
    assert messages.sent == unaccepted
    publication.publish_lost(unaccepted, now + 1)
    assert messages.sent == unaccepted
    publication.publish_lost(unaccepted, now + publish.MESSAGE_LOST_SECONDS + 1)
    assert messages.sent == [*unaccepted, *unaccepted]
    publication.publish_lost([], now + 60)
    assert not publication._sent_again


def test_a_message_that_may_still_wait_is_not_sent_again(messages: Messages, queue: str) -> None:
    redis_client().lpush(CELERY_PREFIX + queue, "somebody's message")
    Publication(messages).publish_lost(lost(queue), time.monotonic())  # type: ignore[arg-type]
    assert messages.sent == []


def test_a_dispatcher_ends_when_it_is_told_to(running: Dispatcher) -> None:
    worker(ai=10)
    batch = new_batch(2)

    def run() -> None:
        running.run()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 10
    while not leased(batch) and time.monotonic() < deadline:
        time.sleep(0.01)
    running.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert [item.status for item in items(batch)] == ["running"] * 2
    assert not Worker.objects.filter(role="dispatcher").exists()

"""A worker's engine in this process: gates, permits, deadlines, starts that are committed, and its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import gevent
import pytest
import redis
from django.db import OperationalError
from django.utils import timezone
from redis.backoff import NoBackoff
from redis.retry import Retry as RedisRetry

from batches import limits
from batches.dispatching import rescue
from batches.models import Batch, Item, ItemError, Lease, ProviderAccount, Worker
from batches.operations.base import Attempt
from batches.outcomes import Outcome, Rejected, Retry
from batches.running import leases, runner, watch
from batches.running.context import Contexts
from batches.running.engine import Engine
from batches.states import SOLO_LANE
from providers.base import ErrorCategory
from tests.engine.conftest import until
from tests.engine.ledger import FAULT, assert_counters, assert_no_lease, expire, items, lease, new_batch, statuses
from tests.engine.scripted import ONCE_ONLY, REPEATABLE, OnceOnly, Script, entry, fail, succeed, take, too_many

pytestmark = pytest.mark.django_db(transaction=True)

ONCE: dict[str, Any] = {"provider": ONCE_ONLY, "channel": "sms"}


@pytest.fixture
def engine(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A started engine of little capacity that looks and renews often."""
    settings.WORKER_CAPACITY = {"ai": 10, "sms": 10, "data": 2}
    settings.WORKER_DRAIN_SECONDS = 0.1
    monkeypatch.setattr(watch, "WATCH_SECONDS", 0.02)
    monkeypatch.setattr(watch, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(runner, "DEADLINE_GRACE_SECONDS", 0.05)
    running = Engine()
    running.start()
    until(lambda: not running.watch.is_stale)
    yield running
    running.stop()


def run(engine: Engine, batch: Batch, **options: Any) -> list[gevent.Greenlet[..., Any]]:
    """Lease the batch's due items and hand the leases to the worker, as Celery does."""
    return [gevent.spawn(engine.runner.run_lease, lease_id) for lease_id in lease(batch, **options)]


def finish(engine: Engine, batch: Batch, **options: Any) -> None:
    """Run what is due and wait until all of it is recorded."""
    run(engine, batch, **options)
    until(lambda: not Lease.objects.exists())


def test_every_item_is_called_once_and_recorded(engine: Engine, scripted: Script) -> None:
    batch = new_batch(25)
    finish(engine, batch, size=7)
    assert sorted(scripted.keys) == sorted(item.key for item in items(batch))
    assert_counters(batch, succeeded=25)
    assert items(batch)[3].result == {"key": "item-3"}


def test_a_call_gets_what_its_batch_says(engine: Engine, scripted: Script) -> None:
    batch = new_batch(1, parameters={"prompt": "rate"}, timeout_ms=1234)
    finish(engine, batch)
    (call,) = scripted.calls
    assert (call.parameters, call.timeout_seconds, call.owner_id) == ({"prompt": "rate"}, 1.234, batch.owner_id)
    assert call.reference == str(items(batch)[0].attempt_id)


def test_never_more_calls_are_in_flight_than_the_capacity(engine: Engine, scripted: Script) -> None:
    running, most = [0], [0]

    def act(attempt: Attempt) -> Outcome:
        running[0] += 1
        most[0] = max(most[0], running[0])
        gevent.sleep(0.01)
        running[0] -= 1
        return succeed(attempt)

    scripted.act = act
    finish(engine, new_batch(60), size=5)
    assert most[0] == 10


def test_a_message_that_comes_twice_runs_nothing_twice(engine: Engine, scripted: Script) -> None:
    batch = new_batch(3)
    (only,) = lease(batch)
    gevent.joinall([gevent.spawn(engine.runner.run_lease, only) for _ in range(5)], raise_error=True)
    until(lambda: not Lease.objects.exists())
    assert len(scripted.calls) == 3


@pytest.mark.parametrize("status", ["paused", "cancelled"])
def test_a_batch_that_was_stopped_before_its_lease_was_accepted_is_not_called(
    engine: Engine, scripted: Script, status: str
) -> None:
    batch = new_batch(5)
    (only,) = lease(batch)
    at = timezone.now() if status == "cancelled" else None
    Batch.objects.update(status=status, completed_at=at)
    gevent.spawn(engine.runner.run_lease, only).get()
    until(lambda: not Lease.objects.exists())
    assert scripted.calls == []
    assert statuses(batch) == ["pending"] * 5
    assert set(Item.objects.values_list("attempts", flat=True)) == {0}


def test_a_batch_that_is_stopped_while_its_items_wait_is_not_called_any_more(engine: Engine, scripted: Script) -> None:
    scripted.act = take(0.3)
    batch = new_batch(30)
    run(engine, batch)
    until(lambda: len(scripted.calls) == 10)
    Batch.objects.update(status="paused")
    until(lambda: not Lease.objects.exists())
    assert len(scripted.calls) == 10
    assert_counters(batch, succeeded=10)


def test_a_closed_account_is_not_called_and_the_item_waits_for_it(engine: Engine, scripted: Script) -> None:
    ProviderAccount.objects.create(alias=REPEATABLE, closed_until=timezone.now() + timedelta(seconds=60))
    until(lambda: engine.watch.seconds_closed(REPEATABLE) > 0)
    batch = new_batch(2)
    finish(engine, batch)
    assert scripted.calls == []
    (first, _) = items(batch)
    assert (first.status, first.attempts) == ("pending", 0)
    assert 50 < (first.due_at - timezone.now()).total_seconds() <= 60


def test_a_429_closes_the_account_for_everybody_at_once(engine: Engine, scripted: Script) -> None:
    scripted.act = too_many(retry_after=60.0)
    batch = new_batch(40)
    finish(engine, batch, size=40)
    assert len(scripted.calls) < 40
    assert ProviderAccount.objects.get().alias == REPEATABLE
    assert Item.objects.filter(attempts=1, failures=0).count() == len(scripted.calls)
    assert ItemError.objects.count() == len(scripted.calls)


def test_a_closure_that_is_not_recorded_yet_survives_the_next_look(engine: Engine) -> None:
    engine.watch.close_account(REPEATABLE, 30.0)
    gevent.sleep(0.1)
    assert engine.watch.seconds_closed(REPEATABLE) > 25


def test_an_account_that_a_person_reopened_is_open_soon(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "NOTED_SECONDS", 0.1)
    engine.watch.close_account(REPEATABLE, 30.0)
    until(lambda: engine.watch.seconds_closed(REPEATABLE) == 0)


def test_a_lost_lease_starts_nothing_more(engine: Engine, scripted: Script) -> None:
    scripted.act = take(0.3)
    batch = new_batch(30)
    run(engine, batch)
    until(lambda: len(scripted.calls) == 10)
    expire(*Lease.objects.values_list("pk", flat=True))
    Lease.objects.update(worker="nobody")
    rescue.rescue()
    gevent.sleep(0.6)
    assert len(scripted.calls) == 10
    assert statuses(batch) == ["pending"] * 30


def test_a_worker_that_lost_sight_of_the_database_starts_nothing(
    engine: Engine, scripted: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = [True]
    look = engine.watch._look

    def looking() -> None:
        if gone[0]:
            raise OperationalError("gone")
        look()

    engine.watch.stop()
    monkeypatch.setattr(engine.watch, "_look", looking)
    monkeypatch.setattr(watch, "STALE_SECONDS", 0.05)
    engine.watch.start()
    until(lambda: engine.watch.is_stale)
    batch = new_batch(3)
    run(engine, batch)
    gevent.sleep(0.2)
    assert scripted.calls == []
    gone[0] = False
    until(lambda: not Lease.objects.exists())
    assert_counters(batch, succeeded=3)


def test_no_surprise_ends_the_watch(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    surprises = [3]
    renew = leases.renew

    def surprising(worker: str, lease_ids: Any) -> set[int]:
        if surprises[0]:
            surprises[0] -= 1
            raise RuntimeError("nobody thought of it")
        return renew(worker, lease_ids)

    monkeypatch.setattr(leases, "renew", surprising)
    (only,) = lease(new_batch(1))
    taken = leases.accept(only, engine.boot_id)
    assert taken is not None
    held = engine.watch.add(taken, time.monotonic() - 15)
    before = held.valid_until
    until(lambda: held.valid_until > before)


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


@pytest.mark.parametrize("fields", [{"provider": "removed"}, {"operation": "removed"}])
def test_what_this_worker_cannot_run_is_rejected(engine: Engine, fields: dict[str, str]) -> None:
    batch = new_batch(2, **fields)
    finish(engine, batch)
    assert_counters(batch, failed=2)
    assert items(batch)[0].error_code == "misconfigured"


def test_a_batch_that_cannot_be_read_now_is_tried_later(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(self: Contexts, batch_id: int) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(Contexts, "get", gone)
    batch = new_batch(2)
    finish(engine, batch)
    assert statuses(batch) == ["pending", "pending"]
    assert items(batch)[0].due_at > timezone.now()


def test_whatever_stops_the_start_of_a_lease_gives_its_items_back(
    engine: Engine, scripted: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An item without a greenlet, in a lease that a live worker renews, would be running for ever."""

    def surprising(*_: Any, **__: Any) -> None:
        raise RuntimeError("nobody thought of it")

    monkeypatch.setattr(runner, "reserve", surprising)
    batch = new_batch(4, rate_limit=6000.0)
    (starting,) = run(engine, batch)
    starting.join()
    until(lambda: not Lease.objects.exists())
    assert scripted.calls == []
    assert statuses(batch) == ["pending"] * 4


def test_a_start_that_is_killed_gives_back_what_had_not_begun(engine: Engine, scripted: Script) -> None:
    """Flower's terminate kills the greenlet of a task."""
    scripted.act = take(0.2)
    batch = new_batch(30)
    (starting,) = run(engine, batch)
    until(lambda: len(scripted.calls) == 10)
    starting.kill()
    until(lambda: not Lease.objects.exists())
    assert len(scripted.calls) == 10
    assert_counters(batch, succeeded=10)


def test_solo_leases_run_one_after_the_other_and_the_waiting_one_is_not_blamed(
    engine: Engine, scripted: Script
) -> None:
    scripted.act = take(0.2)
    batch = new_batch(2)
    first, second = lease(batch, size=1, lane=SOLO_LANE)
    running = gevent.spawn(engine.runner.run_lease, first)
    until(lambda: scripted.calls)
    gevent.spawn(engine.runner.run_lease, second).get()
    assert Lease.objects.get(pk=second).worker == ""  # another worker may have it; this one's death is not its fault
    running.join()
    gevent.spawn(engine.runner.run_lease, second).get()
    assert len(scripted.calls) == 2
    assert_no_lease()


def limited(settings: Any, monkeypatch: pytest.MonkeyPatch, **limits: Any) -> None:
    """The provider of messages gets limits; Redis knows nothing of them yet, and a new one starts at once."""
    settings.PROVIDERS = {**settings.PROVIDERS, ONCE_ONLY: entry(OnceOnly, **limits)}
    settings.REDIS_PREFIX = f"test-{time.monotonic_ns()}"
    monkeypatch.setattr("batches.limits.FRESH_LIMIT_DELAY_SECONDS", 0.0)


def test_a_start_is_committed_before_the_call(
    engine: Engine, scripted: Script, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(settings, monkeypatch, sms_per_second={"normal": 20.0})
    seen: list[tuple[bool, str]] = []

    def act(attempt: Attempt) -> Outcome:
        item = Item.objects.get(pk=attempt.item_id)
        seen.append((item.started_at is not None, str(item.attempt_id)))
        return succeed(attempt)

    scripted.act = act
    batch = new_batch(5, **ONCE)
    finish(engine, batch, size=1)
    assert seen == [(True, call.reference) for call in scripted.calls]
    assert_counters(batch, succeeded=5)


def test_calls_keep_their_slots(
    engine: Engine, scripted: Script, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(settings, monkeypatch, sms_per_second={"normal": 20.0})
    called: list[float] = []

    def act(attempt: Attempt) -> Outcome:
        called.append(time.monotonic())
        return succeed(attempt)

    scripted.act = act
    finish(engine, new_batch(8, **ONCE), size=1)
    assert called[-1] - called[0] >= 7 / 20 - runner.SLOT_TOLERANCE_SECONDS


def test_a_start_that_took_too_long_gives_its_slot_up_and_takes_another(
    engine: Engine, scripted: Script, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(settings, monkeypatch, sms_per_second={"normal": 20.0})
    marks: list[Any] = []
    mark, clear = leases.mark_started, leases.clear_started
    cleared: list[bool] = []

    def slow_mark(item_id: int, lease_id: int, attempt_id: Any) -> bool:
        marks.append(attempt_id)
        if len(marks) < 3:
            gevent.sleep(0.25)
        return mark(item_id, lease_id, attempt_id)

    def noted_clear(item_id: int, lease_id: int, attempt_id: Any) -> bool:
        cleared.append(clear(item_id, lease_id, attempt_id))
        return cleared[-1]

    monkeypatch.setattr(leases, "mark_started", slow_mark)
    monkeypatch.setattr(leases, "clear_started", noted_clear)
    batch = new_batch(1, **ONCE)
    finish(engine, batch)
    assert (len(marks), cleared, len(scripted.calls)) == (3, [True, True], 1)
    assert_counters(batch, succeeded=1)


def test_a_database_slower_than_the_usual_lead_does_not_burn_every_slot(
    engine: Engine, scripted: Script, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(settings, monkeypatch, sms_per_second={"normal": 2.0})
    mark = leases.mark_started
    marks: list[int] = []

    def slow_mark(item_id: int, lease_id: int, attempt_id: Any) -> bool:
        marks.append(item_id)
        gevent.sleep(0.25)
        return mark(item_id, lease_id, attempt_id)

    monkeypatch.setattr(leases, "mark_started", slow_mark)
    batch = new_batch(1, **ONCE)
    finish(engine, batch)
    assert len(marks) <= 4
    assert len(scripted.calls) == 1


@pytest.mark.parametrize("moment", ["before the mark", "after the mark"])
def test_a_message_of_a_batch_cancelled_at_the_last_moment_is_not_sent(
    engine: Engine, scripted: Script, settings: Any, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    limited(settings, monkeypatch, sms_per_second={"normal": 20.0})
    mark = leases.mark_started

    def marking(item_id: int, lease_id: int, attempt_id: Any) -> bool:
        if moment == "before the mark":
            Batch.objects.update(status="cancelled", completed_at=timezone.now())
        marked = mark(item_id, lease_id, attempt_id)
        if moment == "after the mark":
            Batch.objects.update(status="cancelled", completed_at=timezone.now())
            gevent.sleep(0.05)
        return marked

    monkeypatch.setattr(leases, "mark_started", marking)
    batch = new_batch(1, **ONCE)
    finish(engine, batch)
    assert scripted.calls == []
    (item,) = items(batch)
    assert (item.status, item.started_at, item.attempts) == ("pending", None, 0)


def test_a_mark_that_fails_sends_nothing(engine: Engine, scripted: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> bool:
        raise OperationalError("gone")

    monkeypatch.setattr(leases, "mark_started", gone)
    batch = new_batch(1, **ONCE)
    finish(engine, batch)
    assert scripted.calls == []
    assert statuses(batch) == ["pending"]


def test_without_redis_nothing_limited_is_called_and_nothing_is_spent(
    engine: Engine, scripted: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed_port = redis.Redis(host="127.0.0.1", port=1, retry=RedisRetry(NoBackoff(), 0))
    monkeypatch.setattr(limits, "redis_client", lambda: closed_port)
    batch, free = new_batch(3, rate_limit=600.0), new_batch(2)
    run(engine, batch)
    finish(engine, free)
    assert [call.item_id for call in scripted.calls] == [item.pk for item in items(free)]
    assert statuses(batch) == ["pending"] * 3
    assert set(Item.objects.filter(batch=batch).values_list("attempts", flat=True)) == {0}
    assert min(item.due_at for item in items(batch)) > timezone.now() + timedelta(seconds=0.5)


def test_items_without_a_slot_within_the_horizon_come_back_when_theirs_is_near(
    engine: Engine, scripted: Script, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batches.limits.FRESH_LIMIT_DELAY_SECONDS", 0.0)
    batch = new_batch(10, rate_limit=120.0)
    finish(engine, batch)
    assert len(scripted.calls) == 3  # at 0, 0.5 and 1 second
    waits = sorted((item.due_at - timezone.now()).total_seconds() for item in items(batch) if item.status == "pending")
    assert len(waits) == 7
    assert waits[-1] - waits[0] == pytest.approx(3.0, abs=0.2)


@pytest.mark.parametrize(("options", "status"), [({}, "pending"), (ONCE, "unknown")])
def test_a_worker_that_must_end_abandons_its_calls_and_loses_none(
    engine: Engine, scripted: Script, options: dict[str, Any], status: str
) -> None:
    scripted.act = take(60)
    batch = new_batch(15, **options)
    run(engine, batch)
    until(lambda: len(scripted.calls) == 10)
    engine.stop()
    assert sorted(statuses(batch)) == sorted([status] * 10 + ["pending"] * 5)
    assert_no_lease()
    assert not Worker.objects.filter(boot_id=engine.boot_id).exists()
    assert set(Item.objects.values_list("deaths", flat=True)) == {0}


def test_a_worker_that_is_asked_to_stop_starts_nothing_and_ends_what_it_began(
    engine: Engine, scripted: Script, settings: Any
) -> None:
    settings.WORKER_DRAIN_SECONDS = 10.0
    scripted.act = take(0.2)
    batch = new_batch(30)
    run(engine, batch)
    until(lambda: len(scripted.calls) == 10)
    engine.ask_to_stop()
    engine.stop()
    assert len(scripted.calls) == 10
    assert_counters(batch, succeeded=10)
    assert_no_lease()


def test_a_stopping_worker_accepts_no_lease(engine: Engine) -> None:
    (only,) = lease(new_batch(1))
    engine.ask_to_stop()
    gevent.spawn(engine.runner.run_lease, only).get()
    assert Lease.objects.get().worker == ""


def test_a_worker_forgets_what_is_done(engine: Engine) -> None:
    for _ in range(3):
        finish(engine, new_batch(20), size=3)
    until(lambda: not engine.watch._leases)
    assert engine.runner.in_flight == 0


def test_a_worker_says_that_it_lives_and_what_it_can_hold(engine: Engine) -> None:
    worker = Worker.objects.get(boot_id=engine.boot_id)
    assert worker.role == "worker"
    assert worker.capacity == {"ai": 10, "sms": 10, "data": 2}


def test_an_outcome_of_the_operation_itself_is_recorded(engine: Engine, scripted: Script) -> None:
    scripted.act = lambda attempt: Rejected(FAULT)
    batch = new_batch(1)
    finish(engine, batch)
    assert_counters(batch, failed=1)

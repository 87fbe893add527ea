"""A worker runs the items of a lease: each once, within its capacity, and gives back what it cannot run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import gevent
import pytest
from django.db import OperationalError
from django.utils import timezone

from batches.models import Item, ItemError, Lease, Worker
from batches.operations.base import Attempt
from batches.outcomes import Outcome
from batches.running import context, runner
from batches.running.context import Contexts
from batches.running.engine import Engine
from batches.states import SOLO_LANE
from tests.engine.conftest import until
from tests.engine.ledger import assert_counters, assert_no_lease, items, lease, new_batch, statuses
from tests.engine.scripted import REPEATABLE, Script, succeed, take
from tests.engine.worker import finish, run

pytestmark = pytest.mark.django_db(transaction=True)


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


@pytest.mark.parametrize("fields", [{"provider": "removed"}, {"operation": "removed"}])
def test_what_this_worker_cannot_run_waits_for_one_that_can(
    engine: Engine, scripted: Script, settings: Any, fields: dict[str, str]
) -> None:
    batch = new_batch(2, max_retries=0, backoff_ms=1, **fields)
    for attempts in (1, 2, 3):
        Item.objects.update(due_at=timezone.now())
        finish(engine, batch)
        (item, _) = items(batch)
        assert (item.status, item.attempts, item.failures) == ("pending", attempts, 0)
        assert (item.due_at - timezone.now()).total_seconds() > 2 ** (attempts - 1) - 1  # later and later
    assert set(ItemError.objects.values_list("code", "count")) == {("misconfigured", 3)}
    settings.OPERATIONS = {**settings.OPERATIONS, "removed": settings.OPERATIONS["scripted"]}
    settings.PROVIDERS = {**settings.PROVIDERS, "removed": settings.PROVIDERS[REPEATABLE]}
    Item.objects.update(due_at=timezone.now())
    finish(engine, batch)
    assert_counters(batch, succeeded=2)


def test_what_no_worker_can_run_fails_at_the_end_of_its_window(engine: Engine) -> None:
    batch = new_batch(2, provider="removed", retry_window_seconds=3600)
    Item.objects.update(attempts=40, first_attempt_at=timezone.now() - timedelta(seconds=3550))
    finish(engine, batch)
    assert_counters(batch, failed=2)
    assert items(batch)[0].error_code == "misconfigured"


def test_a_worker_makes_all_it_can_before_it_begins(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[str] = []
    monkeypatch.setattr(context, "get_provider", made.append)
    settings.OPERATIONS = {**settings.OPERATIONS, "broken": "no.such.Module"}
    context.prepare()
    assert made == list(settings.PROVIDERS)
    assert "'broken' cannot be used by this worker: ModuleNotFoundError" in caplog.text


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


def test_a_worker_forgets_what_is_done(engine: Engine) -> None:
    for _ in range(3):
        finish(engine, new_batch(20), size=3)
    until(lambda: not engine.watch._leases)
    assert engine.runner.in_flight == 0


def test_a_worker_says_that_it_lives_and_what_it_can_hold(engine: Engine) -> None:
    worker = Worker.objects.get(boot_id=engine.boot_id)
    assert worker.role == "worker"
    assert worker.capacity == {"ai": 10, "sms": 10, "data": 2}

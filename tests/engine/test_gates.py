"""What keeps a call from starting: a stopped batch, a closed account, a lost lease, a worker that sees nothing."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import gevent
import pytest
from django.db import OperationalError
from django.utils import timezone

from batches.dispatching import rescue
from batches.models import Batch, Item, ItemError, Lease, ProviderAccount
from batches.running import leases, watch
from batches.running.engine import Engine
from tests.engine.conftest import until
from tests.engine.ledger import assert_counters, expire, items, lease, new_batch, statuses
from tests.engine.scripted import REPEATABLE, Script, take, too_many
from tests.engine.worker import finish, run

pytestmark = pytest.mark.django_db(transaction=True)


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

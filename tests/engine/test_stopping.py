"""The end of a worker: what had not begun is given back, what was called is not lost."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from batches.models import Item, Lease, Worker
from batches.running.engine import Engine
from tests.engine.conftest import until
from tests.engine.ledger import assert_counters, assert_no_lease, lease, new_batch, statuses
from tests.engine.scripted import Script, take
from tests.engine.worker import ONCE, run

pytestmark = pytest.mark.django_db(transaction=True)


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

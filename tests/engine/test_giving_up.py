"""A lease whose items make no outcome is given up; a worker tells the ledger what it has done and what it holds."""

from __future__ import annotations

from typing import Any

import pytest
from gevent.event import Event

from batches.models import Lease, Worker
from batches.running import progress_watch, watch
from batches.running.engine import Engine
from batches.running.watch import Watch
from batchsite.celery import app
from tests.engine.conftest import until
from tests.engine.ledger import items, new_batch
from tests.engine.scripted import Script, succeed
from tests.engine.worker import finish, run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _as_in_a_worker() -> None:
    """The app whose queues are heard."""
    app.set_current()


def figures(engine: Engine) -> dict[str, Any]:
    """What the ledger says of the worker after a look."""
    assert engine.progress._look() is None
    said: dict[str, Any] = Worker.objects.get(pk=engine.boot_id).figures
    return said


def test_a_worker_tells_what_it_has_done_and_what_it_holds(engine: Engine, scripted: Script) -> None:
    until(lambda: Worker.objects.filter(pk=engine.boot_id).exists())
    before = figures(engine)
    assert (before["accepted"], before["recorded"], before["has_room"]) == (0, 0, True)
    assert before["files"] > 3
    assert before["memory_mb"] > 10

    finish(engine, new_batch(25), size=7)
    until(lambda: engine.runner.in_flight == 0)
    after = figures(engine)
    assert (after["accepted"], after["recorded"]) == (4, 25)
    assert (after["unrecorded"], after["in_flight"], after["messages"], after["idle_seconds"]) == (0, 0, 0, 0)
    assert "lanes" not in after  # it takes all


def test_the_ledgers_answer_tells_whether_leases_wait(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    until(lambda: Worker.objects.filter(pk=engine.boot_id).exists())
    batch = new_batch(1)
    sights = [engine.progress._sight()]
    monkeypatch.setattr(progress_watch, "_LOOK", progress_watch._LOOK.replace("interval '5.0 seconds'", "interval '0'"))
    for lane in ("solo", "ai.normal"):
        Lease.objects.create(batch=batch, lane=lane, channel="ai", size=1, remaining=1, expires_at="2100-01-01T00:00Z")
        sights.append(engine.progress._sight())
    assert [(sight.work_waits, sight.beaten) for sight in sights] == [(False, True), (False, True), (True, True)]
    Lease.objects.all().delete()


def test_items_that_make_no_outcome_are_not_renewed_for_ever(
    engine: Engine, scripted: Script, settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.STANDSTILL_SECONDS = 0.3
    monkeypatch.setattr(watch, "WATCH_SECONDS", 0.02)
    monkeypatch.setattr(Watch, "longest_call_seconds", 0.1)
    released = Event()
    scripted.act = lambda attempt: released.wait() and succeed(attempt) if attempt.key == "item-1" else succeed(attempt)
    batch = new_batch(2)
    (running,) = run(engine, batch, size=2)
    until(lambda: items(batch)[0].status == "succeeded")
    until(lambda: not engine.watch._leases)
    assert "1 items made no outcome" in caplog.text
    assert items(batch)[1].status == "running"  # until rescue finds the lease expired
    released.set()
    running.join(1)
    until(lambda: engine.runner.in_flight == 0)

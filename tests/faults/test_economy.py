"""kill -9 at every step of economy mode: no line lost, none billed twice, by the provider's own books."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from batches.connections import redis_client
from batches.economy.questions import line_id
from batches.models import Batch, Item, ProviderBatch
from batches.options import Mode
from batches.services import submit_batch
from batches.states import ECONOMY
from tests.engine_fixture import Engine
from tests.faults import gate
from tests.faults.campaign import (
    assert_counters_equal_rows,
    kill,
    owner,
    photo_batch,
    statuses,
    wait_until,
    wait_until_closed,
)
from tests.faults.conftest import PROCESS_NAME, Measure
from tests.faults.gate import Gate, Point
from tests.sandbox_fixture import SandboxServer

pytestmark = pytest.mark.django_db(transaction=True)

PHOTOS = 1_000
SETTLED_SECONDS = 180.0

GATHERED = Point("batches_providerbatch", "true", event="INSERT", at_commit=True)
SUBMITTING = Point("batches_providerbatch", "OLD.step = 'gathered' AND NEW.step = 'submitting'", at_commit=True)
SUBMITTED = Point("batches_providerbatch", "OLD.step = 'submitting' AND NEW.step = 'submitted'", at_commit=True)
ENDED = Point("batches_providerbatch", "OLD.step = 'submitted' AND NEW.step = 'collecting'", at_commit=True)
DONE = Point("batches_providerbatch", "OLD.step = 'collecting' AND NEW.step = 'done'", at_commit=True)


@pytest.fixture
def impatient(sandbox: SandboxServer, tmp_path: Path) -> Iterator[Engine]:
    """One dispatcher and one worker; everything that economy mode waits for takes a tenth of its time."""
    sandbox.configure(batches={"seconds": 1.0})
    variables = {"ECONOMY_TEMPO": "0.1", "ECONOMY_LEAST_LINES": "100", "PROCESS_NAME": PROCESS_NAME}
    with Engine(sandbox, tmp_path, **variables) as engine:
        yield engine.start(workers=1)


def submitted(number: int, provider: str = "openai-gpt-5") -> Batch:
    new = replace(photo_batch(number, provider), mode=Mode(name=ECONOMY))
    return submit_batch(owner_id=owner().pk, new=new)


def billed_by_item(sandbox: SandboxServer) -> Counter[int]:
    billed: Counter[int] = Counter()
    for custom_id, number in sandbox.billed().items():
        name = line_id(custom_id)
        assert name is not None
        billed[name.item_id] += number
    return billed


def assert_each_was_billed_once(batch: Batch, sandbox: SandboxServer) -> None:
    assert statuses(batch) == {"succeeded": batch.total}
    assert batch.status == "completed"
    assert_counters_equal_rows(batch)
    billed = billed_by_item(sandbox)
    assert set(billed) == set(Item.objects.filter(batch=batch).values_list("pk", flat=True))
    assert set(billed.values()) == {1}


def die_at(point: Point, engine: Engine, sandbox: SandboxServer, *, number: int, cut: bool, victim: int = 1) -> Batch:
    """Kill the process of that place while it stands at the point, and let another end the batch."""
    with Gate(engine.environment["DATABASE_URL"], point) as closed:
        batch = submitted(number)
        wait_until(closed.waiting, "somebody at the gate", engine, 60)
        kill(engine, engine.processes[victim])
        if cut:
            closed.cut()
    engine.wait_until_seen(engine.start_worker() if victim else engine.start_dispatcher())
    wait_until_closed([batch], engine, SETTLED_SECONDS)
    return batch


def test_a_submit_that_nobody_heard_of_is_found_and_not_repeated(sandbox: SandboxServer, impatient: Engine) -> None:
    batch = die_at(SUBMITTED, impatient, sandbox, number=60, cut=True)
    assert_each_was_billed_once(batch, sandbox)
    assert ProviderBatch.objects.get().deaths == 0  # counted at its step, which is over


@pytest.mark.faults
@pytest.mark.parametrize("cut", [True, False], ids=["never done", "done unheard"])
@pytest.mark.parametrize(
    "point",
    [SUBMITTING, SUBMITTED, ENDED, gate.OUTCOME, gate.COMMIT, DONE],
    ids=["submitting", "submitted", "ended", "recording", "committing", "done"],
)
def test_a_worker_killed_at_a_step(
    sandbox: SandboxServer, impatient: Engine, measure: Measure, point: Point, cut: bool
) -> None:
    began = time.monotonic()
    batch = die_at(point, impatient, sandbox, number=PHOTOS, cut=cut)
    measure("seconds from the submit until everything was settled", time.monotonic() - began)
    assert_each_was_billed_once(batch, sandbox)


@pytest.mark.faults
@pytest.mark.parametrize("cut", [True, False], ids=["never done", "done unheard"])
def test_a_dispatcher_killed_while_it_gathers(sandbox: SandboxServer, impatient: Engine, cut: bool) -> None:
    batch = die_at(GATHERED, impatient, sandbox, number=PHOTOS, cut=cut, victim=0)
    assert_each_was_billed_once(batch, sandbox)


@pytest.mark.faults
@pytest.mark.parametrize("provider", ["openai-gpt-5", "anthropic-haiku"])
def test_everything_is_killed_again_and_again(
    sandbox: SandboxServer, impatient: Engine, measure: Measure, provider: str
) -> None:
    """Worker, dispatcher and Redis in turn, at any moment, with lines that fail and downloads that break off."""
    faults = {"failed": 0.05, "missing": 0.02, "twice": 0.05, "unknown": 0.05}
    sandbox.configure(batches={"seconds": 3.0, "line_faults": faults, "download_cuts": 3, "create_faults": ["cut"]})
    began = time.monotonic()
    batch = submitted(PHOTOS, provider)
    for strike in range(8):
        time.sleep(random.uniform(0.5, 2.5))
        match strike % 3:
            case 0:
                kill(impatient, impatient.processes[-1])
                impatient.start_worker()
            case 1:
                kill(impatient, impatient.processes[0])
                impatient.processes.insert(0, impatient.start_dispatcher())
                impatient.processes.pop()
            case _:
                redis_client().flushall()
    sandbox.configure(batches={"line_faults": {}})
    wait_until_closed([batch], impatient, SETTLED_SECONDS)
    measure("seconds from the submit until everything was settled", time.monotonic() - began)
    assert_each_was_billed_once(batch, sandbox)


@pytest.mark.faults
def test_workers_that_are_asked_to_stop_give_their_steps_back(sandbox: SandboxServer, impatient: Engine) -> None:
    sandbox.configure(batches={"seconds": 2.0})
    batch = submitted(PHOTOS)
    for _ in range(4):
        time.sleep(random.uniform(0.2, 1.5))
        impatient.stop(impatient.processes[-1])
        assert not ProviderBatch.objects.filter(deaths__gt=0).exists()
        impatient.wait_until_seen(impatient.start_worker())
    wait_until_closed([batch], impatient, SETTLED_SECONDS)
    assert_each_was_billed_once(batch, sandbox)

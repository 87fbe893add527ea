"""Workers that live and do no work: each ends itself, and a new one completes what was left."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from batches.dispatching.concerns import WORKER_IDLE, current_concerns
from batches.models import Item
from batches.options import BatchOptions, NewBatch, NewItem
from batches.services import submit_batch
from batches.standstill import EXIT_CODE
from batches.states import ItemStatus
from tests.engine_fixture import Engine
from tests.faults.campaign import (
    assert_counters_equal_rows,
    assert_ended_well,
    assert_nothing_leaked,
    owner,
    statuses,
    under_load,
    wait_until,
    wait_until_closed,
    wait_until_settled,
)
from tests.faults.conftest import PROCESS_NAME, Measure
from tests.faults.operations import OPERATIONS
from tests.faults.wedges import WEDGES
from tests.sandbox_fixture import SandboxServer

pytestmark = pytest.mark.django_db(transaction=True)

PHOTOS = 4_000
MESSAGES = 60
STANDSTILL_SECONDS = 10
END_SECONDS = 90.0
SETTINGS = {
    "PROCESS_NAME": PROCESS_NAME,
    "DJANGO_SETTINGS_MODULE": "tests.faults.wedges",
    "STANDSTILL_SECONDS": str(STANDSTILL_SECONDS),
    "WORKER_CAPACITY_AI": "300",  # so that leases wait while the worker could take them
}


def wait_until_ended(worker: subprocess.Popen[bytes], engine: Engine) -> float:
    """Until the worker has ended itself; returns the seconds."""
    seconds = wait_until(lambda: worker.poll() is not None, "the worker ended itself", engine, END_SECONDS)
    assert worker.returncode == EXIT_CODE, engine.output()
    engine.processes.remove(worker)
    return seconds


DEAF = "hears no message"


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind == DEAF else [pytest.mark.faults]) for kind in WEDGES]
)
def test_a_worker_that_makes_no_progress_ends_itself(
    kind: str, sandbox: SandboxServer, tmp_path: Path, measure: Measure
) -> None:
    with Engine(sandbox, tmp_path, **SETTINGS) as engine:
        engine.start(workers=1)
        campaign = under_load(sandbox, engine, photos=PHOTOS, messages=MESSAGES)
        worker = engine.processes[1]

        worker.send_signal(WEDGES[kind][0])
        measure("seconds until the worker had ended itself", wait_until_ended(worker, engine))
        engine.wait_until_seen(engine.start_worker())
        wait_until_settled(campaign, engine)

        assert_ended_well(campaign, engine)
        if kind == DEAF:  # it could still finish and record what it had
            assert statuses(campaign.messages) == {ItemStatus.SUCCEEDED: MESSAGES}
            assert len(campaign.calls("openai-gpt-5")) == PHOTOS


@pytest.mark.faults
def test_a_worker_that_hears_nothing_is_named_while_it_lives(
    sandbox: SandboxServer, tmp_path: Path, client: Client, measure: Measure
) -> None:
    with Engine(sandbox, tmp_path, **{**SETTINGS, "STANDSTILL_SECONDS": "600"}) as engine:
        engine.start(workers=1)
        campaign = under_load(sandbox, engine, photos=PHOTOS, messages=MESSAGES)
        worker = engine.processes[1]

        worker.send_signal(WEDGES[DEAF][0])
        named = wait_until(current_concerns, "the worker named", engine, 90)
        measure("seconds until the worker was named", named)
        (concern,) = [each for each in current_concerns() if each.kind == WORKER_IDLE]
        assert concern.words in engine.output()
        answer = client.get("/readyz").json()
        assert (answer["worker"], answer["warnings"][0]["kind"]) == ("ok", WORKER_IDLE)  # it beats

        engine.stop(worker)  # it still ends in order
        engine.wait_until_seen(engine.start_worker())
        wait_until_settled(campaign, engine)
        assert_ended_well(campaign, engine)
        assert statuses(campaign.messages) == {ItemStatus.SUCCEEDED: MESSAGES}
        assert len(campaign.calls("openai-gpt-5")) == PHOTOS


@pytest.mark.faults
def test_a_call_that_never_ends_is_given_up_and_runs_elsewhere(
    sandbox: SandboxServer, settings: Any, tmp_path: Path, measure: Measure
) -> None:
    settings.OPERATIONS = {**settings.OPERATIONS, **OPERATIONS}
    items = [NewItem(f"neighbour-{number}", {}) for number in range(300)]
    items.insert(150, NewItem("endless", {"endless": str(tmp_path / "called")}))
    new = NewBatch(
        operation="endless", provider="openai-gpt-5", items=items, options=BatchOptions(timeout_ms=2_000, max_retries=1)
    )
    with Engine(sandbox, tmp_path, **SETTINGS) as engine:
        engine.start(workers=2)
        workers = engine.processes[1:]
        batch = submit_batch(owner_id=owner().pk, new=new)
        began = time.monotonic()
        wait_until_closed([batch], engine)
        measure("seconds until the item had run elsewhere", time.monotonic() - began)

        assert statuses(batch) == {ItemStatus.SUCCEEDED: 301}
        assert Item.objects.get(batch=batch, key="endless").deaths == 1
        assert_counters_equal_rows(batch)
        assert "is given up" in engine.output()
        # Nothing comes back from the worker that still holds the call: it ends itself as well.
        wait_until(
            lambda: any(worker.poll() is not None for worker in workers), "the worker ended", engine, END_SECONDS
        )
        (ended,) = [worker for worker in workers if worker.poll() is not None]
        wait_until_ended(ended, engine)
        engine.wait_until_seen(engine.start_worker())
        assert_nothing_leaked(engine)

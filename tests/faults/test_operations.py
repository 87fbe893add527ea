"""An item that kills its worker, and outcomes that no ledger can hold: their neighbours all succeed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from batches.models import Batch, Item
from batches.options import BatchOptions, NewBatch, NewItem
from batches.services import submit_batch
from batches.states import ItemStatus
from tests.engine_fixture import Engine
from tests.faults.campaign import (
    assert_counters_equal_rows,
    assert_nothing_leaked,
    statuses,
    wait_until,
    wait_until_closed,
)
from tests.faults.conftest import PROCESS_NAME, Measure
from tests.faults.operations import ANSWERS, OPERATIONS
from tests.sandbox_fixture import SandboxServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

NEIGHBOURS = 300
POISON_SECONDS = 300.0


@pytest.fixture
def engine(sandbox: SandboxServer, settings: Any, tmp_path: Path) -> Iterator[Engine]:
    """A dispatcher and two workers that know the operations of this test."""
    settings.OPERATIONS = {**settings.OPERATIONS, **OPERATIONS}
    variables = {"PROCESS_NAME": PROCESS_NAME}
    with Engine(sandbox, tmp_path, **variables) as running:
        yield running.start(workers=2)


def batch_of(operation: str, items: list[NewItem], **options: Any) -> Batch:
    owner = get_user_model().objects.get_or_create(username="alice")[0]
    new = NewBatch(operation=operation, provider="openai-gpt-5", items=items, options=BatchOptions(**options))
    return submit_batch(owner_id=owner.pk, new=new)


def neighbours() -> list[NewItem]:
    return [NewItem(f"neighbour-{number}", {}) for number in range(NEIGHBOURS)]


def start_the_dead_again(engine: Engine) -> int:
    """What any supervisor does; returns how many workers had died. Called by the main thread: children end with it."""
    dead = [process for process in engine.processes[1:] if process.poll() is not None]
    for process in dead:
        engine.processes.remove(process)
        engine.start_worker()
    return len(dead)


def test_a_poison_item_is_parked_and_its_neighbours_succeed(engine: Engine, measure: Measure) -> None:
    items = neighbours()
    items.insert(NEIGHBOURS // 2, NewItem("poison", {"deadly": True}))
    began = time.monotonic()
    batch = batch_of("deadly", items)
    deaths = 0

    def settled() -> bool:
        nonlocal deaths
        deaths += start_the_dead_again(engine)
        return Batch.objects.filter(pk=batch.pk, settled_at__isnull=False).exists()

    wait_until(settled, "the poison parked", engine, POISON_SECONDS)
    measure("seconds until the poison was parked", time.monotonic() - began)
    measure("workers it killed", deaths)
    wait_until_closed([batch], engine)

    poison = batch.items.get(key="poison")
    assert (poison.status, poison.error_code) == (ItemStatus.FAILED, "poison")
    assert statuses(batch) == {ItemStatus.SUCCEEDED: NEIGHBOURS, ItemStatus.FAILED: 1}
    assert batch.status == "completed"
    assert_counters_equal_rows(batch)
    engine.wait_until_seen(*engine.processes)
    assert_nothing_leaked(engine)


def test_an_outcome_that_cannot_be_stored_ends_its_own_item_only(engine: Engine) -> None:
    items = neighbours() + [NewItem(kind, {"answer": kind}) for kind in ANSWERS]
    workers = [process.pid for process in engine.processes]
    batch = batch_of("indigestible", items, max_retries=1, retry_window_seconds=2, backoff_ms=100)

    wait_until_closed([batch], engine)
    ended = dict(Item.objects.filter(batch=batch).values_list("key", "status"))
    assert set(ended.values()) == {ItemStatus.SUCCEEDED, ItemStatus.FAILED}
    # What can be stored without its odd part is; what has no meaning at all fails.
    for kind in ("nul", "lone surrogate", "not a number", "long reference"):
        assert ended[kind] == ItemStatus.SUCCEEDED, kind
    for kind in ("number beyond every type", "much too deep", "circle", "no document", "nothing", "text", "exception"):
        assert ended[kind] == ItemStatus.FAILED, kind
    assert not batch.items.filter(key__startswith="neighbour").exclude(status=ItemStatus.SUCCEEDED).exists()
    assert_counters_equal_rows(batch)
    assert [process.pid for process in engine.processes if process.poll() is None] == workers
    assert_nothing_leaked(engine)

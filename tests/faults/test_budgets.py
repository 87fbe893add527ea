"""A budget holds whatever dies: what is paid for is written, and nobody remembers it otherwise."""

from __future__ import annotations

import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from django.db.models import Sum

from batches import services
from batches.models import Batch, Item, Lease, Notification
from batches.options import BatchOptions
from batches.services import submit_batch
from tests.engine_fixture import Engine
from tests.faults.campaign import assert_counters_equal_rows, kill, owner, photo_batch, wait_until, wait_until_closed
from tests.faults.conftest import PROCESS_NAME, Measure
from tests.sandbox_fixture import SandboxServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

BUDGET = Decimal("0.60")
CAPACITY = 100


def test_workers_and_the_dispatcher_are_killed_while_a_budget_is_spent(
    sandbox: SandboxServer, tmp_path: Path, measure: Measure
) -> None:
    with Engine(sandbox, tmp_path, PROCESS_NAME=PROCESS_NAME, WORKER_CAPACITY_AI=str(CAPACITY)) as engine:
        engine.start(workers=2)
        sandbox.configure(latency_ms=300)
        new = photo_batch(4_000)
        batch = submit_batch(owner_id=owner().pk, new=replace(new, options=BatchOptions(max_cost=BUDGET)))
        wait_until(lambda: Batch.objects.get(pk=batch.pk).succeeded > 200, "load", engine)
        dispatcher, worker = engine.processes[0], engine.processes[-1]
        kill(engine, worker)
        kill(engine, dispatcher)
        engine.start(workers=1)
        wait_until(
            lambda: Batch.objects.filter(pk=batch.pk, held_for="budget").exists() and not Lease.objects.exists(),
            "the budget spent",
            engine,
        )
        batch.refresh_from_db()
        each = batch.spent / batch.succeeded
        measure("of the budget spent", float(batch.spent / BUDGET))
        assert batch.spent == Item.objects.filter(batch=batch).aggregate(sum=Sum("cost"))["sum"]
        assert BUDGET - 2 * each <= batch.spent <= BUDGET + each
        assert_counters_equal_rows(batch)
        assert Notification.objects.filter(batch=batch, kind="budget_spent").count() == 1
        # What the killed worker was answered, or had asked, is on the provider's bill and nowhere else.
        calls = len([entry for entry in sandbox.log() if entry["provider"] == batch.provider])
        assert batch.succeeded <= calls <= batch.succeeded + 2 * CAPACITY
        time.sleep(2)
        assert len([entry for entry in sandbox.log() if entry["provider"] == batch.provider]) == calls

        services.resume(batch, actor_id=None, max_cost=Decimal(100))
        wait_until_closed([batch], engine)
        assert (batch.status, batch.succeeded) == ("completed", 4_000)
        assert batch.spent == Item.objects.filter(batch=batch).aggregate(sum=Sum("cost"))["sum"]

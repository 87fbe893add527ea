"""Pause and cancel in the middle of a batch: no new call starts one second after the answer."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from batches import services
from batches.models import Batch
from batches.problems import Conflict
from batches.services import submit_batch
from batches.states import ItemStatus
from tests.engine_fixture import Engine
from tests.faults.campaign import (
    assert_counters_equal_rows,
    assert_nothing_leaked,
    photo_batch,
    start_campaign,
    statuses,
    wait_until,
    wait_until_closed,
    wait_until_settled,
)
from tests.faults.conftest import PROCESS_NAME, Measure
from tests.sandbox_fixture import SandboxServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

GRACE_SECONDS = 1.0
WATCHED_SECONDS = 4.0


def test_pause_and_cancel_start_no_new_call_after_a_second(
    sandbox: SandboxServer, tmp_path: Path, measure: Measure
) -> None:
    with Engine(sandbox, tmp_path, PROCESS_NAME=PROCESS_NAME, WORKER_CAPACITY_AI="100") as engine:
        engine.start(workers=2)
        sandbox.configure(latency_ms=300)
        campaign = start_campaign(sandbox, photos=8_000, messages=200)
        batches = (campaign.photos, campaign.messages)
        for verb, name in ((services.pause, "pause"), (services.cancel, "cancel")):
            called = len(sandbox.log())
            wait_until(lambda called=called: len(sandbox.log()) > called + 500, "under load", engine)  # type: ignore[misc]
            for batch in batches:
                verb(batch, actor_id=None)
            answered = time.time()
            time.sleep(WATCHED_SECONDS)
            last = max(entry["at"] for entry in sandbox.log())
            measure(f"seconds from the {name} until the last call started", last - answered)
            assert last < answered + GRACE_SECONDS
            if verb is services.pause:
                for batch in batches:
                    services.resume(batch, actor_id=None)
        wait_until_settled(campaign, engine)

        for batch in batches:
            assert batch.status == "cancelled"
            counted = statuses(batch)
            assert set(counted) <= {ItemStatus.SUCCEEDED, ItemStatus.CANCELLED}
            assert counted[ItemStatus.CANCELLED] > 0
            assert_counters_equal_rows(batch)
        accepted = Counter(entry["to"] for entry in campaign.calls("twilio") if entry["accepted"])
        assert set(accepted.values()) == {1}
        assert statuses(campaign.messages)[ItemStatus.SUCCEEDED] == len(accepted)
        assert len(campaign.calls("openai-gpt-5")) == statuses(campaign.photos)["succeeded"]
        assert_nothing_leaked(engine)


def test_cancelling_against_the_recorder_leaves_no_deadlock(
    sandbox: SandboxServer, engine: Engine, measure: Measure
) -> None:
    """Twenty batches are cancelled one after the other while the recorders write each of them."""
    owner = get_user_model().objects.create(username="alice")
    sandbox.configure(latency_ms=200)
    before = deadlocks()
    batches = [submit_batch(owner_id=owner.pk, new=photo_batch(1_000)) for _ in range(20)]
    began = time.monotonic()
    for batch in batches:
        started = Batch.objects.filter(pk=batch.pk, succeeded__gt=0)
        wait_until(started.exists, "some of it done", engine)
        with suppress(Conflict):  # it was quicker
            services.cancel(Batch.objects.get(pk=batch.pk), actor_id=None)
    wait_until_closed(batches, engine)
    measure("seconds until twenty batches were cancelled and settled", time.monotonic() - began)

    assert deadlocks() == before
    for batch in batches:
        counted = statuses(batch)
        assert set(counted) <= {ItemStatus.SUCCEEDED, ItemStatus.CANCELLED}
        assert_counters_equal_rows(batch)
        assert batch.status == "cancelled" or counted == {ItemStatus.SUCCEEDED: 1_000}
    assert len([batch for batch in batches if batch.status == "cancelled"]) > 10
    assert_nothing_leaked(engine)


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        number: int = cursor.fetchone()[0]
    return number

"""Real processes are killed, emptied and stopped under load; the sandbox's log is the witness."""

from __future__ import annotations

import subprocess

import pytest
import redis
from django.conf import settings

from batches.models import Item, Lease, Worker
from batches.states import ItemStatus
from tests.engine_fixture import Engine
from tests.faults.campaign import (
    assert_ended_well,
    kill,
    statuses,
    under_load,
    wait_until,
    wait_until_settled,
)
from tests.faults.conftest import Measure
from tests.sandbox_fixture import SandboxServer

pytestmark = pytest.mark.django_db(transaction=True)

PHOTOS = 3_000
MESSAGES = 40
WORKERS = 2


@pytest.fixture
def engine(sandbox: SandboxServer, lasting_engine: Engine) -> Engine:
    """A dispatcher and two workers; what the test before has hurt is replaced."""
    running = len(lasting_engine.processes)
    return lasting_engine.start(workers=1 + WORKERS - max(1, running), dispatchers=int(not running))


def leases_of(process: subprocess.Popen[bytes]) -> list[int]:
    """The leases that this worker has."""
    boot_ids = Worker.objects.filter(process_id=process.pid).values("boot_id")
    return list(Lease.objects.filter(worker__in=boot_ids).values_list("id", flat=True))


def every_lease() -> set[int]:
    return set(Lease.objects.values_list("id", flat=True))


def test_a_killed_worker_loses_nothing_and_sends_nothing_twice(
    sandbox: SandboxServer, engine: Engine, measure: Measure
) -> None:
    campaign = under_load(sandbox, engine)
    lost = set(leases_of(engine.processes[1]))
    assert lost

    kill(engine, engine.processes[1])
    measure("seconds until rescued", wait_until(lambda: not lost & every_lease(), "rescued", engine, 30))
    wait_until_settled(campaign, engine)

    assert_ended_well(campaign, engine)
    assert campaign.messages.status == "completed"


def test_an_emptied_redis_costs_seconds_and_no_item(sandbox: SandboxServer, engine: Engine) -> None:
    campaign = under_load(sandbox, engine)

    redis.Redis.from_url(settings.REDIS_URL).flushall()
    wait_until_settled(campaign, engine)

    assert_ended_well(campaign, engine)
    assert statuses(campaign.messages) == {ItemStatus.SUCCEEDED: MESSAGES}


def test_stopping_every_worker_loses_no_answer(sandbox: SandboxServer, engine: Engine) -> None:
    campaign = under_load(sandbox, engine)
    workers = engine.processes[1:]

    engine.stop(*workers)

    # Every answer that came is recorded, nothing is left running, and nothing waits for a lease to expire.
    answered = len([entry for entry in campaign.calls("openai-gpt-5") if entry["status"] == 200])
    assert statuses(campaign.photos)[ItemStatus.SUCCEEDED] == answered
    assert not Item.objects.filter(status=ItemStatus.RUNNING, lease__worker__gt="").exists()
    assert not Lease.objects.exclude(worker="").exists()
    engine.wait_until_seen(engine.start_worker(), engine.start_worker())
    wait_until_settled(campaign, engine)
    assert_ended_well(campaign, engine)
    assert statuses(campaign.messages) == {ItemStatus.SUCCEEDED: MESSAGES}
    # And none was called twice: what had not started was given back, what had started was waited for.
    assert len(campaign.calls("openai-gpt-5")) == PHOTOS

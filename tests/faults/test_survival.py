"""Real processes are killed, emptied and stopped under load; the sandbox's log is the witness."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.db.models.functions import Now

from batches.models import Item, Lease
from batches.states import ItemStatus
from tests.engine_fixture import Engine
from tests.faults.campaign import (
    Campaign,
    assert_every_photo_succeeded,
    assert_no_message_sent_twice,
    start_campaign,
    statuses,
    wait_until,
    wait_until_settled,
)
from tests.sandbox_fixture import SandboxServer

pytestmark = pytest.mark.django_db(transaction=True)

PHOTOS = 3_000
MESSAGES = 40


@pytest.fixture
def engine(sandbox: SandboxServer, tmp_path: Path) -> Iterator[Engine]:
    """A dispatcher and two workers, for one test that will hurt them."""
    with Engine(sandbox, tmp_path) as running:
        yield running.start(workers=2)


def under_load(sandbox: SandboxServer, engine: Engine) -> Campaign:
    """Half a second of latency, both batches under way, calls of both in flight."""
    sandbox.configure(latency_ms=500)
    campaign = start_campaign(sandbox, photos=PHOTOS, messages=MESSAGES)
    wait_until(lambda: Item.objects.filter(batch=campaign.photos, status="succeeded").count() > 200, "load", engine)
    wait_until(lambda: len(campaign.calls("twilio")) > 4, "messages under way", engine)
    return campaign


def test_a_killed_worker_loses_nothing_and_sends_nothing_twice(sandbox: SandboxServer, engine: Engine) -> None:
    campaign = under_load(sandbox, engine)
    victim = engine.processes[1]

    victim.send_signal(signal.SIGKILL)
    victim.wait()
    engine.processes.remove(victim)
    wait_until(
        lambda: not Lease.objects.exclude(worker="").filter(expires_at__lt=Now()).exists(), "rescued", engine, 30
    )
    wait_until_settled(campaign, engine)

    assert_every_photo_succeeded(campaign)
    assert_no_message_sent_twice(campaign)
    assert campaign.messages.status == "completed"


def test_an_emptied_redis_costs_seconds_and_no_item(sandbox: SandboxServer, engine: Engine) -> None:
    campaign = under_load(sandbox, engine)

    redis.Redis.from_url(settings.REDIS_URL).flushall()
    wait_until_settled(campaign, engine)

    assert_every_photo_succeeded(campaign)
    assert_no_message_sent_twice(campaign)
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
    assert_every_photo_succeeded(campaign)
    assert_no_message_sent_twice(campaign)
    assert statuses(campaign.messages) == {ItemStatus.SUCCEEDED: MESSAGES}
    # And none was called twice: what had not started was given back, what had started was waited for.
    assert len(campaign.calls("openai-gpt-5")) == PHOTOS

"""Redis is a doorbell: gone, frozen, cut off or ringing three times, it costs seconds and no item."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from celery import Celery
from django.contrib.auth import get_user_model
from django.test import Client
from kombu import Exchange, Queue

from batches.models import ApiKey, Batch
from batches.states import LANES, ItemStatus
from batchsite.launcher.redis import Redis
from tests.engine_fixture import Engine
from tests.faults.campaign import (
    Campaign,
    assert_ended_well,
    start_campaign,
    statuses,
    under_load,
    wait_until,
    wait_until_closed,
    wait_until_settled,
)
from tests.faults.conftest import PROCESS_NAME, Measure
from tests.sandbox_fixture import SandboxServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

DOWN_SECONDS = 60
FROZEN_SECONDS = 75
CUTS = 10
ANSWER_SECONDS = 1.0
MESSAGES = 40


@pytest.fixture
def engine(sandbox: SandboxServer, own_redis: Redis, tmp_path: Path) -> Iterator[Engine]:
    """A dispatcher and two workers on a Redis of their own."""
    with Engine(sandbox, tmp_path, PROCESS_NAME=PROCESS_NAME, REDIS_URL=own_redis.url) as running:
        yield running.start(workers=2)


@pytest.fixture
def client(transactional_db: None) -> Client:
    """Alice at the front door, with a key."""
    alice = get_user_model().objects.get_or_create(username="alice")[0]
    _, secret = ApiKey.issue(owner_id=alice.pk, name="test")
    return Client(headers={"Authorization": f"Bearer {secret}"})


def submit(client: Client, name: str) -> tuple[Batch, float]:
    """Post a hundred photos; returns the batch and how long the answer took."""
    images = [
        {"id": f"{name}-{number}", "filename": f"{number}.jpg", "url": f"https://example.com/{name}/{number}.jpg"}
        for number in range(100)
    ]
    body = {"shootId": name, "images": images, "providerId": "openai-gpt-5", "mode": "fast"}
    began = time.monotonic()
    answer = client.post("/api/batch/process", body, content_type="application/json")
    seconds = time.monotonic() - began
    assert answer.status_code == 202, answer.content
    return Batch.objects.get(public_id=answer.json()["jobId"]), seconds


def finished(campaign: Campaign, *others: Batch) -> int:
    """Items that are final."""
    return sum(
        batch.succeeded + batch.failed + batch.unknown
        for batch in Batch.objects.filter(pk__in=[campaign.photos.pk, campaign.messages.pk, *(b.pk for b in others)])
    )


@contextmanager
def stopped(own_redis: Redis) -> Iterator[None]:
    """No Redis there; afterwards a new one without memory."""
    own_redis.stop(immediate=True)
    try:
        yield
    finally:
        own_redis.start()


@contextmanager
def frozen(own_redis: Redis) -> Iterator[None]:
    """Connections stay open and nobody answers."""
    assert own_redis.process is not None
    own_redis.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        own_redis.process.send_signal(signal.SIGCONT)


OUTAGES: dict[str, tuple[Any, float]] = {"down": (stopped, DOWN_SECONDS), "frozen": (frozen, FROZEN_SECONDS)}


@pytest.mark.parametrize("kind", list(OUTAGES))
def test_without_redis_submits_are_answered_and_work_resumes_by_itself(
    *, kind: str, sandbox: SandboxServer, engine: Engine, client: Client, own_redis: Redis, measure: Measure
) -> None:
    outage, seconds = OUTAGES[kind]
    campaign = under_load(sandbox, engine)

    submitted: list[Batch] = []
    with outage(own_redis):
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            batch, answered = submit(client, f"shoot-{len(submitted)}")
            assert answered < ANSWER_SECONDS
            submitted.append(batch)
            time.sleep(5)
        before = finished(campaign, *submitted)
    resumed = wait_until(lambda: finished(campaign, *submitted) > before, "work resumed", engine, 60)
    measure(f"seconds from the end of {seconds} s without Redis until the next item", resumed)
    wait_until_closed([campaign.photos, campaign.messages, *submitted], engine)

    assert_ended_well(campaign, engine)
    assert statuses(campaign.messages) == {ItemStatus.SUCCEEDED: MESSAGES}
    for batch in submitted:
        assert statuses(batch) == {ItemStatus.SUCCEEDED: 100}


@pytest.mark.parametrize("kind", ["normal", "pubsub"])
def test_connections_to_redis_are_cut_again_and_again(
    kind: str, sandbox: SandboxServer, engine: Engine, own_redis: Redis
) -> None:
    campaign = under_load(sandbox, engine)

    with redis.Redis.from_url(own_redis.url) as administrator:
        for _ in range(CUTS):
            administrator.client_kill_filter(_type=kind, skipme=True)
            time.sleep(0.5)
    wait_until_settled(campaign, engine)

    assert_ended_well(campaign, engine)
    assert statuses(campaign.messages) == {ItemStatus.SUCCEEDED: MESSAGES}


class Echo(threading.Thread):
    """Delivers the message of every lease twice more, as soon as the lease exists."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(name="echo")
        self.seen: set[int] = set()
        self.enough = threading.Event()
        self._url = engine.environment["DATABASE_URL"]
        exchange = Exchange("batchsite", type="direct")
        self._app = Celery("echo", broker=engine.environment["REDIS_URL"])
        self._app.conf.update(
            broker_transport_options={"global_keyprefix": f"{engine.environment['REDIS_PREFIX']}:celery:"},
            task_queues=[Queue(lane, exchange, routing_key=lane) for lane in LANES],
        )

    def run(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            while not self.enough.wait(0.01):
                leases = connection.execute("SELECT id, lane FROM batches_lease").fetchall()
                for lease_id, lane in leases:
                    if lease_id not in self.seen:
                        self.seen.add(lease_id)
                        for _ in range(2):
                            self._app.send_task("batches.run_lease", args=[lease_id], queue=lane, ignore_result=True)
        self._app.close()


def test_every_message_is_delivered_three_times(sandbox: SandboxServer, engine: Engine, measure: Measure) -> None:
    echo = Echo(engine)
    echo.start()
    try:
        sandbox.configure(latency_ms=500)
        campaign = start_campaign(sandbox, photos=3_000, messages=MESSAGES)
        wait_until_settled(campaign, engine)
    finally:
        echo.enough.set()
        echo.join()

    measure("leases whose message came three times", len(echo.seen))
    assert len(echo.seen) >= 3_000 / 50 + MESSAGES
    assert_ended_well(campaign, engine)
    assert statuses(campaign.messages) == {ItemStatus.SUCCEEDED: MESSAGES}
    assert len(campaign.calls("openai-gpt-5")) == 3_000

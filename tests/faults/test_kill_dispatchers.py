"""kill -9 of the dispatcher at exact points: leases committed and not published, a large batch half loaded."""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path

import pytest
import redis
from django.conf import settings

from batches.files import LINES_TYPE, Upload, store_uploads
from batches.models import Batch, Item, Lease
from batches.operations.photos import rate_photos
from batches.services import submit_batch
from batches.states import LANES, ItemStatus
from batchsite.launcher.redis import Redis
from tests.engine_fixture import Engine
from tests.faults import gate
from tests.faults.campaign import (
    assert_counters_equal_rows,
    assert_ended_well,
    assert_nothing_leaked,
    kill,
    owner,
    start_campaign,
    statuses,
    wait_until,
    wait_until_closed,
    wait_until_settled,
)
from tests.faults.conftest import PROCESS_NAME, Measure
from tests.faults.gate import Gate, Point
from tests.sandbox_fixture import SandboxServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

LINES = 4_500


def test_between_the_claim_and_its_messages(
    sandbox: SandboxServer, own_redis: Redis, tmp_path: Path, measure: Measure
) -> None:
    with Engine(sandbox, tmp_path, PROCESS_NAME=PROCESS_NAME, REDIS_URL=own_redis.url) as engine:
        engine.start(workers=1)
        assert own_redis.process is not None
        own_redis.process.send_signal(signal.SIGSTOP)  # it claims, commits, and waits for Redis to publish
        campaign = start_campaign(sandbox, photos=500, messages=8)
        wait_until(Lease.objects.exists, "leases committed", engine, 10, pause=0.01)
        kill(engine, engine.processes[0])
        own_redis.process.send_signal(signal.SIGCONT)
        killed = time.time()
        leased = Item.objects.filter(status=ItemStatus.RUNNING).count()
        with redis.Redis.from_url(own_redis.url) as client:
            prefix = f"{engine.environment['REDIS_PREFIX']}:celery:"
            assert [lane for lane in LANES if client.llen(prefix + lane)] == []
        assert leased > 0
        assert sandbox.log() == []

        engine.wait_until_seen(engine.start_dispatcher())
        wait_until_settled(campaign, engine)
        measure("items leased and unheard of", leased)
        measure("seconds from the kill until the first call", min(each["at"] for each in sandbox.log()) - killed)

        assert_ended_well(campaign, engine)
        assert statuses(campaign.messages) == {ItemStatus.SUCCEEDED: 8}
        assert len(campaign.calls("openai-gpt-5")) == 500


@pytest.mark.parametrize(
    ("point", "cut"),
    [(gate.LOAD, True), (gate.LOAD, False), (gate.LOADED, True), (gate.LOADED, False)],
    ids=["within a chunk", "within a chunk, unheard", "commit never done", "commit done unheard"],
)
def test_while_it_loads_a_large_batch(
    point: Point, cut: bool, sandbox: SandboxServer, tmp_path: Path, measure: Measure
) -> None:
    with Engine(sandbox, tmp_path, PROCESS_NAME=PROCESS_NAME) as engine:
        engine.start(workers=1)
        with Gate(engine.environment["DATABASE_URL"], point) as closed:
            batch = submit_lines()
            wait_until(closed.waiting, "the dispatcher at the gate", engine, 30)
            kill(engine, engine.processes[0])
            if cut:
                closed.cut()
        killed = time.monotonic()
        engine.wait_until_seen(engine.start_dispatcher())
        wait_until_closed([batch], engine)
        measure("seconds from the kill until everything was settled", time.monotonic() - killed)

        assert batch.total == batch.source_position == LINES
        positions = batch.items.order_by("position").values_list("position", flat=True)
        assert list(positions) == list(range(LINES))
        assert statuses(batch) == {ItemStatus.SUCCEEDED: LINES}
        assert_counters_equal_rows(batch)
        assert set(Counter(entry["image"] for entry in sandbox.log()).values()) == {1}
        assert_nothing_leaked(engine)


def submit_lines() -> Batch:
    """A batch whose photos come from an uploaded file of JSON lines."""
    lines = "\n".join(f'{{"id": "p{n}", "url": "https://example.com/{n}.jpg"}}' for n in range(LINES))
    (file,) = store_uploads(owner().pk, [Upload("photos.jsonl", LINES_TYPE, lines.encode())])
    payload = {"shootId": "lines", "imagesFile": file.public_id, "providerId": settings.DEFAULT_CHAT_PROVIDER}
    return submit_batch(owner_id=owner().pk, new=rate_photos.build_photo_batch(owner().pk, payload))

"""What a watcher sees, over real Redis and Postgres."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, NoReturn

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.db import OperationalError
from django.db.models.functions import Now

from batches.connections import PROGRESS_CHANNEL, redis_client
from batches.live import access, relay, snapshot, subscriber
from batches.live.relay import current_relay
from batches.models import Batch
from tests.live.conftest import Connect, make_batch, publish, subscribed, until

pytestmark = pytest.mark.django_db(transaction=True)


async def test_it_starts_with_what_the_database_has(connect: Connect, alice: User, token: str) -> None:
    batch = await sync_to_async(make_batch)(alice, succeeded=4, failed=1)
    socket = await connect(f"token={token}")
    data = await socket.until("batch:progress")
    assert (data["id"], data["name"], data["progress"], data["failed"]) == (batch.public_id, "Wedding", 50, 1)
    shoot = await socket.until("SHOOT_PROGRESS")
    assert (shoot["shootId"], shoot["status"], shoot["processedCount"]) == ("shoot123", "processing", 5)


@pytest.mark.usefixtures("only_redis")
async def test_it_hears_progress_and_the_end_through_redis(connect: Connect, alice: User, token: str) -> None:
    batch = await sync_to_async(make_batch)(alice)
    socket = await connect(f"token={token}")
    await subscribed()
    publish(batch, succeeded=3)
    assert (await socket.until("batch:progress", succeeded=3))["progress"] == 30
    publish(batch, "completed", succeeded=10, status="completed")
    assert (await socket.until("batch:completed"))["eta"] == 0
    assert (await socket.until("SHOOT_PROGRESS"))["status"] == "completed"


@pytest.mark.usefixtures("only_redis")
async def test_a_new_batch_is_announced(connect: Connect, alice: User, token: str) -> None:
    socket = await connect(f"token={token}")
    await subscribed()
    batch = await sync_to_async(make_batch)(alice)
    publish(batch, "created")
    assert (await socket.until("batch:created"))["batchId"] == batch.public_id


@pytest.mark.usefixtures("only_redis")
async def test_others_batches_stay_theirs(connect: Connect, alice: User, bob: User, token: str) -> None:
    theirs = await sync_to_async(make_batch)(bob)
    socket = await connect(f"token={token}")
    await subscribed()
    publish(theirs, succeeded=3)
    assert await socket.quiet()


@pytest.mark.usefixtures("only_redis")
async def test_one_batch_may_be_watched_alone(connect: Connect, alice: User, token: str) -> None:
    one, other = await sync_to_async(make_batch)(alice, operation="sms"), await sync_to_async(make_batch)(alice)
    socket = await connect(f"token={token}&batch={one.public_id}")
    await socket.until("batch:progress", id=one.public_id)
    await subscribed()
    publish(other, succeeded=9)
    publish(one, succeeded=2)
    assert (await socket.until("batch:progress"))["id"] == one.public_id


async def test_a_finished_batch_may_be_asked_for(connect: Connect, alice: User, token: str) -> None:
    batch = await sync_to_async(make_batch)(alice, status="completed", succeeded=10, settled_at=Now())
    socket = await connect(f"token={token}&batch={batch.public_id}")
    assert (await socket.until("batch:completed"))["progress"] == 100


async def test_finished_batches_are_no_news(connect: Connect, alice: User, token: str) -> None:
    await sync_to_async(make_batch)(alice, status="completed", succeeded=10, settled_at=Now())
    assert await (await connect(f"token={token}")).quiet()


@pytest.mark.usefixtures("reads_often")
async def test_lost_messages_cost_freshness_only(connect: Connect, alice: User, token: str) -> None:
    batch = await sync_to_async(make_batch)(alice)
    socket = await connect(f"token={token}")
    await Batch.objects.filter(pk=batch.pk).aupdate(succeeded=6)
    await socket.until("batch:progress", succeeded=6)
    await Batch.objects.filter(pk=batch.pk).aupdate(
        succeeded=10, status="completed", completed_at=Now(), settled_at=Now()
    )
    await socket.until("batch:completed", succeeded=10)
    await Batch.objects.filter(pk=batch.pk).aupdate(succeeded=8, status="running", completed_at=None, settled_at=None)
    await socket.until("batch:progress", succeeded=8, status="running")


@pytest.mark.usefixtures("only_redis")
async def test_after_a_cut_connection_everybody_gets_a_fresh_snapshot(
    connect: Connect, alice: User, token: str
) -> None:
    batch = await sync_to_async(make_batch)(alice)
    socket = await connect(f"token={token}")
    await subscribed()
    await Batch.objects.filter(pk=batch.pk).aupdate(succeeded=7)
    await sync_to_async(redis_client().execute_command)("CLIENT", "KILL", "TYPE", "pubsub")
    await socket.until("batch:progress", succeeded=7)


@pytest.mark.usefixtures("only_redis")
async def test_a_frozen_redis_is_noticed_and_left(
    connect: Connect, alice: User, token: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(subscriber, "QUIET_SECONDS", 0.1)
    batch = await sync_to_async(make_batch)(alice)
    socket = await connect(f"token={token}")
    await subscribed()
    redis_client().client_pause(800)
    await Batch.objects.filter(pk=batch.pk).aupdate(succeeded=7)
    await until(lambda: "lost Redis" in caplog.text)
    await socket.until("batch:progress", succeeded=7)  # the snapshot after the new subscription


@pytest.mark.usefixtures("reads_often")
async def test_it_works_without_redis(connect: Connect, alice: User, token: str, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    batch = await sync_to_async(make_batch)(alice)
    socket = await connect(f"token={token}")
    await Batch.objects.filter(pk=batch.pk).aupdate(succeeded=6)
    await socket.until("batch:progress", succeeded=6)


@pytest.mark.usefixtures("only_redis")
async def test_a_storm_is_coalesced_and_ends_exact(connect: Connect, alice: User, token: str) -> None:
    batch = await sync_to_async(make_batch)(alice, operation="sms", total=500)
    socket = await connect(f"token={token}")
    await subscribed()
    started = time.monotonic()
    for count in range(1, 501):
        publish(batch, succeeded=count)
    frames = 0
    while True:
        frames += 1
        if (await socket.until("batch:progress"))["succeeded"] == 500:
            break
    assert frames <= 10 * (time.monotonic() - started) + 3


@pytest.mark.usefixtures("only_redis")
async def test_nonsense_on_the_channel_is_survived(connect: Connect, alice: User, token: str) -> None:
    batch = await sync_to_async(make_batch)(alice)
    socket = await connect(f"token={token}")
    await subscribed()
    for nonsense in ("{", "[]", "null", '{"event":"progress"}', '{"at":"x"}'):
        redis_client().publish(PROGRESS_CHANNEL, nonsense)
    publish(batch, succeeded=1)
    await socket.until("batch:progress", succeeded=1)


async def test_without_a_database_it_says_try_again(
    connect: Connect, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "grant_of_token", away)
    assert await (await connect(f"token={token}")).closed() == 1013


@pytest.mark.usefixtures("reads_often")
async def test_it_goes_on_when_the_database_comes_back(
    connect: Connect, alice: User, token: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    batch = await sync_to_async(make_batch)(alice)
    socket = await connect(f"token={token}")
    with monkeypatch.context() as context:
        context.setattr(snapshot, "watched", away)
        await until(lambda: "could not do its duty: OperationalError" in caplog.text)
    await Batch.objects.filter(pk=batch.pk).aupdate(succeeded=6)
    await socket.until("batch:progress", succeeded=6)


def away(*arguments: object) -> NoReturn:
    raise OperationalError


async def test_a_ping_is_answered_and_junk_is_not(connect: Connect, token: str) -> None:
    socket = await connect(f"token={token}")
    for junk in ("{", "[]", '"ping"', '{"type":"subscribe"}', "[" * 2000):
        await socket.say(junk)
    await socket.say(json.dumps({"type": "ping"}))
    await socket.until("pong")


async def test_a_big_message_ends_the_socket(connect: Connect, token: str) -> None:
    socket = await connect(f"token={token}")
    await socket.say("x" * 5000)
    assert await socket.closed() == 1009


async def test_the_relay_ends_with_its_last_watcher(connect: Connect, token: str) -> None:
    first, second = await connect(f"token={token}"), await connect(f"token={token}")
    await subscribed()
    assert len(current_relay()._tasks) == 4
    await first.close()
    assert current_relay()._tasks
    await second.close()
    await until(lambda: not current_relay()._tasks)


async def test_a_client_that_reads_slowly_keeps_one_frame_per_batch(connect: Connect, alice: User) -> None:
    from batches.live.consumers import ProgressConsumer
    from batches.live.frames import News

    consumer, read = ProgressConsumer(), asyncio.Event()
    sent: list[int] = []

    async def slow_send(text_data: str) -> None:
        sent.append(json.loads(text_data)["data"]["n"])
        await read.wait()

    consumer._pending, consumer._last_status, consumer._pongs = {}, {}, 0
    consumer._wake, consumer.send = asyncio.Event(), slow_send
    writer = asyncio.create_task(consumer._write())
    for number in range(1000):
        consumer.see(News(1, 1, False, {"n": number, "status": "running"}, None))
        await asyncio.sleep(0)
    assert len(consumer._pending) == 1
    read.set()
    await until(lambda: sent[-1] == 999)
    writer.cancel()
    assert len(sent) <= 3


@pytest.mark.usefixtures("only_redis")
async def test_the_more_are_told_the_longer_between_two_frames(
    connect: Connect, alice: User, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "TOLD_PER_SECOND", 4)
    batch = await sync_to_async(make_batch)(alice, operation="sms", total=500)
    sockets = [await connect(f"token={token}") for _ in range(4)]
    await subscribed()
    started, frames = time.monotonic(), 0
    for count in range(1, 16):
        publish(batch, succeeded=count)
        await asyncio.sleep(0.1)
    while (await sockets[0].until("batch:progress"))["succeeded"] < 15:
        frames += 1
    assert frames <= 1 * (time.monotonic() - started) + 2
    assert (await sockets[3].until("batch:progress", succeeded=15))["progress"] == 3

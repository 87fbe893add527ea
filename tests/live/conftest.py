"""Alice, Bob, their batches, and sockets that are asked for the frame one waits for."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.models import User
from django.utils import timezone

from batches.connections import PROGRESS_CHANNEL, redis_client
from batches.live import relay
from batches.models import ApiKey, Batch
from batches.progress import BatchFacts, Publisher
from batches.states import FINAL_BATCH_STATUSES, BatchStatus
from batchsite.asgi import application

DEADLINE_SECONDS = 10.0


def make_batch(owner: User, **changes: Any) -> Batch:
    """A running photo batch of ten items, as submit_batch would have stored it."""
    fields: dict[str, Any] = {
        "operation": "rate_photos",
        "channel": "ai",
        "provider": "openai-gpt-5",
        "subject": "shoot123",
        "name": "Wedding",
        "status": BatchStatus.RUNNING,
        "total": 10,
        "loaded_at": timezone.now(),
        "started_at": timezone.now(),
        **changes,
    }
    if fields["status"] in FINAL_BATCH_STATUSES:
        fields.setdefault("completed_at", timezone.now())
    return Batch.objects.create(owner=owner, **fields)


def publish(batch: Batch, event: str = "progress", **changes: Any) -> None:
    """Say it as a worker would, whatever the database has."""
    publisher = Publisher()
    publisher._latest[batch.pk, event] = (event, replace(BatchFacts.of(batch), **changes))
    publisher.flush()


class Socket:
    """A client of ``/ws``. (``channels.testing`` would do, but it cannot be imported without daphne.)"""

    def __init__(self, query: str = "", headers: list[tuple[bytes, bytes]] | None = None) -> None:
        self.communicator: Any = ApplicationCommunicator(  # type: ignore[no-untyped-call]
            application,
            {
                "type": "websocket",
                "path": "/ws",
                "query_string": query.encode(),
                "headers": headers or [],
                "subprotocols": [],
            },
        )

    async def open(self) -> Socket:
        await self.communicator.send_input({"type": "websocket.connect"})
        assert (await self.communicator.receive_output(DEADLINE_SECONDS))["type"] == "websocket.accept"
        return self

    async def close(self) -> None:
        if not self.communicator.future.done():
            await self.communicator.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.communicator.wait(DEADLINE_SECONDS)

    async def until(self, kind: str, **expected: Any) -> dict[str, Any]:
        """The data of the first frame of that type with those values; frames before it are passed over."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            message = await self.communicator.receive_output(left)
            assert message["type"] == "websocket.send", message
            frame = json.loads(message["text"])
            data = frame.get("data", {})
            if frame["type"] == kind and expected.items() <= data.items():
                return dict(data)
        raise AssertionError(f"no {kind} with {expected}")

    async def closed(self) -> int:
        """The code with which the server closes, after whatever frames."""
        while True:
            message = await self.communicator.receive_output(DEADLINE_SECONDS)
            if message["type"] == "websocket.close":
                return int(message["code"])

    async def quiet(self) -> bool:
        return bool(await self.communicator.receive_nothing(timeout=0.3))

    async def say(self, text: str) -> None:
        await self.communicator.send_input({"type": "websocket.receive", "text": text})


Connect = Callable[..., Awaitable[Socket]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Opens sockets and closes them after the test, so that the relay ends with its loop."""
    opened: list[Socket] = []

    async def open_socket(query: str = "", headers: list[tuple[bytes, bytes]] | None = None) -> Socket:
        socket = Socket(query, headers)
        opened.append(socket)
        return await socket.open()

    yield open_socket
    for socket in opened:
        await socket.close()


@pytest.fixture
def alice(transactional_db: None) -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def bob(transactional_db: None) -> User:
    return User.objects.create_user("bob")


@pytest.fixture
def token(alice: User) -> str:
    return ApiKey.issue(owner_id=alice.pk, name="laptop")[1]


@pytest.fixture
def only_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is not read again, so what arrives came through Redis."""
    monkeypatch.setattr(relay, "READ_SECONDS", 3600.0)


@pytest.fixture
def reads_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "READ_SECONDS", 0.05)


async def subscribed(at_least: int = 1) -> None:
    """Until the relay listens."""
    await until(
        lambda: dict(redis_client().pubsub_numsub(PROGRESS_CHANNEL)).get(PROGRESS_CHANNEL.encode(), 0) >= at_least
    )


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)

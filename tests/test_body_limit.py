"""A body that is too large is refused before it is read, or as soon as that much of it has come."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batches.api.callbacks import LARGEST_BODY
from batchsite.body_limit import limit_bodies

Sent = list[dict[str, Any]]


async def answer(scope: dict[str, Any], *pieces: bytes) -> Sent:
    """What an application that reads everything answers, or what is answered in its place."""
    sent: Sent = []
    waiting = list(pieces)

    async def receive() -> dict[str, Any]:
        piece = waiting.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(waiting)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        while pieces and (await receive())["more_body"]:
            pass
        await send({"type": "http.response.start", "status": 200})

    await limit_bodies(application)({"path": "/", "headers": [], **scope}, receive, send)
    return sent


def announced(length: bytes) -> dict[str, Any]:
    return {"type": "http", "headers": [(b"content-length", length)]}


async def test_too_large_a_body_gets_a_413_in_the_shape_of_every_error(settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 10
    sent = await answer(announced(b"11"))

    assert sent[0]["status"] == 413
    assert json.loads(sent[1]["body"])["details"]["errors"][0]["code"] == "body_too_large"


async def test_everything_else_passes(settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 10
    for scope in (
        announced(b"10"),
        announced(b"junk"),
        {"type": "http"},
        {"type": "websocket", "headers": [(b"content-length", b"11")]},
    ):
        assert (await answer(scope))[0]["status"] == 200


async def test_what_comes_unannounced_is_counted(settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 10
    assert (await answer({"type": "http"}, b"12345", b"67890"))[0]["status"] == 200
    sent = await answer({"type": "http"}, b"12345", b"67890", b"!", b"never read")
    assert [message.get("status") for message in sent] == [413, None]


@pytest.mark.parametrize("path", ["/api/receipts/twilio", "/api/inbound/plivo"])
async def test_callbacks_are_small(path: str) -> None:
    """Anybody may send one: nothing of it is kept on disk before its signature was looked at."""
    here = {"path": path}
    assert (await answer(announced(str(LARGEST_BODY).encode()) | here))[0]["status"] == 200
    assert (await answer(announced(str(LARGEST_BODY + 1).encode()) | here))[0]["status"] == 413
    assert (await answer({"type": "http"} | here, b"x" * LARGEST_BODY, b"x"))[0]["status"] == 413

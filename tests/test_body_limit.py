"""A body that announces too much is refused before it is read."""

from __future__ import annotations

import json
from typing import Any

from batchsite.body_limit import limit_bodies


async def answer(scope: dict[str, Any]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})

    await limit_bodies(application)(scope, None, send)
    return sent


async def test_too_large_a_body_gets_a_413_in_the_shape_of_every_error(settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 10
    sent = await answer({"type": "http", "headers": [(b"content-length", b"11")]})

    assert sent[0]["status"] == 413
    assert json.loads(sent[1]["body"])["details"]["errors"][0]["code"] == "body_too_large"


async def test_everything_else_passes(settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 10
    for scope in (
        {"type": "http", "headers": [(b"content-length", b"10")]},
        {"type": "http", "headers": [(b"content-length", b"junk")]},
        {"type": "http", "headers": []},
        {"type": "websocket", "headers": [(b"content-length", b"11")]},
    ):
        assert (await answer(scope))[0]["status"] == 200

"""Refuses a body that is too large before Django has spooled it to disk and before anybody signed in: by its announced
length, and where none is announced as soon as too much has come."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings

from batches.api.callbacks import LARGEST_BODY

Scope = dict[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]

CALLBACKS = ("/api/receipts/", "/api/inbound/")
"""What everybody may call, and only providers of messages do: a signature is checked when the body was read."""

_PROBLEM = {"path": "", "message": "The body is larger than is allowed.", "code": "body_too_large"}
_BODY = json.dumps({"success": False, "error": "The body is too large.", "details": {"errors": [_PROBLEM]}}).encode()


class TooMuch(Exception):
    """More came than is allowed."""


def limit_bodies(application: Application) -> Application:
    """Wrap an ASGI application: a larger body gets a 413, and what is left of it is not read."""

    async def limited(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        limit = LARGEST_BODY if scope["path"].startswith(CALLBACKS) else settings.MAX_UPLOAD_BYTES
        if _announced(scope) > limit:
            await _refuse(send)
            return
        try:
            # Django reads all of the body before it answers: nothing has been sent by then.
            await application(scope, _counting(receive, limit), send)
        except TooMuch:
            await _refuse(send)

    return limited


def _announced(scope: Scope) -> int:
    for name, value in scope.get("headers", ()):
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


def _counting(receive: Any, limit: int) -> Any:
    """``receive``, which raises :class:`TooMuch` with the piece that is too much."""
    received = 0

    async def counted() -> Any:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise TooMuch
        return message

    return counted


async def _refuse(send: Any) -> None:
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": _BODY})

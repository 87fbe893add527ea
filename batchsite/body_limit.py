"""Refuses a body by its announced length, before Django has spooled it to disk and before anybody signed in."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings

Scope = dict[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]

_PROBLEM = {"path": "", "message": "The body is larger than is allowed.", "code": "body_too_large"}
_BODY = json.dumps({"success": False, "error": "The body is too large.", "details": {"errors": [_PROBLEM]}}).encode()


def limit_bodies(application: Application) -> Application:
    """Wrap an ASGI application: a larger announced body gets a 413 and is not read."""

    async def limited(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and _announced(scope) > settings.MAX_UPLOAD_BYTES:
            headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 413, "headers": headers})
            await send({"type": "http.response.body", "body": _BODY})
            return
        await application(scope, receive, send)

    return limited


def _announced(scope: Scope) -> int:
    for name, value in scope.get("headers", ()):
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0

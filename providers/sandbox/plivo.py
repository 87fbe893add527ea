"""Plivo's messages."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

from providers.sandbox.wire import Answer, Call, Request

NUMBER = re.compile(r"\+?[1-9]\d{6,14}\Z")


class PlivoMessages:
    """Speaks Plivo."""

    name = "plivo"

    def read(self, request: Request) -> Call:
        call = Call(reference=request.header(b"x-client-reference"))
        try:
            body: dict[str, Any] = json.loads(request.body)
            call.to = body["dst"]
            usable = bool(
                NUMBER.match(body["dst"]) and body["text"] and (body.get("src") or body.get("powerpack_uuid"))
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            usable = False
        if not (request.header(b"authorization") or "").startswith("Basic "):
            call.refusal = self.error(401)
        elif not usable:
            call.refusal = self.error(400)
        return call

    async def act(self, call: Call) -> Answer:
        sent = {"message": "message(s) queued", "message_uuid": [str(uuid.uuid4())], "api_id": str(uuid.uuid4())}
        return Answer.of(202, sent)

    def error(self, status: int, *, permanent: bool = False, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
        return Answer.of(status, {"api_id": str(uuid.uuid4()), "error": "The sandbox was told to fail"}, *headers)

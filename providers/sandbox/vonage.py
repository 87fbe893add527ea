"""Vonage's Messages API, texts alone."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

from providers.sandbox.wire import Answer, Call, Request

NUMBER = re.compile(r"[1-9]\d{6,14}\Z")
LONGEST_TEXT = 3_200
CODES = {401: "unauthorized", 402: "1070", 429: "throttled"}


class VonageMessages:
    """Speaks Vonage."""

    name = "vonage"

    def read(self, request: Request) -> Call:
        call = Call()
        try:
            body: dict[str, Any] = json.loads(request.body)
            call.reference, call.to = body.get("client_ref"), f"+{body['to']}"
            usable = body["channel"] == "sms" and bool(NUMBER.match(body["to"])) and bool(body["from"])
            text = body["text"]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            call.refusal = self._refuse(422, "1150", "Invalid params")
            return call
        if not (request.header(b"authorization") or "").startswith(("Basic ", "Bearer ")):
            call.refusal = self.error(401)
        elif not usable or not text:
            call.refusal = self._refuse(422, "1150", "Invalid params")
        elif len(text) > LONGEST_TEXT:
            call.refusal = self._refuse(422, "1160", "Text too long")
        return call

    async def act(self, call: Call) -> Answer:
        return Answer.of(202, {"message_uuid": str(uuid.uuid4())})

    def error(self, status: int, *, permanent: bool = False, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
        code = "1240" if permanent else CODES.get(status, "1000")
        return self._refuse(status, code, "The sandbox was told to fail", headers)

    def _refuse(self, status: int, code: str, title: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
        problem = {
            "type": f"https://developer.vonage.com/api-errors/messages#{code}",
            "title": title,
            "detail": title,
            "instance": uuid.uuid4().hex,
        }
        return Answer.of(status, problem, *headers)

"""Plivo's messages."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

from providers.sandbox.receipts import Post, Receipts
from providers.sandbox.signing import plivo_post
from providers.sandbox.sms import secret_of
from providers.sandbox.wire import Answer, Call, Request

NUMBER = re.compile(r"\+?[1-9]\d{6,14}\Z")


class PlivoMessages:
    """Speaks Plivo."""

    name = "plivo"

    def __init__(self, receipts: Receipts) -> None:
        self._receipts = receipts

    def read(self, request: Request) -> Call:
        call = Call(reference=request.header(b"x-client-reference"))
        try:
            body: dict[str, Any] = json.loads(request.body)
            call.to = body["dst"]
            call.work = (secret_of(request.header(b"authorization")) or "", body)
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
        secret, message = call.work
        reference = str(uuid.uuid4())
        if url := message.get("url"):
            fate = self._receipts.settings.draw()
            code = fate.error_code or "50"
            await self._receipts.tell(
                fate, lambda state: _receipt(message, reference, state, url=url, secret=secret, code=code)
            )
        sent = {"message": "message(s) queued", "message_uuid": [reference], "api_id": str(uuid.uuid4())}
        return Answer.of(202, sent)

    def inbound(self, secret: str, url: str, sender: str, to: str, text: str) -> Post:
        """What a person sent, as it is posted."""
        numbers = {"From": sender.removeprefix("+"), "To": to.removeprefix("+")}
        return plivo_post(secret, url, {**numbers, "Text": text, "Type": "sms", "MessageUUID": str(uuid.uuid4())})

    def error(self, status: int, *, permanent: bool = False, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
        return Answer.of(status, {"api_id": str(uuid.uuid4()), "error": "The sandbox was told to fail"}, *headers)


def _receipt(message: dict[str, Any], reference: str, state: str, *, url: str, secret: str, code: str) -> Post:
    fields = {
        "MessageUUID": reference,
        "From": str(message.get("src", "")).removeprefix("+"),
        "To": message["dst"].removeprefix("+"),
        "Status": state,
        "ErrorCode": code if state == "undelivered" else "000",
        "Units": "1",
    }
    return plivo_post(secret, url, fields)

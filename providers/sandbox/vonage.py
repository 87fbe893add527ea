"""Vonage's Messages API, texts alone."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime
from typing import Any

from providers.sandbox.receipts import Post, Receipts
from providers.sandbox.signing import vonage_post
from providers.sandbox.sms import secret_of
from providers.sandbox.wire import Answer, Call, Request

NUMBER = re.compile(r"[1-9]\d{6,14}\Z")
LONGEST_TEXT = 3_200
STATES = {"sent": "submitted", "delivered": "delivered", "undelivered": "undeliverable"}
CODES = {401: "unauthorized", 402: "1070", 429: "throttled"}


class VonageMessages:
    """Speaks Vonage."""

    name = "vonage"

    def __init__(self, receipts: Receipts) -> None:
        self._receipts = receipts

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
        call.work = (secret_of(request.header(b"authorization")) or "", body)
        return call

    async def act(self, call: Call) -> Answer:
        secret, message = call.work
        reference = str(uuid.uuid4())
        if url := message.get("webhook_url"):
            fate = self._receipts.settings.draw()
            code = fate.error_code or "1260"
            await self._receipts.tell(
                fate, lambda state: _receipt(message, reference, state, url=url, secret=secret, code=code)
            )
        return Answer.of(202, {"message_uuid": reference})

    def inbound(self, secret: str, url: str, sender: str, to: str, text: str) -> Post:
        """What a person sent, as it is posted."""
        document = {
            "message_uuid": str(uuid.uuid4()),
            "from": sender.removeprefix("+"),
            "to": to.removeprefix("+"),
            "channel": "sms",
            "message_type": "text",
            "text": text,
            "timestamp": datetime.now(UTC).isoformat(),
        }
        return vonage_post(secret, url, document)

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


def _receipt(message: dict[str, Any], reference: str, state: str, *, url: str, secret: str, code: str) -> Post:
    document: dict[str, Any] = {
        "message_uuid": reference,
        "to": message["to"],
        "from": message["from"],
        "timestamp": datetime.now(UTC).isoformat(),
        "status": STATES[state],
        "channel": "sms",
        "client_ref": message.get("client_ref"),
    }
    if state == "undelivered":
        document["error"] = {"type": f"https://developer.vonage.com/api-errors/messages#{code}", "title": code}
    return vonage_post(secret, url, document)

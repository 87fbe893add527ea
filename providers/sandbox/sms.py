"""Twilio's Messages, with delivery receipts."""

from __future__ import annotations

import binascii
import re
import secrets
import time
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from providers.sandbox.receipts import Fate, Post, Receipts
from providers.sandbox.signing import twilio_post
from providers.sandbox.wire import Answer, Call, Request
from providers.sms.segments import segments

REMEMBERED_MESSAGES = 200_000
E164 = re.compile(r"\+[1-9]\d{6,14}\Z")
GENERIC_CODES = {400: 20001, 401: 20003, 403: 20403, 404: 20404, 405: 20004, 429: 20429, 500: 20500, 503: 20503}
# The numbers that Twilio's own test credentials answer with these errors.
MAGIC_NUMBERS = {
    "+15005550001": (21211, "The 'To' number is not a valid phone number."),
    "+15005550002": (21612, "The 'To' number is not reachable."),
    "+15005550003": (21408, "Permission to send to this region is missing."),
    "+15005550004": (21610, "The recipient has unsubscribed."),
    "+15005550009": (21614, "The 'To' number is not a mobile number."),
}


@dataclass(slots=True)
class Message:
    """One message that the sandbox took; it is "sent" and "delivered", or not, as time passes."""

    sid: str
    account: str
    to: str
    sender: str
    body: str
    created: float
    fate: Fate

    def status(self, now: float) -> str:
        return self.fate.state(now - self.created) or "queued"

    def as_dict(self, now: float) -> dict[str, Any]:
        return {
            "sid": self.sid,
            "account_sid": self.account,
            "to": self.to,
            "from": self.sender,
            "body": self.body,
            "status": self.status(now),
            "num_segments": str(segments(self.body).number),
            "direction": "outbound-api",
            "price": None,
            "error_code": None,
            "error_message": None,
            "date_created": formatdate(self.created),
            "api_version": "2010-04-01",
            "uri": f"/2010-04-01/Accounts/{self.account}/Messages/{self.sid}.json",
        }


class Sms:
    """Speaks Twilio."""

    name = "twilio"

    def __init__(self, receipts: Receipts) -> None:
        self._messages: dict[str, Message] = {}
        self._receipts = receipts
        receipts.forgotten_with.append(self._messages.clear)

    def read(self, request: Request) -> Call:
        call = Call(reference=request.header(b"x-client-reference"))
        parts = request.path.strip("/").split("/")
        token = secret_of(request.header(b"authorization"))
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        call.to = form.get("To")
        call.reference = call.reference or _reference_in(form.get("StatusCallback"))
        account = parts[2] if len(parts) > 3 else ""
        if token is None:
            call.refusal = self._refuse(401, 20003, "Authenticate")
        elif request.method == "GET" and len(parts) == 5:
            call.acts = False
            call.work = parts[4].removesuffix(".json")
        elif request.method == "GET" and len(parts) == 4 and parts[3] == "Messages.json":
            call.acts = False
            call.to = request.query.get("To")
            call.work = (account, request.query)
        elif request.method == "POST" and len(parts) == 4 and parts[3] == "Messages.json":
            call.refusal = self._problem(form)
            call.work = (account, token, form)
        else:
            call.refusal = self.error(404)
        return call

    def _problem(self, form: dict[str, str]) -> Answer | None:
        to, body = form.get("To", ""), form.get("Body", "")
        if not (form.get("From") or form.get("MessagingServiceSid")):
            return self._refuse(400, 21603, "A 'From' phone number is required.")
        if not to:
            return self._refuse(400, 21604, "A 'To' phone number is required.")
        if not E164.match(to):
            return self._refuse(400, 21211, f"The 'To' number {to} is not a valid phone number.")
        if to in MAGIC_NUMBERS:
            return self._refuse(400, *MAGIC_NUMBERS[to])
        if not body:
            return self._refuse(400, 21602, "Message body is required.")
        if len(body) > 1600:
            return self._refuse(400, 21617, "The message body exceeds 1600 characters.")
        return None

    async def act(self, call: Call) -> Answer:
        now = time.time()
        if isinstance(call.work, str):
            known = self._messages.get(call.work)
            return self.error(404) if known is None else Answer.of(200, known.as_dict(now))
        if not call.acts:
            account, query = call.work
            return self._list(account, query, now)
        account, token, form = call.work
        sender = form.get("From") or form["MessagingServiceSid"]
        fate = self._receipts.settings.draw()
        message = Message("SM" + secrets.token_hex(16), account, form["To"], sender, form["Body"], now, fate)
        if len(self._messages) >= REMEMBERED_MESSAGES:
            del self._messages[next(iter(self._messages))]
        self._messages[message.sid] = message
        if url := form.get("StatusCallback"):
            await self._receipts.tell(fate, lambda state: _receipt(message, state, url, token))
        return Answer.of(201, message.as_dict(now))

    def _list(self, account: str, query: Mapping[str, str], now: float) -> Answer:
        """The newest first, of one page."""
        to, day = query.get("To"), query.get("DateSent>", "")
        found = [
            message.as_dict(now)
            for message in reversed(self._messages.values())
            if message.account == account
            and message.to == (to or message.to)
            and time.strftime("%Y-%m-%d", time.gmtime(message.created)) >= day
        ]
        size = query.get("PageSize", "50")
        return Answer.of(200, {"messages": found[: int(size) if size.isdecimal() else 50], "next_page_uri": None})

    def inbound(self, secret: str, url: str, sender: str, to: str, text: str) -> Post:
        """What a person sent, as it is posted."""
        sid = "SM" + secrets.token_hex(16)
        fields = {"MessageSid": sid, "SmsSid": sid, "From": sender, "To": to, "Body": text, "NumMedia": "0"}
        return twilio_post(secret, url, fields)

    def error(self, status: int, *, permanent: bool = False, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
        code = 21614 if permanent else GENERIC_CODES.get(status, 20500 if status >= 500 else 20001)
        return self._refuse(status, code, "The sandbox was told to fail.", headers)

    def _refuse(self, status: int, code: int, message: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
        more = f"https://www.twilio.com/docs/errors/{code}"
        return Answer.of(status, {"code": code, "message": message, "more_info": more, "status": status}, *headers)


def _receipt(message: Message, state: str, url: str, token: str) -> Post:
    fields = {
        "MessageSid": message.sid,
        "SmsSid": message.sid,
        "MessageStatus": state,
        "SmsStatus": state,
        "AccountSid": message.account,
        "From": message.sender,
        "To": message.to,
        "ApiVersion": "2010-04-01",
    }
    code = message.fate.error_code or "30003"
    return twilio_post(token, url, fields | ({"ErrorCode": code} if state == "undelivered" else {}))


def secret_of(authorization: str | None) -> str | None:
    """The secret of a Basic header, whatever it is; None where there is none."""
    kind, _, credentials = (authorization or "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        return b64decode(credentials, validate=True).decode().partition(":")[2] or None
    except (binascii.Error, UnicodeDecodeError):
        return None


def _reference_in(callback: str | None) -> str | None:
    if not callback:
        return None
    try:
        return parse_qs(urlsplit(callback).query).get("reference", [None])[0]
    except ValueError:
        return None

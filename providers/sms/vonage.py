"""Vonage's Messages API, texts alone."""

from __future__ import annotations

from typing import Any

import orjson

from providers.base import ErrorCategory, SentMessage, TextMessage
from providers.http import Verdict, refined
from providers.sms.adapter import SmsAdapter
from providers.sms.segments import segments

# The numbers at the end of its problems' addresses, in our words: its details repeat the number.
PERMANENT_CODES = {
    "1020": (ErrorCategory.INVALID_REQUEST, "a parameter is not valid"),
    "1050": (ErrorCategory.INVALID_REQUEST, "the recipient is barred"),
    "1070": (ErrorCategory.BUDGET, "the account has no credit"),
    "1080": (ErrorCategory.AUTHENTICATION, "the account is not active"),
    "1120": (ErrorCategory.INVALID_REQUEST, "the sender is not valid"),
    "1150": (ErrorCategory.INVALID_REQUEST, "the message has no content that can be sent"),
    "1160": (ErrorCategory.INVALID_REQUEST, "the text is too long"),
    "1240": (ErrorCategory.INVALID_REQUEST, "the recipient cannot be reached"),
    "1250": (ErrorCategory.INVALID_REQUEST, "the recipient is not a phone number"),
    "1330": (ErrorCategory.INVALID_REQUEST, "the recipient cannot be reached"),
}


class Vonage(SmsAdapter):
    """``account``: the API key; ``key``: its secret."""

    def send(self, message: TextMessage) -> SentMessage:
        """Make the call. Raises :class:`ProviderError`."""
        body = {
            "channel": "sms",
            "message_type": "text",
            "to": message.to.removeprefix("+"),
            "from": self._sender.removeprefix("+"),
            "text": message.body,
            "client_ref": message.reference[:100],
            "sms": {"encoding_type": "auto"},
        }
        if self._status_callback:
            body["webhook_url"] = self._status_callback
        response = self._http.post(
            "/v1/messages", orjson.dumps(body), headers={}, timeout_seconds=message.timeout_seconds
        )
        try:
            reference = str(response.parsed["message_uuid"])
        except (AttributeError, KeyError, TypeError):
            raise self._http.invalid_response(response, "a body that is no message") from None
        return SentMessage(provider_reference=reference, status="submitted", segments=segments(message.body).number)

    def refine(self, status: int, body: Any, verdict: Verdict) -> Verdict:
        """Problem documents name themselves by an address such as ``https://.../messages#1120``."""
        kind = body.get("type") if isinstance(body, dict) else None
        code = kind.rpartition("#")[2] if isinstance(kind, str) and "#" in kind else None
        if code is None:
            return verdict
        if status < 500 and code in PERMANENT_CODES:
            category, words = PERMANENT_CODES[code]
            return refined(verdict, code, category=category, words=words, permanent=True, surely_not_sent=True)
        return refined(verdict, code)

"""Twilio's Messages."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from providers.base import ErrorCategory, SentMessage, TextMessage
from providers.http import Verdict, refined
from providers.sms.adapter import SmsAdapter

# Twilio's own codes, in our words: its messages repeat the number.
PERMANENT_CODES = {
    20003: (ErrorCategory.AUTHENTICATION, "the account or its key is wrong"),
    20005: (ErrorCategory.AUTHENTICATION, "the account is not active"),
    90010: (ErrorCategory.AUTHENTICATION, "the account is not active"),
    20404: (ErrorCategory.NOT_FOUND, "the account or resource does not exist"),
    21211: (ErrorCategory.INVALID_REQUEST, "the recipient is not a phone number"),
    21212: (ErrorCategory.INVALID_REQUEST, "the sender is not valid"),
    21214: (ErrorCategory.INVALID_REQUEST, "the recipient cannot be reached"),
    21217: (ErrorCategory.INVALID_REQUEST, "the recipient is not a phone number"),
    21408: (ErrorCategory.INVALID_REQUEST, "the account may not send to this region"),
    21602: (ErrorCategory.INVALID_REQUEST, "the text is empty"),
    21603: (ErrorCategory.INVALID_REQUEST, "the sender is missing"),
    21604: (ErrorCategory.INVALID_REQUEST, "the recipient is missing"),
    21606: (ErrorCategory.INVALID_REQUEST, "the sender cannot send messages"),
    21607: (ErrorCategory.INVALID_REQUEST, "the sender cannot send messages"),
    21608: (ErrorCategory.INVALID_REQUEST, "the recipient is not verified for this trial account"),
    21609: (ErrorCategory.INVALID_REQUEST, "the status callback is not a valid URL"),
    21610: (ErrorCategory.CONTENT, "the recipient has opted out"),
    21612: (ErrorCategory.INVALID_REQUEST, "the recipient cannot be reached from this sender"),
    21614: (ErrorCategory.INVALID_REQUEST, "the recipient is not a mobile number"),
    21617: (ErrorCategory.INVALID_REQUEST, "the text is too long"),
    21620: (ErrorCategory.INVALID_REQUEST, "the media address is not valid"),
    21635: (ErrorCategory.INVALID_REQUEST, "the recipient is a landline"),
    21703: (ErrorCategory.INVALID_REQUEST, "the messaging service has no sender"),
    21704: (ErrorCategory.INVALID_REQUEST, "the messaging service has no sender"),
    21705: (ErrorCategory.INVALID_REQUEST, "the messaging service is not valid"),
}
RETRYABLE_CODES = {
    14107: (ErrorCategory.RATE_LIMIT, "too many messages at once"),
    20429: (ErrorCategory.RATE_LIMIT, "too many requests"),
    21611: (ErrorCategory.RATE_LIMIT, "the sender's queue is full"),
}


class Twilio(SmsAdapter):
    """``account``: the account's SID; ``key``: its auth token; ``sender``: a number, or a messaging service's SID."""

    content_type: ClassVar[str] = "application/x-www-form-urlencoded"

    def send(self, message: TextMessage) -> SentMessage:
        """Make the call. Raises :class:`ProviderError`."""
        sender = "MessagingServiceSid" if self._sender.startswith("MG") else "From"
        form = {"To": message.to, "Body": message.body, sender: self._sender}
        if callback := self.callback(message):
            form["StatusCallback"] = callback
        response = self._http.post(
            f"/2010-04-01/Accounts/{quote(self._account, safe='')}/Messages.json",
            urlencode(form).encode(),
            headers={"X-Client-Reference": message.reference},
            timeout_seconds=message.timeout_seconds,
        )
        try:
            return SentMessage(
                provider_reference=str(response.parsed["sid"]),
                status=str(response.parsed["status"]),
                segments=max(1, int(response.parsed.get("num_segments") or 1)),
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            raise self._http.invalid_response(response, "a body that is no message") from None

    def refine(self, status: int, body: Any, verdict: Verdict) -> Verdict:
        """Its codes are numbers."""
        code = body.get("code") if isinstance(body, dict) else None
        if not isinstance(code, int):
            return verdict
        if status >= 500:
            # A code does not make a failing server's word definite: the message may have been sent.
            return refined(verdict, code)
        if code in PERMANENT_CODES:
            category, words = PERMANENT_CODES[code]
            return refined(verdict, code, category=category, words=words, permanent=True, surely_not_sent=True)
        if code in RETRYABLE_CODES:
            category, words = RETRYABLE_CODES[code]
            return refined(verdict, code, category=category, words=words, permanent=False, surely_not_sent=True)
        if 35100 <= code < 35200:
            return refined(verdict, code, words="the schedule is not valid", permanent=True, surely_not_sent=True)
        return refined(verdict, code)

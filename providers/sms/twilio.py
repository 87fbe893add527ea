"""Twilio's Messages."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from providers.base import ErrorCategory, SentMessage, TextMessage
from providers.http import Verdict, refined
from providers.sms.adapter import DeliveryFault, SmsAdapter
from providers.sms.callbacks import Callback, DeliveryState, Inbound, Receipt, SentBefore
from providers.sms.segments import segments
from providers.sms.signatures import is_same, twilio_signature, with_and_without_port

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
OF_PROVIDER = frozenset({20404, 21212, 21408, 21603, 21606, 21607, 21608, 21612, 21703, 21704, 21705})
"""Those of them that are about the account, its sender or its routes: another provider may take the message."""
RETRYABLE_CODES = {
    14107: (ErrorCategory.RATE_LIMIT, "too many messages at once"),
    20429: (ErrorCategory.RATE_LIMIT, "too many requests"),
    21611: (ErrorCategory.RATE_LIMIT, "the sender's queue is full"),
}

# Of messages that were taken. Which of them pass is our judgement, as is their category.
DELIVERY_FAULTS = {
    "30001": DeliveryFault(ErrorCategory.RATE_LIMIT, "the sender's queue was full", passing=True),
    "30002": DeliveryFault(ErrorCategory.AUTHENTICATION, "the account was suspended"),
    "30003": DeliveryFault(ErrorCategory.NETWORK, "the phone is off or cannot be reached", passing=True),
    "30004": DeliveryFault(ErrorCategory.CONTENT, "the recipient or the carrier blocks the message"),
    "30005": DeliveryFault(ErrorCategory.INVALID_REQUEST, "the number is not in use"),
    "30006": DeliveryFault(ErrorCategory.INVALID_REQUEST, "the recipient is a landline or cannot be reached"),
    "30007": DeliveryFault(ErrorCategory.CONTENT, "the carrier filtered the message"),
    "30008": DeliveryFault(ErrorCategory.SERVER, "the carrier gave no reason", passing=True),
    "30017": DeliveryFault(ErrorCategory.NETWORK, "the carrier's network is congested", passing=True),
    "30018": DeliveryFault(ErrorCategory.INVALID_REQUEST, "the carrier wants the sender registered"),
    "30020": DeliveryFault(ErrorCategory.SERVER, "an internal failure", passing=True),
    "30021": DeliveryFault(ErrorCategory.SERVER, "an internal failure", passing=True),
    "30022": DeliveryFault(ErrorCategory.RATE_LIMIT, "the carrier wants messages sent more slowly", passing=True),
    "30023": DeliveryFault(ErrorCategory.RATE_LIMIT, "the carrier's daily limit is reached", passing=True),
    "30024": DeliveryFault(ErrorCategory.INVALID_REQUEST, "the sender is not set up at the carrier"),
    "30027": DeliveryFault(ErrorCategory.RATE_LIMIT, "the carrier's daily limit is reached", passing=True),
    "30032": DeliveryFault(ErrorCategory.INVALID_REQUEST, "the toll-free sender is not verified"),
    "30034": DeliveryFault(ErrorCategory.INVALID_REQUEST, "the sender is not registered"),
    "30410": DeliveryFault(ErrorCategory.TIMEOUT, "the carrier did not answer; it may have arrived"),
    "30450": DeliveryFault(ErrorCategory.RATE_LIMIT, "the carrier refuses messages for a long time", passing=True),
    "21610": DeliveryFault(ErrorCategory.CONTENT, "the recipient has opted out"),
}
FOUND_AT_MOST = 100
MOST_SEGMENTS = 255
"""The parts of one text are counted in one byte."""
STATE = re.compile(r"[a-z_]{1,32}")
# A signature of the account's auth token is SHA-1; of a shared key of its own the header names the digest.
DIGESTS = {"HMAC_SHA1": "sha1", "HMAC_SHA256": "sha256"}


class Twilio(SmsAdapter):
    """``account``: the account's SID; ``key``: its auth token; ``sender``: a number, or a messaging service's SID."""

    content_type: ClassVar[str] = "application/x-www-form-urlencoded"
    deliveries: ClassVar[Mapping[str, DeliveryState]] = {
        "sent": DeliveryState.SENT,
        "partially_delivered": DeliveryState.SENT,
        "delivered": DeliveryState.DELIVERED,
        "read": DeliveryState.DELIVERED,
        "undelivered": DeliveryState.UNDELIVERED,
        "failed": DeliveryState.UNDELIVERED,
        "canceled": DeliveryState.UNDELIVERED,
    }
    validity_seconds: ClassVar[range] = range(1, 36_001)
    delivery_faults: ClassVar[Mapping[str, DeliveryFault]] = DELIVERY_FAULTS

    def send(self, message: TextMessage) -> SentMessage:
        """Make the call. Raises :class:`ProviderError`."""
        sender = "MessagingServiceSid" if self._sender.startswith("MG") else "From"
        form = {"To": message.to, "Body": message.body, sender: self._sender}
        if callback := self.callback(message):
            form["StatusCallback"] = callback
        if validity := self.validity(message):
            form["ValidityPeriod"] = str(validity)
        response = self._http.post(
            f"/2010-04-01/Accounts/{quote(self._account, safe='')}/Messages.json",
            urlencode(form).encode(),
            headers={"X-Client-Reference": message.reference},
            timeout_seconds=message.timeout_seconds,
        )
        answer = response.parsed if isinstance(response.parsed, dict) else {}
        status = answer.get("status")
        return SentMessage(
            provider_reference=self.reference_in(response, answer.get("sid")),
            status=status if isinstance(status, str) and STATE.fullmatch(status) else "accepted",
            segments=_segments_told(answer.get("num_segments")) or segments(message.body).number,
        )

    finds: ClassVar[bool] = True

    def find(self, to: str, since: float, timeout_seconds: float) -> list[SentBefore]:
        """Twilio's list is by day; of a page it is enough: nobody gets a hundred messages in one."""
        day = datetime.fromtimestamp(since, UTC).date()
        query = urlencode({"To": to, "DateSent>": day.isoformat(), "PageSize": FOUND_AT_MOST})
        path = f"{self._lists.prefix}/2010-04-01/Accounts/{quote(self._account, safe='')}/Messages.json?{query}"
        response = self._lists.call("GET", path, timeout_seconds=timeout_seconds)
        try:
            return [
                SentBefore(
                    provider_reference=str(one["sid"]),
                    body=str(one["body"]),
                    status=str(one["status"]),
                    created_at=parsedate_to_datetime(one["date_created"]).timestamp(),
                )
                for one in response.parsed["messages"]
                if str(one["direction"]).startswith("outbound")
            ]
        except (AttributeError, KeyError, TypeError, ValueError):
            raise self._lists.invalid_response(response, "a body that is no list of messages") from None

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
            own = code in OF_PROVIDER
            return refined(
                verdict, code, category=category, words=words, permanent=True, surely_not_sent=True, of_provider=own
            )
        if code in RETRYABLE_CODES:
            category, words = RETRYABLE_CODES[code]
            return refined(verdict, code, category=category, words=words, permanent=False, surely_not_sent=True)
        if 35100 <= code < 35200:
            return refined(verdict, code, words="the schedule is not valid", permanent=True, surely_not_sent=True)
        return refined(verdict, code)

    def is_genuine(self, callback: Callback) -> bool:
        """By the auth token, or by the secret of a shared key where the request names one."""
        settings = callback.headers.get("x-twilio-webhooks-signature-settings", "")
        named = dict(part.strip().partition("=")[::2] for part in settings.split(","))
        digest = DIGESTS.get(named.get("algorithm", "HMAC_SHA1").upper())
        secret = self._secret if settings and self._secret else self._key
        given = callback.headers.get("x-twilio-signature", "")
        if digest is None or not given or not self._is_body_signed(callback):
            return False
        return any(
            is_same(twilio_signature(secret, url, callback.form, digest), given)
            for url in with_and_without_port(callback.url)
        )

    @staticmethod
    def _is_body_signed(callback: Callback) -> bool:
        """A form is signed field by field, any other body by its digest in the address."""
        if callback.form or not callback.body:
            return True
        return is_same(hashlib.sha256(callback.body).hexdigest(), dict(callback.query).get("bodySHA256", ""))

    def read_receipt(self, callback: Callback) -> Receipt:
        """``MessageSid``, ``MessageStatus``, ``ErrorCode``; our reference comes back in the address."""
        return Receipt.read(
            provider_reference=callback.text("MessageSid", "SmsSid"),
            status=callback.text("MessageStatus", "SmsStatus"),
            reference=callback.text("reference"),
            error_code=callback.text("ErrorCode"),
        )

    def read_inbound(self, callback: Callback) -> Inbound:
        """``OptOutType`` says what Twilio's own opt-out took a word for, in whatever language."""
        return Inbound.read(sender=callback.text("From"), text=callback.text("OptOutType", "Body"))


def _segments_told(number: Any) -> int:
    """What Twilio bills; 0 where it does not say yet (a messaging service counts later), or says what none can have."""
    try:
        told = int(number)
    except (TypeError, ValueError, OverflowError):
        return 0
    return told if 0 < told <= MOST_SEGMENTS else 0

"""Vonage's Messages API, texts alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import orjson

from providers.base import ErrorCategory, SentMessage, TextMessage
from providers.http import Verdict, refined
from providers.sms.adapter import DeliveryFault, SmsAdapter
from providers.sms.callbacks import Callback, DeliveryState, Inbound, Receipt
from providers.sms.segments import segments
from providers.sms.signatures import DIGESTS_BY_LENGTH, is_same, is_signed_token, vonage_signature

# The numbers at the end of its problems' addresses, in our words: its details repeat the number.
PERMANENT_CODES = {
    "1020": (ErrorCategory.INVALID_REQUEST, "a parameter is not valid"),
    "1050": (ErrorCategory.INVALID_REQUEST, "the recipient is barred"),
    "1060": (ErrorCategory.AUTHENTICATION, "the account is barred"),
    "1070": (ErrorCategory.BUDGET, "the account has no credit"),
    "1080": (ErrorCategory.AUTHENTICATION, "the account is not active"),
    "1120": (ErrorCategory.INVALID_REQUEST, "the sender is not valid"),
    "1140": (ErrorCategory.INVALID_REQUEST, "the account may not use this facility"),
    "1150": (ErrorCategory.INVALID_REQUEST, "the message has no content that can be sent"),
    "1160": (ErrorCategory.INVALID_REQUEST, "the text is too long"),
    "1240": (ErrorCategory.INVALID_REQUEST, "the recipient cannot be reached"),
    "1250": (ErrorCategory.INVALID_REQUEST, "the recipient is not a phone number"),
    "1330": (ErrorCategory.INVALID_REQUEST, "the recipient cannot be reached"),
}

OF_PROVIDER = frozenset({"1120", "1140"})
"""Those of them that are about the account or its sender: another provider may take the message."""

# Of messages that were taken: the short codes of the older receipts, and the numbers above.
DELIVERY_FAULTS = {
    "1": DeliveryFault(ErrorCategory.SERVER, "the carrier gave no reason"),
    "2": DeliveryFault(ErrorCategory.NETWORK, "the phone is off or cannot be reached", passing=True),
    "3": DeliveryFault(ErrorCategory.INVALID_REQUEST, "the number is not in use"),
    "4": DeliveryFault(ErrorCategory.INVALID_REQUEST, "the recipient is barred"),
    "5": DeliveryFault(ErrorCategory.INVALID_REQUEST, "the number has moved to another carrier"),
    "6": DeliveryFault(ErrorCategory.CONTENT, "the message was taken for spam"),
    "7": DeliveryFault(ErrorCategory.NETWORK, "the phone was busy", passing=True),
    "8": DeliveryFault(ErrorCategory.NETWORK, "the carrier's network failed", passing=True),
    "9": DeliveryFault(ErrorCategory.CONTENT, "the recipient has opted out"),
    "10": DeliveryFault(ErrorCategory.INVALID_REQUEST, "the message is not valid"),
    "11": DeliveryFault(ErrorCategory.INVALID_REQUEST, "the carrier has no route to the recipient"),
    "12": DeliveryFault(ErrorCategory.INVALID_REQUEST, "the recipient cannot be reached"),
    "13": DeliveryFault(ErrorCategory.CONTENT, "the recipient is too young for the message"),
    "14": DeliveryFault(ErrorCategory.INVALID_REQUEST, "the carrier bars the recipient from such messages"),
    **{code: DeliveryFault(category, words) for code, (category, words) in PERMANENT_CODES.items()},
}


class Vonage(SmsAdapter):
    """``account``: the API key; ``key``: its secret. Callbacks are signed with a secret of their own, which is told
    in ``signature_secret``; the sandbox knows but one."""

    deliveries: ClassVar[Mapping[str, DeliveryState]] = {
        "submitted": DeliveryState.SENT,
        "accepted": DeliveryState.SENT,
        "buffered": DeliveryState.SENT,
        "delivered": DeliveryState.DELIVERED,
        "read": DeliveryState.DELIVERED,
        "rejected": DeliveryState.UNDELIVERED,
        "undeliverable": DeliveryState.UNDELIVERED,
        "expired": DeliveryState.UNDELIVERED,
        "failed": DeliveryState.UNDELIVERED,
    }
    validity_seconds: ClassVar[range] = range(20, 604_801)
    delivery_faults: ClassVar[Mapping[str, DeliveryFault]] = DELIVERY_FAULTS

    def send(self, message: TextMessage) -> SentMessage:
        """Make the call. Raises :class:`ProviderError`."""
        body: dict[str, Any] = {
            "channel": "sms",
            "message_type": "text",
            "to": message.to.removeprefix("+"),
            "from": self._sender.removeprefix("+"),
            "text": message.body,
            "client_ref": message.reference[:100],
            "sms": {"encoding_type": "auto"},
        }
        if self.receipts_url:
            body["webhook_url"] = self.receipts_url
        if validity := self.validity(message):
            body["ttl"] = validity
        response = self._http.post(
            "/v1/messages", orjson.dumps(body), headers={}, timeout_seconds=message.timeout_seconds
        )
        answer = response.parsed if isinstance(response.parsed, dict) else {}
        reference = self.reference_in(response, answer.get("message_uuid"))
        return SentMessage(provider_reference=reference, status="submitted", segments=segments(message.body).number)

    def refine(self, status: int, body: Any, verdict: Verdict) -> Verdict:
        """Problem documents name themselves by an address such as ``https://.../messages#1120``."""
        code = _code_of(body)
        if not code:
            return verdict
        if status < 500 and code in PERMANENT_CODES:
            category, words = PERMANENT_CODES[code]
            own = code in OF_PROVIDER
            return refined(
                verdict, code, category=category, words=words, permanent=True, surely_not_sent=True, of_provider=own
            )
        return refined(verdict, code)

    @property
    def _signing_secret(self) -> str:
        return self._secret or (self._key if self.uses_sandbox else "")

    @property
    def can_check_signatures(self) -> bool:
        """Only with the secret that it signs with."""
        return bool(self._signing_secret)

    def is_genuine(self, callback: Callback) -> bool:
        """By the token of the Messages API, or by the ``sig`` among the fields of older receipts."""
        scheme, _, token = callback.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:  # it signs the body, and nothing binds an address to it
            return bool(callback.body) and is_signed_token(token.strip(), self._signing_secret, callback.body)
        fields = {name: str(value) for name, value in callback.fields.items()}
        given = fields.get("sig", "").lower()
        digest = DIGESTS_BY_LENGTH.get(len(given))
        return digest is not None and is_same(vonage_signature(self._signing_secret, fields, digest), given)

    def read_receipt(self, callback: Callback) -> Receipt:
        """Both kinds: of the Messages API, and of the older one, whose names are spelled otherwise."""
        return Receipt.read(
            provider_reference=callback.text("message_uuid", "messageId", "message-id"),
            status=callback.text("status"),
            reference=callback.text("client_ref", "client-ref"),
            error_code=_code_of(callback.fields.get("error")) or callback.text("err-code"),
        )

    def read_inbound(self, callback: Callback) -> Inbound:
        """``from``, which was an object once, and ``msisdn`` of the older API."""
        sender = callback.fields.get("from")
        number = str(sender.get("number", "")) if isinstance(sender, dict) else callback.text("from", "msisdn")
        return Inbound.read(sender=number, text=callback.text("text"))


def _code_of(problem: Any) -> str:
    """The number at the end of the address by which a problem names itself."""
    kind = problem.get("type") if isinstance(problem, dict) else None
    return kind.rpartition("#")[2] if isinstance(kind, str) and "#" in kind else ""

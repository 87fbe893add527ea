"""Plivo's messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

import orjson

from providers.base import ErrorCategory, SentMessage, TextMessage
from providers.sms.adapter import DeliveryFault, SmsAdapter
from providers.sms.callbacks import Callback, DeliveryState, Inbound, Receipt
from providers.sms.segments import segments
from providers.sms.signatures import is_same, plivo_signature_v2, plivo_signature_v3


class Plivo(SmsAdapter):
    """``account``: the auth id; ``key``: its token."""

    deliveries: ClassVar[Mapping[str, DeliveryState]] = {
        "sent": DeliveryState.SENT,
        "delivered": DeliveryState.DELIVERED,
        "read": DeliveryState.DELIVERED,
        "undelivered": DeliveryState.UNDELIVERED,
        "failed": DeliveryState.UNDELIVERED,
        "rejected": DeliveryState.UNDELIVERED,
    }
    validity_seconds: ClassVar[range] = range(5, 10_801)
    delivery_faults: ClassVar[Mapping[str, DeliveryFault]] = {
        "10": DeliveryFault(ErrorCategory.INVALID_REQUEST, "the message is not valid"),
        "20": DeliveryFault(ErrorCategory.NETWORK, "the carrier's network failed", passing=True),
        "30": DeliveryFault(ErrorCategory.CONTENT, "the message was taken for spam"),
        "40": DeliveryFault(ErrorCategory.INVALID_REQUEST, "the sender is not valid"),
        "50": DeliveryFault(ErrorCategory.INVALID_REQUEST, "the recipient is not valid"),
        "450": DeliveryFault(ErrorCategory.INVALID_REQUEST, "the recipient's country is barred"),
    }

    def send(self, message: TextMessage) -> SentMessage:
        """Make the call. Raises :class:`ProviderError`. Our reference travels in the address of its receipts."""
        body: dict[str, Any] = {"src": self._sender, "dst": message.to, "text": message.body, "type": "sms"}
        if callback := self.callback(message):
            body |= {"url": callback, "method": "POST"}
        if validity := self.validity(message):
            body["message_expiry"] = validity
        response = self._http.post(
            f"/v1/Account/{quote(self._account, safe='')}/Message/",
            orjson.dumps(body),
            headers={"X-Client-Reference": message.reference},
            timeout_seconds=message.timeout_seconds,
        )
        uuids = response.parsed.get("message_uuid") if isinstance(response.parsed, dict) else None
        # One recipient, one id; some answers hold it bare.
        uuid = uuids[0] if isinstance(uuids, list) and len(uuids) == 1 else uuids
        reference = self.reference_in(response, uuid)
        return SentMessage(provider_reference=reference, status="queued", segments=segments(message.body).number)

    def is_genuine(self, callback: Callback) -> bool:
        """By either of its signatures: which of them it puts on messages is not written down."""
        if callback.body and not callback.form:
            return False  # they sign no body but a form
        v2, v3 = (callback.headers.get(f"x-plivo-signature-v{number}", "") for number in (2, 3))
        nonce_2, nonce_3 = (callback.headers.get(f"x-plivo-signature-v{number}-nonce", "") for number in (2, 3))
        expected = []
        if v3 and nonce_3:
            expected.append((plivo_signature_v3(self._key, callback.url, callback.form, nonce_3), v3))
        if v2 and nonce_2:
            expected.append((plivo_signature_v2(self._key, callback.url, nonce_2), v2))
        return any(is_same(computed, one.strip()) for computed, given in expected for one in given.split(","))

    def read_receipt(self, callback: Callback) -> Receipt:
        """Of a message in several parts each has an id of its own, and that of the whole beside it."""
        return Receipt.read(
            provider_reference=callback.text("ParentMessageUUID", "MessageUUID"),
            status=callback.text("Status"),
            reference=callback.text("reference"),
            error_code=callback.text("ErrorCode"),
        )

    def read_inbound(self, callback: Callback) -> Inbound:
        """``From`` has no plus sign."""
        return Inbound.read(sender=callback.text("From"), text=callback.text("Text"))

"""Plivo's messages."""

from __future__ import annotations

from urllib.parse import quote

import orjson

from providers.base import SentMessage, TextMessage
from providers.sms.adapter import SmsAdapter
from providers.sms.segments import segments


class Plivo(SmsAdapter):
    """``account``: the auth id; ``key``: its token."""

    def send(self, message: TextMessage) -> SentMessage:
        """Make the call. Raises :class:`ProviderError`. Our reference travels in the address of its receipts."""
        body = {"src": self._sender, "dst": message.to, "text": message.body, "type": "sms"}
        if callback := self.callback(message):
            body |= {"url": callback, "method": "POST"}
        response = self._http.post(
            f"/v1/Account/{quote(self._account, safe='')}/Message/",
            orjson.dumps(body),
            headers={"X-Client-Reference": message.reference},
            timeout_seconds=message.timeout_seconds,
        )
        try:
            (reference,) = response.parsed["message_uuid"]
            return SentMessage(
                provider_reference=str(reference), status="queued", segments=segments(message.body).number
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            raise self._http.invalid_response(response, "a body that is no message") from None

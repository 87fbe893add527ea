"""Plivo's messages. It has no idempotency: a message sent twice reaches a person twice."""

from __future__ import annotations

from base64 import b64encode
from typing import ClassVar
from urllib.parse import quote, urlencode

import orjson

from providers.base import Limits, SentMessage, TextMessage
from providers.http import HttpClient
from providers.sms.segments import segments


class Plivo:
    """Sends one SMS per call, each on a connection of its own. ``account``: the auth id; ``key``: its token."""

    idempotent: ClassVar[bool] = False
    departs: ClassVar[bool] = True

    def __init__(
        self,
        *,
        alias: str,
        base_url: str,
        key: str,
        limits: Limits,
        account: str,
        sender: str,
        model: str = "",
        uses_sandbox: bool = False,
        status_callback: str = "",
    ) -> None:
        self.alias = alias
        self.model = model
        self.limits = limits
        self.uses_sandbox = uses_sandbox
        self._path = f"/v1/Account/{quote(account, safe='')}/Message/"
        self._sender = sender
        self._status_callback = status_callback
        credentials = b64encode(f"{account}:{key}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}
        self._http = HttpClient(alias, base_url, headers=headers, fresh=True)

    def send(self, message: TextMessage) -> SentMessage:
        """Make the call. Raises :class:`ProviderError`. Our reference travels in the address of its receipts."""
        body = {"src": self._sender, "dst": message.to, "text": message.body, "type": "sms"}
        if self._status_callback:
            separator = "&" if "?" in self._status_callback else "?"
            body["url"] = f"{self._status_callback}{separator}{urlencode({'reference': message.reference})}"
            body["method"] = "POST"
        response = self._http.post(
            self._path,
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

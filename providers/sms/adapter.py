"""What all SMS adapters share: an account, its sender, a fresh connection per message, an address for receipts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from base64 import b64encode
from typing import Any, ClassVar
from urllib.parse import urlencode

from providers.base import Limits, SentMessage, TextMessage
from providers.http import HttpClient, Verdict


class SmsAdapter(ABC):
    """Sends one SMS per call, each on a connection of its own. ``account``: whose secret ``key`` is.

    No provider of messages has idempotency: a message sent twice reaches a person twice.
    """

    idempotent: ClassVar[bool] = False
    departs: ClassVar[bool] = True
    content_type: ClassVar[str] = "application/json"

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
        self._account = account
        self._sender = sender
        self._status_callback = status_callback
        headers = {
            "Authorization": f"Basic {b64encode(f'{account}:{key}'.encode()).decode()}",
            "Content-Type": self.content_type,
        }
        self._http = HttpClient(alias, base_url, headers=headers, refine=self.refine, fresh=True)

    @abstractmethod
    def send(self, message: TextMessage) -> SentMessage:
        """Make the call. Raises :class:`ProviderError`."""

    def refine(self, status: int, body: Any, verdict: Verdict) -> Verdict:
        """What the provider's own error code adds to what the status says."""
        return verdict

    def callback(self, message: TextMessage) -> str:
        """Where the message's receipts go, with our reference in the address; empty where none are asked for."""
        if not self._status_callback:
            return ""
        separator = "&" if "?" in self._status_callback else "?"
        return f"{self._status_callback}{separator}{urlencode({'reference': message.reference})}"

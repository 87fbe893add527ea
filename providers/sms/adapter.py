"""What all SMS adapters share: an account, its sender, a fresh connection per message, an address for receipts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple
from urllib.parse import urlencode

from providers.base import ErrorCategory, Limits, SentMessage, TextMessage
from providers.http import FileClient, HttpClient, Response, Verdict
from providers.sms.callbacks import Callback, DeliveryState, Inbound, Receipt, SentBefore, reference_of


class DeliveryFault(NamedTuple):
    """Why a message that was taken did not arrive. ``passing``: the same message may arrive another time."""

    category: ErrorCategory
    words: str
    passing: bool = False


UNNAMED_FAULT = DeliveryFault(ErrorCategory.SERVER, "the provider or the carrier says no more")


class SmsAdapter(ABC):
    """Sends one SMS per call, each on a connection of its own. ``account``: whose secret ``key`` is.

    No provider of messages has idempotency: a message sent twice reaches a person twice. ``receipts_url``: where
    receipts shall go, empty where none are wanted; ``signature_secret``: what they are signed with, where that is
    not the key.
    """

    idempotent: ClassVar[bool] = False
    departs: ClassVar[bool] = True
    content_type: ClassVar[str] = "application/json"
    deliveries: ClassVar[Mapping[str, DeliveryState]] = {}
    """What the provider's words for the state of a message mean. Others, such as "queued", say nothing yet."""
    delivery_faults: ClassVar[Mapping[str, DeliveryFault]] = {}
    """By the error code of a receipt."""
    validity_seconds: ClassVar[range] = range(1, 1)
    """How long a provider may be told to try; empty where it cannot be told."""

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
        receipts_url: str = "",
        signature_secret: str = "",
    ) -> None:
        self.alias = alias
        self.model = model
        self.limits = limits
        self.uses_sandbox = uses_sandbox
        self._account = account
        self._sender = sender
        self._receipts_url = receipts_url
        self._secret = signature_secret
        self._key = key
        headers = {
            "Authorization": f"Basic {b64encode(f'{account}:{key}'.encode()).decode()}",
            "Content-Type": self.content_type,
        }
        self._http = HttpClient(alias, base_url, headers=headers, refine=self.refine, fresh=True)
        self._lists = FileClient(alias, base_url, headers=headers, refine=self.refine)

    @abstractmethod
    def send(self, message: TextMessage) -> SentMessage:
        """Make the call. Raises :class:`ProviderError`."""

    def reference_in(self, response: Response, value: Any) -> str:
        """The provider's id of a message that it took. Raises :class:`ProviderError` where it is none: whether the
        message was taken is then in doubt."""
        if reference := reference_of(value):
            return reference
        raise self._http.invalid_response(response, "a body that is no message")

    def refine(self, status: int, body: Any, verdict: Verdict) -> Verdict:
        """What the provider's own error code adds to what the status says."""
        return verdict

    @property
    def can_check_signatures(self) -> bool:
        """Whether what comes from the provider can be told from a forgery."""
        return True

    @property
    def receipts_url(self) -> str:
        """Where receipts go; empty where none are asked for."""
        return self._receipts_url if self.can_check_signatures else ""

    def callback(self, message: TextMessage) -> str:
        """Where the message's receipts go, with our reference in the address; empty where none are asked for."""
        if not self.receipts_url:
            return ""
        separator = "&" if "?" in self.receipts_url else "?"
        return f"{self.receipts_url}{separator}{urlencode({'reference': message.reference})}"

    def validity(self, message: TextMessage) -> int | None:
        """The seconds to tell the provider, within its bounds; None where nothing is to be told."""
        bounds = self.validity_seconds
        if message.validity_seconds is None or not bounds:
            return None
        return min(max(message.validity_seconds, bounds.start), bounds.stop - 1)

    finds: ClassVar[bool] = False
    """Whether :meth:`find` can be asked: the provider lists what was sent to a number."""

    def find(self, to: str, since: float, timeout_seconds: float) -> list[SentBefore]:
        """Messages to this number since about then (seconds of the epoch). Raises :class:`ProviderError`."""
        raise NotImplementedError(f"{self.alias} lists no messages by their recipient.")

    @abstractmethod
    def is_genuine(self, callback: Callback) -> bool:
        """Whether the provider signed it. Raises :class:`providers.sms.callbacks.Malformed`."""

    @abstractmethod
    def read_receipt(self, callback: Callback) -> Receipt:
        """What it says of a message. Raises :class:`providers.sms.callbacks.Malformed`."""

    @abstractmethod
    def read_inbound(self, callback: Callback) -> Inbound:
        """What a person sent. Raises :class:`providers.sms.callbacks.Malformed`."""

    def delivery_fault(self, code: str) -> DeliveryFault:
        """What the error code of a receipt means."""
        return self.delivery_faults.get(code, UNNAMED_FAULT)

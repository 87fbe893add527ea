"""The contract between the engine and an outside service.

An adapter turns one of our requests into one HTTP call and one of our answers, or raises
:class:`ProviderError`. It never retries, sleeps, logs or touches the database: the engine owns all of that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeGuard


class ErrorCategory(StrEnum):
    """The closed list of error categories, used by errors, analytics and visualisation alike."""

    RATE_LIMIT = "rate_limit"
    TIMEOUT = "timeout"
    NETWORK = "network"
    SERVER = "server"
    INVALID_REQUEST = "invalid_request"
    AUTHENTICATION = "authentication"
    NOT_FOUND = "not_found"
    CONTENT = "content"
    BUDGET = "budget"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


class ProviderError(Exception):
    """A call that did not succeed, classified once, at the HTTP door or in the adapter.

    ``permanent``: trying again cannot help (bad input, bad key, no credit).
    ``surely_not_sent``: the provider cannot have acted on the request (refused connection, 429, definite 4xx).
    Where it is False the request may have had its effect, which decides between Retry and Unknown for
    providers without idempotency. ``retry_after``: seconds the provider asked us to wait, a minimum.
    ``of_provider``: a permanent refusal that is the provider's or the account's own affair (it has no route there, its
    sender is not set up): another provider may take the same request.
    ``billed``: an answer of no use (refused, cut off) that costs what any other does.
    ``message`` is safe to store and show to staff: it never holds a key, a message text or a phone number.
    """

    def __init__(
        self,
        message: str,
        *,
        category: ErrorCategory,
        code: str,
        permanent: bool,
        surely_not_sent: bool,
        retry_after: float | None = None,
        status: int | None = None,
        request_id: str | None = None,
        of_provider: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.category = category
        self.code = code
        self.permanent = permanent
        self.surely_not_sent = surely_not_sent
        self.retry_after = retry_after
        self.status = status
        self.request_id = request_id
        self.of_provider = of_provider
        self.billed: ChatAnswer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image of a request: exactly one of ``url`` (https, passed on unfetched) or ``data`` (raw bytes)."""

    url: str | None = None
    data: bytes | None = None
    media_type: str = "image/jpeg"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One question to an AI model. ``schema``: JSON Schema that the answer must satisfy (strict where supported)."""

    prompt: str
    reference: str
    """Our attempt id; travels in the call wherever the provider echoes or logs a client id."""
    timeout_seconds: float
    system_prompt: str | None = None
    images: tuple[Image, ...] = ()
    schema: Mapping[str, Any] | None = None
    schema_name: str = "answer"
    model: str | None = None
    """Overrides the model of the provider entry."""
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAnswer:
    """What the model said. Token counts are as billed; ``output_tokens`` includes reasoning."""

    text: str
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    finish_reason: str = "stop"
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """One image to be made. What is None is the provider's choice; sizes are ``1024x1024`` and the like."""

    prompt: str
    reference: str
    timeout_seconds: float
    size: str | None = None
    quality: str | None = None
    background: str | None = None
    output_format: str | None = None
    model: str | None = None
    """Overrides the model of the provider entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedImage:
    """The image that was made. ``revised_prompt``: what the model made of the prompt, where it says so."""

    data: bytes
    media_type: str
    revised_prompt: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMessage:
    """One SMS. ``to`` is E.164 with the plus sign. ``validity_seconds``: so long its provider may try to deliver it."""

    to: str
    body: str
    reference: str
    timeout_seconds: float
    validity_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """The provider accepted the message under ``provider_reference`` (its own id)."""

    provider_reference: str
    status: str
    segments: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Ceilings of one provider account. None: no limit of our own."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    max_in_flight: int | None = None
    sms_per_second: Mapping[str, float] = field(default_factory=dict)
    """Messages per second by priority (high, normal, low); empty for providers that send no SMS."""


class Provider(Protocol):
    """What every adapter has, whatever it can do."""

    alias: str
    """The name of the entry in settings, e.g. ``openai-gpt-5``; limits and closures are kept by it."""
    model: str
    limits: Limits
    uses_sandbox: bool
    """Whether calls go to the sandbox of this repository because no key is set."""
    idempotent: ClassVar[bool]
    """Whether doing a call twice costs money at most (True) or reaches a person twice (False)."""
    departs: ClassVar[bool]
    """Whether its calls go through the HTTP door, which awaits their departure when all that is missing is the first
    byte. Where not (a library of the provider's), the engine awaits it before the call: as safe, but less exact."""


class Nobody:
    """The provider of an operation that calls no outside service."""

    alias = ""
    model = ""
    limits = Limits()
    uses_sandbox = False
    idempotent: ClassVar[bool] = True
    departs: ClassVar[bool] = False


NOBODY: Provider = Nobody()


class ChatProvider(Provider, Protocol):
    """Answers questions, with images, optionally under a JSON Schema."""

    def complete(self, request: ChatRequest) -> ChatAnswer:
        """Make the call. Raises :class:`ProviderError`."""
        ...


class RemoteState(StrEnum):
    """Where a batch stands at its provider, whatever that calls it."""

    WAITING = "waiting"
    """Accepted, checked, run or being cancelled: look again later."""
    ENDED = "ended"
    """Completed, cancelled or expired: what was answered can be collected, what was not comes back."""
    FAILED = "failed"
    """Refused as a whole: no line was run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteBatch:
    """What a provider says of a batch. ``total`` and ``finished``: lines, None while it does not say.

    ``detail``: a small JSON object of the adapter's own, such as where the results are; it is stored and handed back.
    ``error``: why it failed, where it did.
    """

    id: str
    state: RemoteState
    total: int | None = None
    finished: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    error: ProviderError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineResult:
    """What became of one line: exactly one of ``answer`` or ``error``.

    ``custom_id``: as we wrote it, a stranger's, or empty where the line does not tell whose it is.
    """

    custom_id: str
    answer: ChatAnswer | None = None
    error: ProviderError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """Ceilings of one batch at a provider: lines, and bytes of them all."""

    lines: int
    size: int


class BatchProvider(ChatProvider, Protocol):
    """Answers many questions within a day, at a discount. Every call raises :class:`ProviderError`."""

    batch_limits: ClassVar[BatchLimits]

    def batch_line(self, custom_id: str, request: ChatRequest) -> bytes:
        """One question as a line of JSON with its line break; ``custom_id`` has at most 64 of ``[A-Za-z0-9_-]``."""
        ...

    def submit_batch(self, lines: Path, number: int, marker: str) -> RemoteBatch:
        """Upload the lines, streaming, and create the batch under our ``marker``. Where the error is not
        ``surely_not_sent`` the batch may exist: :meth:`find_batch` before trying again."""
        ...

    def find_batch(self, marker: str, number: int, since: datetime, known: Collection[str]) -> RemoteBatch | None:
        """The batch that an earlier submit made; None only where there is none.

        Where the provider keeps no marker: the one of ``number`` lines, created about ``since``, whose id is not among
        the ``known`` ones and whose lines' ids begin with ``<marker>-``. While that cannot be told, a transient error.
        """
        ...

    def look_at_batch(self, remote_id: str) -> RemoteBatch:
        """Where it stands."""
        ...

    def batch_results(self, batch: RemoteBatch) -> Iterator[LineResult]:
        """Everything that was answered or failed, streamed, in any order, possibly not all of it."""
        ...

    def cancel_batch(self, remote_id: str) -> None:
        """Ask for its end; what was answered until then can still be collected."""
        ...


def answers_batches(provider: Provider) -> TypeGuard[BatchProvider]:
    """Whether it has a batch API of its own, and so an economy mode."""
    return callable(getattr(provider, "submit_batch", None))


class ImageProvider(Provider, Protocol):
    """Makes images."""

    def generate(self, request: ImageRequest) -> GeneratedImage:
        """Make the call. Raises :class:`ProviderError`."""
        ...


class SmsProvider(Provider, Protocol):
    """Sends text messages."""

    def send(self, message: TextMessage) -> SentMessage:
        """Make the call. Raises :class:`ProviderError`."""
        ...

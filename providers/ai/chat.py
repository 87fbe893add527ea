"""What all chat adapters share: one POST, one answer, and what an answer must have to be one."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

import orjson

from providers.base import ChatAnswer, ChatRequest, ErrorCategory, Limits, ProviderError
from providers.http import Ceilings, FileClient, HttpClient, Response, Told, Verdict, ceilings

# Stands in for a photo while the rest is encoded: to escape a photo's base64 costs five times the rest of the call.
PLACE = secrets.token_hex(16)

MOST_TOKENS = 1_000_000_000
"""Of an answer that can be meant: an odd number must not become a bill."""
LONGEST_MODEL_NAME = 200


class Ending(Enum):
    """Why a model stopped."""

    COMPLETE = "stop"
    CUT = "length"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What an adapter found in an answer. Token counts as billed, reasoning among those of the output."""

    text: Any
    ending: Ending
    model: Any
    input_tokens: int
    output_tokens: int


class ChatAdapter(ABC):
    """A provider's way to ask and to answer; the subclasses say how it spells both."""

    idempotent: ClassVar[bool] = True
    departs: ClassVar[bool] = True
    names_limits: ClassVar[bool] = True
    """Whether its answers' headers name the account's limits."""

    def __init__(
        self, *, alias: str, base_url: str, key: str, model: str, limits: Limits, uses_sandbox: bool = False
    ) -> None:
        self.alias = alias
        self.model = model
        self.limits = limits
        self.uses_sandbox = uses_sandbox
        self.told = Told(self.ceilings)
        headers = self.headers(key)
        json_headers = {**headers, "Content-Type": "application/json"}
        self._http = HttpClient(alias, base_url, headers=json_headers, refine=self.refine, told=self.told)
        self.files = FileClient(alias, base_url, headers=headers, refine=self.refine)

    @abstractmethod
    def headers(self, key: str) -> Mapping[str, str]:
        """What every call carries, the key among it."""

    @abstractmethod
    def path(self, model: str) -> str:
        """Where a question goes, below the base URL."""

    @abstractmethod
    def body(self, request: ChatRequest, model: str) -> dict[str, Any]:
        """The question; :func:`place` stands where a photo's base64 belongs."""

    @abstractmethod
    def read(self, answer: Any) -> Reading:
        """The answer's parts. Whatever it raises for an odd shape means that the answer is none."""

    @abstractmethod
    def refine(self, status: int, body: Any, verdict: Verdict) -> Verdict:
        """What the provider's own error code adds to what the status says."""

    def ceilings(self, headers: Mapping[str, str]) -> Ceilings:
        """What an answer's headers say of the account's limits. Most speak OpenAI's way."""
        return ceilings.of_openai(headers)

    def complete(self, request: ChatRequest) -> ChatAnswer:
        """Make the call. Raises :class:`ProviderError`."""
        model = request.model or self.model
        response = self._http.post(
            self.path(model),
            self.encoded(request, model),
            headers={"X-Client-Request-Id": request.reference},
            timeout_seconds=request.timeout_seconds,
        )
        return self.answer(response)

    def encoded(self, request: ChatRequest, model: str) -> bytes:
        """The question as it is sent, its photos in it."""
        return _with_photos(orjson.dumps(self.body(request, model)), request)

    def answer(self, response: Response) -> ChatAnswer:
        """What a 2xx answer says. Raises :class:`ProviderError` for one that cannot be used."""
        try:
            reading = self.read(response.parsed)
            answer = ChatAnswer(
                text=reading.text or "",
                model=self._name_of(reading.model),
                input_tokens=reading.input_tokens,
                output_tokens=reading.output_tokens,
                finish_reason=reading.ending.value,
                request_id=response.request_id,
            )
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            raise self._http.invalid_response(response, "a body that is no answer to a question") from None
        if (error := self._of_no_use(reading, answer, response)) is not None:
            error.billed = answer
            raise error
        return answer

    def _name_of(self, model: Any) -> str:
        usable = isinstance(model, str) and 0 < len(model) <= LONGEST_MODEL_NAME
        return str(model) if usable else self.model

    def _of_no_use(self, reading: Reading, answer: ChatAnswer, response: Response) -> ProviderError | None:
        if reading.ending is Ending.REFUSED:
            return self._refusal(response)
        if reading.ending is Ending.CUT:
            return self._http.invalid_response(response, "an answer cut off at its token limit")
        if not isinstance(answer.text, str) or not answer.text:
            return self._http.invalid_response(response, "no text")
        return None

    def _refusal(self, response: Response) -> ProviderError:
        return ProviderError(
            f"{self.alias} refused to answer",
            category=ErrorCategory.CONTENT,
            code="refused",
            permanent=True,
            surely_not_sent=False,
            status=response.status,
            request_id=response.request_id,
        )


def tokens(usage: Any, *names: str) -> int:
    """The sum of these counts. What is no count is none: an answer is not asked for again for the sake of its bill."""
    counts = (_count(usage.get(name)) for name in names) if isinstance(usage, dict) else ()
    return min(sum(counts), MOST_TOKENS)


def _count(value: Any) -> int:
    try:
        return max(0, int(value or 0))
    except (TypeError, ValueError):
        return 0


def place(number: int) -> str:
    """What stands for the base64 of the request's image of that number."""
    return f"{PLACE}-{number}-"


def _with_photos(encoded: bytes, request: ChatRequest) -> bytes:
    for number, image in enumerate(request.images):
        if image.data is not None:
            encoded = encoded.replace(place(number).encode(), b64encode(image.data))
    return encoded

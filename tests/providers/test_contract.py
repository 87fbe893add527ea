"""The contract suite: what every adapter must do, over real HTTP against the real sandbox.

A new adapter joins by adding one :class:`Case` to ``CASES``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from providers.ai.anthropic import Anthropic
from providers.ai.chat import ChatAdapter
from providers.ai.gemini import Gemini
from providers.ai.groq import Groq
from providers.ai.openai import OpenAI
from providers.ai.openai_images import OpenAIImages
from providers.ai.xai import XAI
from providers.base import (
    ChatRequest,
    ErrorCategory,
    ImageRequest,
    Limits,
    Provider,
    ProviderError,
    SmsProvider,
    TextMessage,
)
from providers.sms.plivo import Plivo
from providers.sms.twilio import Twilio
from providers.sms.vonage import Vonage
from tests.providers.raw_answers import RawServer, answering, response
from tests.sandbox_fixture import SandboxServer, free_port

KEY = "a-very-secret-key"
TEXT = "a confidential text"
RECIPIENT = "+491701234567"


@dataclass(frozen=True)
class Case:
    """How to make one adapter and one call with it."""

    name: str
    make: Callable[[str], Provider]
    call: Callable[[Any, float], Any]


def chat_call(provider: ChatAdapter, timeout_seconds: float) -> Any:
    return provider.complete(ChatRequest(prompt=TEXT, reference="attempt-1", timeout_seconds=timeout_seconds))


def image_call(provider: OpenAIImages, timeout_seconds: float) -> Any:
    return provider.generate(ImageRequest(prompt=TEXT, reference="attempt-1", timeout_seconds=timeout_seconds))


def image_provider(url: str) -> Provider:
    return OpenAIImages(
        alias="openai-images", base_url=f"{url}/openai-images/v1", key=KEY, model="gpt-image-1", limits=Limits()
    )


def sms_call(provider: SmsProvider, timeout_seconds: float) -> Any:
    message = TextMessage(to=RECIPIENT, body=TEXT, reference="attempt-1", timeout_seconds=timeout_seconds)
    return provider.send(message)


def chat_case(name: str, adapter: type[ChatAdapter], path: str) -> Case:
    def make(url: str) -> Provider:
        return adapter(alias=name, base_url=f"{url}/{name}{path}", key=KEY, model="a-model", limits=Limits())

    return Case(name, make, chat_call)


def sms_case(name: str, adapter: type[Twilio | Vonage | Plivo]) -> Case:
    def make(url: str) -> Provider:
        return adapter(
            alias=name, base_url=f"{url}/{name}", key=KEY, limits=Limits(), account="AC1", sender="+15005550006"
        )

    return Case(name, make, sms_call)


CASES = [
    chat_case("openai", OpenAI, "/v1"),
    chat_case("anthropic", Anthropic, ""),
    chat_case("gemini", Gemini, "/v1beta"),
    chat_case("xai", XAI, "/v1"),
    chat_case("groq", Groq, "/openai/v1"),
    Case("openai-images", image_provider, image_call),
    sms_case("twilio", Twilio),
    sms_case("vonage", Vonage),
    sms_case("plivo", Plivo),
]
every_adapter = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def failure(case: Case, url: str, timeout_seconds: float = 5) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        case.call(case.make(url), timeout_seconds)
    for secret in (KEY, TEXT, RECIPIENT, RECIPIENT[1:]):
        assert secret not in str(caught.value)
    return caught.value


@every_adapter
def test_success_carries_our_reference(case: Case, sandbox: SandboxServer) -> None:
    provider = case.make(sandbox.url)
    assert case.call(provider, 5)
    (entry,) = sandbox.log()
    assert (entry["provider"], entry["reference"], entry["accepted"]) == (case.name, "attempt-1", True)
    assert 200 <= entry["status"] < 300


@every_adapter
def test_it_describes_itself(case: Case, sandbox: SandboxServer) -> None:
    provider = case.make(sandbox.url)
    assert provider.alias == case.name
    assert provider.limits == Limits()
    assert provider.uses_sandbox is False
    assert isinstance(provider.idempotent, bool)


@every_adapter
def test_429_asks_to_wait_and_surely_did_nothing(case: Case, sandbox: SandboxServer) -> None:
    sandbox.configure(requests_per_minute=6)
    case.call(case.make(sandbox.url), 5)
    error = failure(case, sandbox.url)
    assert (error.category, error.permanent, error.surely_not_sent) == (ErrorCategory.RATE_LIMIT, False, True)
    assert error.retry_after is not None and 1 <= error.retry_after <= 10
    assert [entry["accepted"] for entry in sandbox.log()] == [True, False]


@every_adapter
@pytest.mark.parametrize("status", ["500", "503"])
def test_server_errors_are_worth_a_retry_but_may_have_acted(case: Case, sandbox: SandboxServer, status: str) -> None:
    sandbox.configure(error_rates={status: 1})
    error = failure(case, sandbox.url)
    assert (error.category, error.permanent, error.surely_not_sent) == (ErrorCategory.SERVER, False, False)
    assert error.status == int(status)


@every_adapter
def test_permanent_errors_surely_did_nothing(case: Case, sandbox: SandboxServer) -> None:
    sandbox.configure(permanent_error_rate=1)
    error = failure(case, sandbox.url)
    assert (error.permanent, error.surely_not_sent, error.status) == (True, True, 400)


@every_adapter
def test_a_refused_key_is_permanent(case: Case, sandbox: SandboxServer) -> None:
    sandbox.configure(error_rates={"401": 1})
    error = failure(case, sandbox.url)
    assert (error.category, error.permanent) == (ErrorCategory.AUTHENTICATION, True)


@every_adapter
def test_no_answer_in_time_may_have_acted(case: Case, sandbox: SandboxServer) -> None:
    sandbox.configure(error_rates={"timeout": 1})
    error = failure(case, sandbox.url, timeout_seconds=0.3)
    assert (error.category, error.permanent, error.surely_not_sent) == (ErrorCategory.TIMEOUT, False, False)
    assert sandbox.log()[0]["status"] is None


@every_adapter
def test_a_cut_connection_may_have_acted(case: Case, sandbox: SandboxServer) -> None:
    sandbox.configure(error_rates={"disconnect": 1})
    for _ in range(12):
        error = failure(case, sandbox.url)
        assert (error.category, error.permanent, error.surely_not_sent) == (ErrorCategory.NETWORK, False, False)
    assert {entry["status"] for entry in sandbox.log()} == {None}
    assert {entry["accepted"] for entry in sandbox.log()} == {True, False}


@every_adapter
def test_a_broken_answer_may_have_acted(case: Case, sandbox: SandboxServer) -> None:
    sandbox.configure(error_rates={"garbage": 1})
    error = failure(case, sandbox.url)
    assert (error.code, error.permanent, error.surely_not_sent) == ("invalid_response", False, False)
    assert sandbox.log()[0]["accepted"] is True


@every_adapter
@pytest.mark.parametrize("body", [b"[]", b"{}", b"null", b'"text"', b'{"choices": [], "sid": null}'])
def test_an_answer_of_another_shape_may_have_acted(case: Case, raw_server: RawServer, body: bytes) -> None:
    error = failure(case, raw_server(answering(response(body))))
    assert (error.code, error.permanent, error.surely_not_sent) == ("invalid_response", False, False)


@every_adapter
def test_a_refused_connection_surely_did_nothing(case: Case) -> None:
    error = failure(case, f"http://127.0.0.1:{free_port()}")
    assert (error.category, error.permanent, error.surely_not_sent) == (ErrorCategory.NETWORK, False, True)

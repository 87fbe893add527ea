"""What tells the chat providers apart: how they ask, answer, refuse and say that there is no money."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from providers.ai.anthropic import Anthropic
from providers.ai.chat import ChatAdapter
from providers.ai.gemini import Gemini
from providers.ai.groq import Groq
from providers.ai.openai import OpenAI
from providers.ai.xai import XAI
from providers.base import ChatAnswer, ChatRequest, ErrorCategory, Image, Limits, ProviderError
from tests.providers.raw_answers import RawServer, answering, json_response
from tests.sandbox_fixture import SandboxServer

SCHEMA = {
    "type": "object",
    "properties": {"starRating": {"type": "integer"}, "title": {"type": "string"}},
    "required": ["starRating", "title"],
    "additionalProperties": False,
}
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
PATHS = {OpenAI: "/v1", Anthropic: "", Gemini: "/v1beta", XAI: "/v1", Groq: "/openai/v1"}
every_provider = pytest.mark.parametrize("adapter", list(PATHS), ids=lambda adapter: adapter.__name__)


def make(adapter: type[ChatAdapter], url: str) -> ChatAdapter:
    return adapter(
        alias=adapter.__name__.lower(), base_url=f"{url}{PATHS[adapter]}", key="k", model="a-model", limits=Limits()
    )


def request(**changes: Any) -> ChatRequest:
    return ChatRequest(**{"prompt": "What is this?", "reference": "attempt-1", "timeout_seconds": 5.0, **changes})


def answered(adapter: type[ChatAdapter], raw_server: RawServer, status: int, body: Any) -> ChatAnswer:
    """What the adapter makes of an answer of the provider."""
    url = raw_server(answering(json_response(body, status, request_id="req-7")))
    return make(adapter, url).complete(request())


@every_provider
def test_a_question_with_a_photo_and_a_schema_gets_an_answer_of_that_form(
    adapter: type[ChatAdapter], sandbox: SandboxServer
) -> None:
    provider = make(adapter, f"{sandbox.url}/{adapter.__name__.lower()}")
    asked = request(images=(Image(data=PNG, media_type="image/png"),), schema=SCHEMA, system_prompt="Be fair.")
    answer = provider.complete(asked)
    assert set(json.loads(answer.text)) == {"starRating", "title"}
    assert answer.model == "a-model"
    assert answer.input_tokens > 85 and answer.output_tokens > 0
    assert sandbox.log()[0]["image"].startswith("sha256:")


@every_provider
def test_a_photo_known_by_its_address_is_passed_on(adapter: type[ChatAdapter], sandbox: SandboxServer) -> None:
    provider = make(adapter, f"{sandbox.url}/{adapter.__name__.lower()}")
    provider.complete(request(images=(Image(url="https://example.com/a.png"),)))
    assert sandbox.log()[0]["image"] == "https://example.com/a.png"


@every_provider
def test_the_request_may_name_another_model(adapter: type[ChatAdapter], sandbox: SandboxServer) -> None:
    provider = make(adapter, f"{sandbox.url}/{adapter.__name__.lower()}")
    assert provider.complete(request(model="another/one")).model == "another/one" or adapter is Gemini


def openai(message: dict[str, Any], finish_reason: str = "stop") -> dict[str, Any]:
    return {"choices": [{"message": message, "finish_reason": finish_reason}]}


def anthropic(stop_reason: str, *content: dict[str, Any]) -> dict[str, Any]:
    return {"content": list(content), "stop_reason": stop_reason, "usage": {"input_tokens": 1, "output_tokens": 1}}


def gemini(reason: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": list(parts)}, "finishReason": reason}]}


REFUSALS = [
    (OpenAI, openai({"content": None, "refusal": "I cannot."})),
    (OpenAI, openai({"content": "Part"}, "content_filter")),
    (Anthropic, anthropic("refusal")),
    (Gemini, gemini("SAFETY")),
    (Gemini, gemini("RECITATION", {"text": "Part"})),
    (Gemini, {"promptFeedback": {"blockReason": "SAFETY"}}),
]


@pytest.mark.parametrize(("adapter", "body"), REFUSALS)
def test_a_refusal_is_for_good(adapter: type[ChatAdapter], body: Any, raw_server: RawServer) -> None:
    with pytest.raises(ProviderError) as caught:
        answered(adapter, raw_server, 200, body)
    assert (caught.value.category, caught.value.code, caught.value.permanent) == (
        ErrorCategory.CONTENT,
        "refused",
        True,
    )


BILLED = [
    (
        OpenAI,
        openai({"content": None, "refusal": "I cannot."}) | {"usage": {"prompt_tokens": 9, "completion_tokens": 4}},
    ),
    (OpenAI, openai({"content": "Part"}, "length") | {"usage": {"prompt_tokens": 9, "completion_tokens": 4}}),
    (Anthropic, anthropic("refusal") | {"usage": {"input_tokens": 9, "output_tokens": 4}}),
    (Gemini, gemini("SAFETY") | {"usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 4}}),
]


@pytest.mark.parametrize(("adapter", "body"), BILLED)
def test_an_answer_of_no_use_costs_what_it_used(adapter: type[ChatAdapter], body: Any, raw_server: RawServer) -> None:
    with pytest.raises(ProviderError) as caught:
        answered(adapter, raw_server, 200, body)
    assert caught.value.billed is not None
    assert (caught.value.billed.input_tokens, caught.value.billed.output_tokens) == (9, 4)


UNFINISHED = [
    (OpenAI, openai({"content": "Part"}, "length")),
    (OpenAI, openai({"content": ""})),
    (Anthropic, anthropic("max_tokens", {"type": "text", "text": "Part"})),
    (Anthropic, anthropic("end_turn")),
    (Gemini, gemini("MAX_TOKENS", {"text": "Part"})),
    (Gemini, gemini("MALFORMED_FUNCTION_CALL")),
    (Gemini, {"candidates": []}),
]


@pytest.mark.parametrize(("adapter", "body"), UNFINISHED)
def test_an_answer_that_is_not_whole_is_worth_another_try(
    adapter: type[ChatAdapter], body: Any, raw_server: RawServer
) -> None:
    with pytest.raises(ProviderError) as caught:
        answered(adapter, raw_server, 200, body)
    assert (caught.value.code, caught.value.permanent) == ("invalid_response", False)


def openai_error(code: str | None, kind: str = "") -> dict[str, Any]:
    return {"error": {"message": "Words about a customer.", "type": kind, "code": code}}


def anthropic_error(kind: str, **details: Any) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": "Words.", "details": details or None}}


def gemini_error(status: str) -> dict[str, Any]:
    return {"error": {"code": 0, "message": "Words.", "status": status, "details": []}}


RATE, BUDGET, SERVER = ErrorCategory.RATE_LIMIT, ErrorCategory.BUDGET, ErrorCategory.SERVER
ERRORS = [
    (OpenAI, 429, openai_error("rate_limit_exceeded"), (RATE, "rate_limit_exceeded", False)),
    (OpenAI, 429, openai_error("credit_balance_exhausted", "insufficient_quota"), (BUDGET, None, True)),
    (OpenAI, 429, openai_error(None, "insufficient_quota"), (BUDGET, "insufficient_quota", True)),
    (OpenAI, 503, openai_error("server_is_overloaded"), (SERVER, "server_is_overloaded", False)),
    (Anthropic, 429, anthropic_error("rate_limit_error"), (RATE, "rate_limit_error", False)),
    (
        Anthropic,
        429,
        anthropic_error("rate_limit_error", error_code="enforced_spend_limit_reached"),
        (BUDGET, None, True),
    ),
    (Anthropic, 402, anthropic_error("billing_error"), (BUDGET, "billing_error", True)),
    (Anthropic, 529, anthropic_error("overloaded_error"), (SERVER, "overloaded_error", False)),
    (Anthropic, 504, anthropic_error("timeout_error"), (ErrorCategory.TIMEOUT, "timeout_error", False)),
    (Gemini, 429, gemini_error("RESOURCE_EXHAUSTED"), (RATE, "RESOURCE_EXHAUSTED", False)),
    (Gemini, 503, [gemini_error("UNAVAILABLE")], (SERVER, "UNAVAILABLE", False)),
    (Gemini, 400, gemini_error("INVALID_ARGUMENT"), (ErrorCategory.INVALID_REQUEST, "INVALID_ARGUMENT", True)),
    (XAI, 429, {"code": "Some resource has been exhausted", "error": "Too many requests"}, (RATE, None, False)),
    (XAI, 429, {"code": "x", "error": "You have used all your credits"}, (BUDGET, None, True)),
    (XAI, 429, {"error": {"message": "monthly spending limit reached", "code": "x"}}, (BUDGET, "x", True)),
    (XAI, 422, {"code": "invalid", "error": "No."}, (ErrorCategory.INVALID_REQUEST, "invalid", True)),
    (Groq, 498, openai_error("capacity_exceeded"), (SERVER, "capacity_exceeded", False)),
    (Groq, 413, openai_error("request_too_large"), (ErrorCategory.INVALID_REQUEST, "request_too_large", True)),
]


@pytest.mark.parametrize(("adapter", "status", "body", "expected"), ERRORS)
def test_errors_mean_what_the_provider_means_by_them(
    adapter: type[ChatAdapter],
    status: int,
    body: Any,
    expected: tuple[ErrorCategory, str | None, bool],
    raw_server: RawServer,
) -> None:
    with pytest.raises(ProviderError) as caught:
        answered(adapter, raw_server, status, body)
    error = caught.value
    category, code, permanent = expected
    assert (error.category, error.permanent, error.request_id) == (category, permanent, "req-7")
    assert code is None or error.code == code
    assert "Words" not in str(error) and "credits" not in str(error)


def test_gemini_says_in_the_body_how_long_to_wait(raw_server: RawServer) -> None:
    body = gemini_error("RESOURCE_EXHAUSTED")
    body["error"]["details"] = [{"@type": "QuotaFailure"}, {"@type": "RetryInfo", "retryDelay": "34.5s"}]
    with pytest.raises(ProviderError) as caught:
        answered(Gemini, raw_server, 429, body)
    assert caught.value.retry_after == 34.5


@pytest.mark.parametrize("delay", ["soon", "s", "infs", "-3s", 4, None])
def test_an_odd_delay_is_none(delay: Any, raw_server: RawServer) -> None:
    body = gemini_error("RESOURCE_EXHAUSTED")
    body["error"]["details"] = [{"retryDelay": delay}, "odd"]
    with pytest.raises(ProviderError) as caught:
        answered(Gemini, raw_server, 429, body)
    assert caught.value.retry_after is None


def test_thoughts_are_paid_for_but_not_part_of_the_answer(raw_server: RawServer) -> None:
    body = gemini("STOP", {"text": "Hm.", "thought": True}, {"text": "Four "}, {"text": "stars"})
    body["usageMetadata"] = {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 7}
    answer = answered(Gemini, raw_server, 200, body)
    assert (answer.text, answer.input_tokens, answer.output_tokens) == ("Four stars", 10, 12)


def test_cached_tokens_are_paid_for_as_well(raw_server: RawServer) -> None:
    body = anthropic("end_turn", {"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Four"})
    body["usage"] = {"input_tokens": 3, "cache_creation_input_tokens": 4, "cache_read_input_tokens": 5}
    answer = answered(Anthropic, raw_server, 200, body)
    assert (answer.text, answer.input_tokens, answer.request_id) == ("Four", 12, "req-7")


@pytest.mark.parametrize(
    ("told", "billed"),
    [
        ({"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 7}, "total_tokens": 22}, 12),
        ({"completion_tokens": 12, "completion_tokens_details": {"reasoning_tokens": 7}, "total_tokens": 22}, 12),
        ({"completion_tokens": 12}, 12),
        ({"completion_tokens": 12, "total_tokens": "odd"}, 12),
    ],
)
def test_groks_thoughts_are_paid_for_wherever_they_are_counted(
    told: dict[str, Any], billed: int, raw_server: RawServer
) -> None:
    body = openai({"content": "Four"}) | {"usage": {"prompt_tokens": 10, **told}}
    answer = answered(XAI, raw_server, 200, body)
    assert (answer.input_tokens, answer.output_tokens) == (10, billed)

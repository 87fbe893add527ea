"""What each chat adapter sends, to the last field, and what it makes of answers and errors as they are documented.

The sandbox is our own and would forgive our own mistakes: these are the wire reference's words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from providers.ai.anthropic import Anthropic
from providers.ai.batches.adapter import BatchAdapter
from providers.ai.gemini import Gemini
from providers.ai.groq import Groq
from providers.ai.openai import OpenAI
from providers.ai.xai import XAI
from providers.base import ChatRequest, ErrorCategory, Image, ProviderError
from tests.providers.batch_adapters import KEY, make
from tests.providers.raw_answers import RawServer, answering, json_response, taken_apart

SCHEMA = {
    "type": "object",
    "properties": {"stars": {"type": "integer"}},
    "required": ["stars"],
    "additionalProperties": False,
}
QUESTION = ChatRequest(
    prompt="How many stars?",
    system_prompt="Be fair.",
    images=(Image(data=b"one", media_type="image/png"), Image(url="https://example.com/2.webp?w=9")),
    schema=SCHEMA,
    schema_name="rating",
    max_output_tokens=300,
    reference="attempt-1",
    timeout_seconds=5,
)
BEARER = {"authorization": f"Bearer {KEY}"}


@dataclass(frozen=True)
class Wire:
    """One exchange. ``headers``: those that a request must have; ``answer``: a 200 as its provider documents it."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    answer: Mapping[str, Any]
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    tokens: tuple[int, int] = (1209, 57)
    model: str = "answered-by"


def openai_body() -> dict[str, Any]:
    return {
        "model": "a-model",
        "messages": [
            {"role": "system", "content": "Be fair."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "How many stars?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,b25l"}},
                    {"type": "image_url", "image_url": {"url": "https://example.com/2.webp?w=9"}},
                ],
            },
        ],
        "max_completion_tokens": 300,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "rating", "schema": SCHEMA, "strict": True},
        },
    }


def openai_answer(**more: Any) -> dict[str, Any]:
    usage = {
        "prompt_tokens": 1209,
        "completion_tokens": 57,
        "total_tokens": 1266,
        "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 32, "accepted_prediction_tokens": 0},
    }
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_795_000_000,
        "model": "answered-by",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": '{"stars": 4}', "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {**usage, **more.pop("usage", {})},
        "service_tier": "default",
        "system_fingerprint": None,
        **more,
    }


WIRES: dict[type[BatchAdapter], Wire] = {
    OpenAI: Wire(
        path="/v1/chat/completions",
        headers=BEARER,
        body=openai_body(),
        answer=openai_answer(),
        answer_headers={"x_request_id": "req-7"},
    ),
    XAI: Wire(
        path="/v1/chat/completions",
        headers=BEARER,
        body=openai_body(),
        answer=openai_answer(citations=[], usage={"num_sources_used": 0}),
    ),
    Groq: Wire(
        path="/openai/v1/chat/completions",
        headers=BEARER,
        body=openai_body(),
        answer=openai_answer(
            x_groq={"id": "req_01"},
            usage={"queue_time": 0.01, "prompt_time": 0.02, "completion_time": 0.3, "total_time": 0.33},
        ),
    ),
    Anthropic: Wire(
        path="/v1/messages",
        headers={"x-api-key": KEY, "anthropic-version": "2023-06-01"},
        body={
            "model": "a-model",
            "max_tokens": 300,
            "system": "Be fair.",
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": "b25l"},
                        },
                        {"type": "image", "source": {"type": "url", "url": "https://example.com/2.webp?w=9"}},
                        {"type": "text", "text": "How many stars?"},
                    ],
                }
            ],
            "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
        },
        answer={
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "answered-by",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "x"},
                {"type": "text", "text": '{"stars":', "citations": None},
                {"type": "text", "text": " 4}"},
            ],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": 1000,
                "cache_creation_input_tokens": 200,
                "cache_read_input_tokens": 9,
                "output_tokens": 57,
                "service_tier": "standard",
            },
        },
        answer_headers={"request_id": "req-7"},
    ),
    Gemini: Wire(
        path="/v1beta/models/a-model:generateContent",
        headers={"x-goog-api-key": KEY},
        body={
            "contents": [
                {
                    "role": "user",
                    "parts": [
                        {"inlineData": {"mimeType": "image/png", "data": "b25l"}},
                        {"fileData": {"mimeType": "image/webp", "fileUri": "https://example.com/2.webp?w=9"}},
                        {"text": "How many stars?"},
                    ],
                }
            ],
            "systemInstruction": {"parts": [{"text": "Be fair."}]},
            "generationConfig": {
                "maxOutputTokens": 300,
                "responseMimeType": "application/json",
                "responseJsonSchema": SCHEMA,
            },
        },
        answer={
            "candidates": [
                {
                    "content": {
                        "role": "model",
                        "parts": [{"text": "Hm.", "thought": True}, {"text": '{"stars":'}, {"text": " 4}"}],
                    },
                    "finishReason": "STOP",
                    "index": 0,
                    "safetyRatings": [],
                }
            ],
            "usageMetadata": {
                "promptTokenCount": 1209,
                "candidatesTokenCount": 40,
                "thoughtsTokenCount": 17,
                "cachedContentTokenCount": 1024,
                "totalTokenCount": 1266,
            },
            "modelVersion": "answered-by",
            "responseId": "r",
        },
    ),
}


@pytest.mark.parametrize("adapter", list(WIRES), ids=lambda adapter: adapter.__name__)
def test_a_question_is_spelled_as_its_provider_does(adapter: type[BatchAdapter], raw_server: RawServer) -> None:
    wire, seen = WIRES[adapter], list[bytes]()
    provider = make(adapter, raw_server(answering(json_response(wire.answer, 200, **wire.answer_headers), seen=seen)))
    answer = provider.complete(QUESTION)
    request, headers, body = taken_apart(seen[0])
    assert request == f"POST /{adapter.__name__.lower()}{wire.path}"
    assert dict(wire.headers).items() <= headers.items()
    assert (headers["content-type"], headers["content-length"]) == ("application/json", str(len(body)))
    assert "idempotency-key" not in headers, "none of them knows it"
    assert json.loads(body) == wire.body
    assert (json.loads(answer.text), answer.model) == ({"stars": 4}, wire.model)
    assert (answer.input_tokens, answer.output_tokens) == wire.tokens
    assert answer.request_id == next(iter(wire.answer_headers.values()), None)


@pytest.mark.parametrize("adapter", list(WIRES), ids=lambda adapter: adapter.__name__)
def test_nothing_is_said_that_was_not_asked_for(adapter: type[BatchAdapter], raw_server: RawServer) -> None:
    """Models refuse settings that they do not have: temperature, stop and the like are never sent."""
    wire, seen = WIRES[adapter], list[bytes]()
    provider = make(adapter, raw_server(answering(json_response(wire.answer), seen=seen)))
    provider.complete(ChatRequest(prompt="Hello", reference="r", timeout_seconds=5))
    said = set(json.loads(taken_apart(seen[0])[2]))
    assert said == {Anthropic: {"model", "max_tokens", "messages"}, Gemini: {"contents"}}.get(
        adapter, {"model", "messages"}
    )


BUDGET, RATE, SERVER = ErrorCategory.BUDGET, ErrorCategory.RATE_LIMIT, ErrorCategory.SERVER
INVALID, KEYS = ErrorCategory.INVALID_REQUEST, ErrorCategory.AUTHENTICATION
ABSENT, LATE = ErrorCategory.NOT_FOUND, ErrorCategory.TIMEOUT


def openai_error(code: str | None, kind: str = "requests") -> dict[str, Any]:
    return {"error": {"message": "Words.", "type": kind, "param": None, "code": code}}


def anthropic_error(kind: str, code: str | None = None) -> dict[str, Any]:
    details = {"details": {"error_code": code}} if code else {}
    return {"type": "error", "error": {"type": kind, "message": "Words.", **details}, "request_id": "req-7"}


def gemini_error(code: int, status: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": "Words.", "status": status, "details": [{"@type": "ErrorInfo"}]}}


ERRORS: list[tuple[type[BatchAdapter], int, Any, ErrorCategory, bool]] = [
    *(
        (OpenAI, 429, openai_error(code, "insufficient_quota"), BUDGET, True)
        for code in (
            *("credit_balance_exhausted", "organization_spend_limit_exceeded", "project_spend_limit_exceeded"),
            "organization_usage_limit_exceeded",
        )
    ),
    *((OpenAI, 429, openai_error(code), RATE, False) for code in ("rate_limit_exceeded", "slow_down")),
    (OpenAI, 503, openai_error("server_is_overloaded"), SERVER, False),
    (Anthropic, 400, anthropic_error("invalid_request_error"), INVALID, True),
    (Anthropic, 401, anthropic_error("authentication_error"), KEYS, True),
    (Anthropic, 402, anthropic_error("billing_error"), BUDGET, True),
    (Anthropic, 403, anthropic_error("permission_error"), KEYS, True),
    (Anthropic, 404, anthropic_error("not_found_error"), ABSENT, True),
    (Anthropic, 409, anthropic_error("conflict_error"), INVALID, False),
    (Anthropic, 413, "<html>too large</html>", INVALID, True),
    (Anthropic, 429, anthropic_error("rate_limit_error"), RATE, False),
    (Anthropic, 429, anthropic_error("rate_limit_error", "ramp_limit_exceeded"), RATE, False),
    (Anthropic, 429, anthropic_error("rate_limit_error", "enforced_spend_limit_reached"), BUDGET, True),
    (Anthropic, 429, anthropic_error("rate_limit_error", "contract_spend_limit_reached"), BUDGET, True),
    (Anthropic, 500, anthropic_error("api_error"), SERVER, False),
    (Anthropic, 504, anthropic_error("timeout_error"), LATE, False),
    (Anthropic, 529, anthropic_error("overloaded_error"), SERVER, False),
    *(
        (Gemini, code, body, category, permanent)
        for code, status, category, permanent in (
            (400, "INVALID_ARGUMENT", INVALID, True),
            (400, "FAILED_PRECONDITION", INVALID, True),
            (402, "FAILED_PRECONDITION", BUDGET, True),
            (403, "PERMISSION_DENIED", KEYS, True),
            (404, "NOT_FOUND", ABSENT, True),
            (429, "RESOURCE_EXHAUSTED", RATE, False),
            (500, "INTERNAL", SERVER, False),
            (503, "UNAVAILABLE", SERVER, False),
            (504, "DEADLINE_EXCEEDED", LATE, False),
        )
        for body in (gemini_error(code, status), [gemini_error(code, status)])
    ),
    *(
        (XAI, status, body, category, True)
        for status, category in (
            *((400, INVALID), (401, KEYS), (403, KEYS), (404, ABSENT)),
            *((405, INVALID), (415, INVALID), (422, INVALID)),
        )
        for body in ({"code": "Some words", "error": "Words."}, openai_error("odd"))
    ),
    (XAI, 429, {"code": "Some resource", "error": "Too many requests"}, RATE, False),
    (XAI, 429, {"code": "Some resource", "error": "Your team has used all available credits"}, BUDGET, True),
    (XAI, 429, {"error": {"message": "It reached its monthly spending limit", "code": None}}, BUDGET, True),
    *((Groq, status, openai_error("odd"), INVALID, True) for status in (400, 413, 422, 424)),
    (Groq, 429, openai_error("rate_limit_exceeded", "tokens"), RATE, False),
    (Groq, 498, openai_error("capacity_exceeded"), SERVER, False),
    *((Groq, status, "<html>Bad gateway</html>", SERVER, False) for status in (500, 502, 503)),
]


@pytest.mark.parametrize(("adapter", "status", "body", "category", "permanent"), ERRORS)
def test_every_error_of_the_reference(
    adapter: type[BatchAdapter],
    status: int,
    body: Any,
    category: ErrorCategory,
    *,
    permanent: bool,
    raw_server: RawServer,
) -> None:
    with pytest.raises(ProviderError) as caught:
        make(adapter, raw_server(answering(json_response(body, status, request_id="req-7")))).complete(QUESTION)
    error = caught.value
    assert (error.category, error.permanent, error.status) == (category, permanent, status)
    assert error.request_id == "req-7"
    assert "Words" not in str(error)

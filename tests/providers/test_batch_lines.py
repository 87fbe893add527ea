"""What became of a line: answered, not answered, of an odd shape, no JSON at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.ai.anthropic import Anthropic
from providers.ai.batches.adapter import BatchAdapter
from providers.ai.gemini import Gemini
from providers.ai.groq import Groq
from providers.ai.openai import OpenAI
from providers.ai.xai import XAI
from providers.base import LineResult
from tests.providers.batch_adapters import every_adapter, make
from tests.providers.batch_answers import COMPLETION, GENERATED, MESSAGE, answered, xai_result


def line_of(adapter: type[BatchAdapter], line: Any) -> LineResult:
    provider = make(adapter, "http://127.0.0.1:1")
    return provider.read_line(line if isinstance(line, bytes) else json.dumps(line).encode())


def unanswered(code: str) -> dict[str, Any]:
    return {"id": "r", "custom_id": "a-1", "response": None, "error": {"code": code, "message": "No"}}


def anthropic_error(kind: str, **more: Any) -> dict[str, Any]:
    error = {"type": "error", "error": {"type": kind, "message": "No", **more}}
    return {"custom_id": "a-1", "result": {"type": "errored", "error": error}}


@pytest.mark.parametrize(
    ("adapter", "line"),
    [
        (OpenAI, answered(200, COMPLETION)),
        (Groq, {key: value for key, value in answered(200, COMPLETION).items() if key != "error"}),
        (XAI, xai_result({"response": {"chat_get_completion": COMPLETION}})),
        (XAI, xai_result({"response": COMPLETION})),
        (Anthropic, {"custom_id": "a-1", "result": {"type": "succeeded", "message": MESSAGE}}),
        (Gemini, {"key": "a-1", "response": GENERATED}),
        (Gemini, {"metadata": {"key": "a-1"}, "response": GENERATED}),
    ],
)
def test_a_line_that_was_answered(adapter: type[BatchAdapter], line: Any) -> None:
    result = line_of(adapter, line)
    assert result.error is None and result.answer is not None
    assert (result.custom_id, result.answer.text, result.answer.model) == ("a-1", "Hello", "m-1")
    assert (result.answer.input_tokens, result.answer.output_tokens) == (3, 2)
    if adapter in {OpenAI, Groq}:
        assert result.answer.request_id == "req-7"


@pytest.mark.parametrize(
    ("adapter", "line", "category", "code", "permanent"),
    [
        (OpenAI, unanswered("batch_expired"), "timeout", "batch_expired", False),
        (OpenAI, unanswered("batch_cancelled"), "cancelled", "batch_cancelled", False),
        (OpenAI, unanswered("request_timeout"), "timeout", "request_timeout", False),
        (OpenAI, unanswered("invalid_request"), "invalid_request", "invalid_request", True),
        (OpenAI, answered(400, {"error": {"code": "image_parse_error"}}), "invalid_request", "image_parse_error", True),
        (OpenAI, answered(401, {"error": {"code": "invalid_api_key"}}), "authentication", "invalid_api_key", True),
        (OpenAI, answered(429, {"error": {"code": "rate_limit_exceeded"}}), "rate_limit", "rate_limit_exceeded", False),
        (OpenAI, answered(429, {"error": {"code": "insufficient_quota"}}), "budget", "insufficient_quota", True),
        (OpenAI, answered(503, {"error": {"code": "server_is_overloaded"}}), "server", "server_is_overloaded", False),
        (OpenAI, answered(500, None), "server", "http_500", False),
        (OpenAI, answered(10**9, None), "server", "invalid_response", False),
        (OpenAI, answered(-1, None), "server", "invalid_response", False),
        (Groq, answered(498, {"error": {"code": "capacity_exceeded"}}), "server", "capacity_exceeded", False),
        (Groq, unanswered("invalid_method"), "invalid_request", "invalid_method", True),
        (XAI, xai_result({"error": {"code": 3, "message": "No"}}), "invalid_request", "http_400", True),
        (XAI, xai_result({"error": {"code": 8, "message": "Out of credits"}}), "budget", "http_429", True),
        (XAI, xai_result({"error": {"code": 14, "message": "No"}}), "server", "http_503", False),
        (XAI, xai_result({"error": {"code": 1, "message": "No"}}), "cancelled", "batch_cancelled", False),
        (XAI, xai_result({"error": {"code": 4, "message": "No"}}), "timeout", "batch_expired", False),
        (Anthropic, {"custom_id": "a-1", "result": {"type": "expired"}}, "timeout", "batch_expired", False),
        (Anthropic, {"custom_id": "a-1", "result": {"type": "canceled"}}, "cancelled", "batch_cancelled", False),
        (Anthropic, anthropic_error("invalid_request_error"), "invalid_request", "invalid_request_error", True),
        (Anthropic, anthropic_error("overloaded_error"), "server", "overloaded_error", False),
        (Anthropic, anthropic_error("rate_limit_error"), "rate_limit", "rate_limit_error", False),
        (Anthropic, anthropic_error("billing_error"), "budget", "billing_error", True),
        (
            Anthropic,
            anthropic_error("rate_limit_error", details={"error_code": "enforced_spend_limit_reached"}),
            "budget",
            "enforced_spend_limit_reached",
            True,
        ),
        (Anthropic, anthropic_error("something_new"), "server", "something_new", False),
        (
            Anthropic,
            {"custom_id": "a-1", "result": {"type": "succeeded", "message": {**MESSAGE, "stop_reason": "refusal"}}},
            "content",
            "refused",
            True,
        ),
        (Gemini, {"key": "a-1", "error": {"code": 3, "status": "INVALID"}}, "invalid_request", "INVALID", True),
        (Gemini, {"key": "a-1", "error": {"code": 429, "status": "EXHAUSTED"}}, "rate_limit", "EXHAUSTED", False),
        (Gemini, {"key": "a-1", "status": {"code": 13, "message": "No"}}, "server", "http_500", False),
        (Gemini, {"key": "a-1", "code": 14, "message": "No"}, "server", "http_503", False),
        (Gemini, {"key": "a-1", "error": {"code": 1}}, "cancelled", "batch_cancelled", False),
        (Gemini, {"key": "a-1", "response": {"promptFeedback": {"blockReason": "SAFETY"}}}, "content", "refused", True),
        (
            OpenAI,
            answered(200, {**COMPLETION, "choices": [{"message": {"refusal": "No"}, "finish_reason": "stop"}]}),
            "content",
            "refused",
            True,
        ),
        (
            OpenAI,
            answered(200, {**COMPLETION, "choices": [{"message": {"content": "Hel"}, "finish_reason": "length"}]}),
            "server",
            "invalid_response",
            False,
        ),
    ],
)  # fmt: skip
def test_a_line_that_was_not_answered(
    adapter: type[BatchAdapter], line: Any, category: str, code: str, permanent: bool
) -> None:
    result = line_of(adapter, line)
    assert result.answer is None and result.error is not None
    assert (result.custom_id, result.error.category, result.error.code) == ("a-1", category, code)
    assert result.error.permanent is permanent
    assert "No" not in str(result.error)


ODD_RESULTS: list[Any] = [7, "text", [], {}, None, True, {"type": 7}, {"status_code": "x"}, {"error": 7}, [{}]]


@every_adapter
@pytest.mark.parametrize("odd", ODD_RESULTS)
def test_a_line_of_an_odd_shape_fails_alone(adapter: type[BatchAdapter], odd: Any) -> None:
    names = {"custom_id": "a-1", "key": "a-1", "batch_request_id": "a-1"}
    for name in ("response", "result", "batch_result", "error"):
        result = line_of(adapter, {**names, name: odd})
        assert result.error is not None and not result.error.permanent, (name, odd)
        assert result.custom_id == "a-1"
    for wrong in (odd, {"custom_id": odd, "key": odd, "batch_request_id": odd}):
        result = line_of(adapter, wrong)
        assert result.error is not None
        assert result.custom_id == (odd if isinstance(wrong, dict) and isinstance(odd, str) and wrong else "")


@every_adapter
@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b'{"x": NaN}',
        b"[" * 100_000,
        b'{"custom_id": "a b", "key": "a b", "batch_request_id": "a b", "x',
        b'{"text": "\\"custom_id\\": \\"a-1\\", \\"key\\": \\"a-1\\"',
        b"\0",
    ],
)
def test_a_line_that_is_no_json_fails_alone(adapter: type[BatchAdapter], line: bytes) -> None:
    result = line_of(adapter, line)
    assert result.custom_id == ""
    assert result.error is not None and result.error.code == "invalid_response"

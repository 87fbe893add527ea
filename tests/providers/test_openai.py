from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
from PIL import Image as Pillow

from providers.ai.openai import OpenAI
from providers.base import ChatAnswer, ChatRequest, ErrorCategory, Image, Limits, ProviderError
from tests.providers.raw_answers import Answering, RawServer, answering, json_response
from tests.sandbox_fixture import SandboxServer

RATING_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["starRating", "colorLabel", "title", "description", "tags"],
    "properties": {
        "starRating": {"type": "integer", "minimum": 1, "maximum": 5},
        "colorLabel": {"type": "string", "enum": ["red", "yellow", "green", "blue", "purple", "none"]},
        "title": {"type": "string"},
        "description": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}


def openai(url: str) -> OpenAI:
    return OpenAI(alias="openai", base_url=f"{url}/openai/v1", key="key", model="gpt-5", limits=Limits())


def ask(url: str, **options: Any) -> ChatAnswer:
    options = {"prompt": "Rate this photo.", "reference": "attempt-1", "timeout_seconds": 5, **options}
    return openai(url).complete(ChatRequest(**options))


def picture(color: str = "white") -> bytes:
    file = io.BytesIO()
    Pillow.new("RGB", (64, 48), color).save(file, "PNG")
    return file.getvalue()


def answered(status: int, content: Any, seen: list[bytes] | None = None) -> Answering:
    return answering(json_response(content, status, x_request_id="req_1", connection="close"), seen=seen)


def completion(finish_reason: str = "stop", **message: Any) -> dict[str, Any]:
    return {"model": "gpt-5-2026", "choices": [{"finish_reason": finish_reason, "message": message}]}


def test_a_photo_sent_inline_is_measured(sandbox: SandboxServer) -> None:
    data = picture()
    answer = ask(sandbox.url, images=(Image(data=data, media_type="image/png"),), schema=RATING_SCHEMA)
    rating = json.loads(answer.text)
    jsonschema.validate(rating, RATING_SCHEMA)
    assert "overexposed" in rating["tags"]
    assert sandbox.log()[0]["image"] == f"sha256:{hashlib.sha256(data).hexdigest()[:16]}"
    assert (answer.model, answer.finish_reason) == ("gpt-5", "stop")
    assert answer.input_tokens > 0 and answer.output_tokens > 0 and answer.request_id


def test_a_photo_given_by_url_is_rated_from_its_address(sandbox: SandboxServer) -> None:
    answer = ask(sandbox.url, images=(Image(url="https://example.com/1.jpg"),), schema=RATING_SCHEMA)
    jsonschema.validate(json.loads(answer.text), RATING_SCHEMA)
    assert "the sandbox fetches nothing" in json.loads(answer.text)["description"]
    assert sandbox.log()[0]["image"] == "https://example.com/1.jpg"


def test_several_photos_beside_each_other(raw_server: RawServer) -> None:
    seen: list[bytes] = []
    url = raw_server(answered(200, completion(content="Good."), seen))
    images = (Image(data=b"one"), Image(url="https://example.com/2.jpg"), Image(data=b"three", media_type="image/webp"))
    ask(url, images=images, system_prompt="Be kind.", max_output_tokens=100, model="gpt-6")
    body = json.loads(seen[0].partition(b"\r\n\r\n")[2])
    assert (body["model"], body["max_completion_tokens"]) == ("gpt-6", 100)
    assert body["messages"][0] == {"role": "system", "content": "Be kind."}
    assert body["messages"][1]["content"] == [
        {"type": "text", "text": "Rate this photo."},
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,b25l"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/2.jpg"}},
        {"type": "image_url", "image_url": {"url": "data:image/webp;base64,dGhyZWU="}},
    ]


def test_a_picture_that_is_none_is_permanent(sandbox: SandboxServer) -> None:
    with pytest.raises(ProviderError) as caught:
        ask(sandbox.url, images=(Image(data=b"no picture"),))
    assert (caught.value.code, caught.value.permanent) == ("invalid_image_format", True)
    assert sandbox.log()[0]["accepted"] is False


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": {"type": "string", "minLength": 9}, "b": {"type": ["null", "number"]}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"enum": [3, 4]}}},
        {"type": "object", "properties": {"a": {"type": "array", "minItems": 2, "items": {"type": "boolean"}}}},
        {"type": "object", "properties": {"a": {"anyOf": [{"const": 7}, {"type": "null"}]}, "b": {"format": "date"}}},
        {"type": "object", "properties": {"a": {"type": "integer", "exclusiveMinimum": 4, "maximum": 9}}},
        {"type": "object", "properties": {"score": {"type": "number", "minimum": 0, "maximum": 1}, "tags": {}}},
    ],
)
def test_any_schema_is_satisfied(sandbox: SandboxServer, schema: dict[str, Any]) -> None:
    schema["required"] = list(schema["properties"])
    answer = json.loads(ask(sandbox.url, schema=schema).text)
    jsonschema.validate(answer, schema)
    assert answer.keys() == schema["properties"].keys()


def test_a_recursive_schema_ends(sandbox: SandboxServer) -> None:
    assert ask(sandbox.url, schema={"type": "object", "properties": {"child": {"$ref": "#"}}}).text


def test_plain_text(sandbox: SandboxServer) -> None:
    assert ask(sandbox.url, prompt="one two three").text.startswith("words: 3;")


@pytest.mark.parametrize(
    ("content", "category", "permanent"),
    [
        (completion(content=None, refusal="I will not."), ErrorCategory.CONTENT, True),
        (completion("content_filter", content=""), ErrorCategory.CONTENT, True),
        (completion("length", content="cut o"), ErrorCategory.SERVER, False),
        (completion(content=""), ErrorCategory.SERVER, False),
        (completion(content=["a"]), ErrorCategory.SERVER, False),
    ],
    ids=["refusal", "filter", "length", "empty", "no text"],
)
def test_answers_that_are_none(raw_server: RawServer, content: Any, category: ErrorCategory, permanent: bool) -> None:
    with pytest.raises(ProviderError) as caught:
        ask(raw_server(answered(200, content)))
    assert (caught.value.category, caught.value.permanent) == (category, permanent)
    assert caught.value.request_id == "req_1"


@pytest.mark.parametrize(
    ("status", "code", "category", "permanent"),
    [
        (429, "rate_limit_exceeded", ErrorCategory.RATE_LIMIT, False),
        (429, "slow_down", ErrorCategory.RATE_LIMIT, False),
        (429, "credit_balance_exhausted", ErrorCategory.BUDGET, True),
        (429, "project_spend_limit_exceeded", ErrorCategory.BUDGET, True),
        (503, "server_is_overloaded", ErrorCategory.SERVER, False),
        (400, "content_policy_violation", ErrorCategory.CONTENT, True),
        (404, "model_not_found", ErrorCategory.NOT_FOUND, True),
    ],
)
def test_codes(raw_server: RawServer, status: int, code: str, category: ErrorCategory, permanent: bool) -> None:
    with pytest.raises(ProviderError) as caught:
        ask(raw_server(answered(status, {"error": {"message": "m", "type": "insufficient_quota", "code": code}})))
    error = caught.value
    assert (error.code, error.category, error.permanent) == (code, category, permanent)

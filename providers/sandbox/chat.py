"""OpenAI's chat completions, with vision and structured outputs, answered by measuring photos and texts."""

from __future__ import annotations

import asyncio
import binascii
import hashlib
import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from providers.sandbox import conversations, photos, schemas, texts
from providers.sandbox.wire import Answer, Call, Request

RATING = frozenset({"starRating", "colorLabel", "title", "description", "tags"})
REMEMBERED_PHOTOS = 100_000
CODES = {
    401: "invalid_api_key",
    402: "credit_balance_exhausted",
    404: "model_not_found",
    429: "rate_limit_exceeded",
    503: "server_is_overloaded",
}


@dataclass(slots=True)
class Question:
    """The parts of a chat completion request that shape the answer."""

    model: str
    text: str
    address: str | None
    photo: bytes | None
    schema: dict[str, Any] | None


class Chat:
    """Speaks OpenAI."""

    name = "openai"

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        # Decoding releases the interpreter lock, so the loop keeps answering meanwhile.
        self._decoders = ThreadPoolExecutor(max_workers=2, thread_name_prefix="photo")
        self._ratings: dict[str, asyncio.Future[dict[str, Any]]] = {}

    def read(self, request: Request) -> Call:
        call = Call(reference=request.header(b"x-client-request-id"))
        try:
            call.work = question = self.question(json.loads(request.body), request.path)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            call.refusal = self.refuse(400, "invalid_json", "The body is not a question to a model.")
            return call
        if question.photo is not None:
            call.image = f"sha256:{hashlib.sha256(question.photo).hexdigest()[:16]}"
        else:
            call.image = question.address
        if not self.has_key(request):
            call.refusal = self.refuse(401, "invalid_api_key", "You didn't provide an API key.")
        elif request.method != "POST":
            call.refusal = self.refuse(405, "method_not_supported", "Only POST is supported.")
        return call

    async def act(self, call: Call) -> Answer:
        question: Question = call.work
        rating: dict[str, Any] | None = None
        if question.photo is not None and call.image is not None:
            try:
                rating = await self._rate(call.image, question.photo)
            except Exception:  # Pillow raises many kinds for bytes that are no picture
                return self.refuse(400, "invalid_image_format", "The image could not be read.")
        elif question.address is not None:
            rating = photos.rate_address(question.address)
        return self.completion(question, _content(question, rating))

    async def _rate(self, key: str, photo: bytes) -> dict[str, Any]:
        rating = self._ratings.get(key)
        if rating is None:
            if len(self._ratings) >= REMEMBERED_PHOTOS:
                self._ratings.clear()
            loop = asyncio.get_running_loop()
            rating = loop.run_in_executor(self._decoders, lambda: photos.rate(photos.measure(photo)))
            self._ratings[key] = rating
        return await rating

    def has_key(self, request: Request) -> bool:
        """Whether a key came along; any will do."""
        return (request.header(b"authorization") or "").startswith("Bearer ")

    def question(self, body: dict[str, Any], path: str) -> Question:
        """What is asked. Raises anything for a body that asks nothing."""
        return _question(body)

    def completion(self, question: Question, content: str) -> Answer:
        """The answer in the provider's shape."""
        number = self.number()
        prompt_tokens, completion_tokens = tokens(question, content)
        return Answer.of(
            200,
            {
                "id": f"chatcmpl-sandbox{number}",
                "object": "chat.completion",
                "created": int(time.time()),
                "model": question.model,
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": content, "refusal": None},
                        "finish_reason": "stop",
                    }
                ],
                "usage": {
                    "prompt_tokens": prompt_tokens,
                    "completion_tokens": completion_tokens,
                    "total_tokens": prompt_tokens + completion_tokens,
                },
            },
            (b"x-request-id", b"req_sandbox%d" % number),
        )

    def error(self, status: int, *, permanent: bool = False, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
        code = "content_policy_violation" if permanent else CODES.get(status, "server_error" if status >= 500 else None)
        return self.refuse(status, code, "The sandbox was told to fail.", headers)

    def number(self) -> int:
        """The next number for an id."""
        return next(self._numbers)

    def refuse(
        self, status: int, code: str | None, message: str, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> Answer:
        """An error in the provider's shape."""
        kind = "server_error" if status >= 500 else "requests" if status == 429 else "invalid_request_error"
        error = {"message": message, "type": kind, "param": None, "code": code}
        return Answer.of(status, {"error": error}, (b"x-request-id", b"req_sandbox%d" % self.number()), *headers)


def tokens(question: Question, content: str) -> tuple[int, int]:
    """What the question and the answer count as: four letters a token, and a fixed number for a picture."""
    picture = 0 if question.address is None and question.photo is None else 85
    return 8 + len(question.text) // 4 + picture, 1 + len(content) // 4


def _question(body: dict[str, Any]) -> Question:
    texts: list[str] = []
    images: list[str] = []
    for message in body["messages"]:
        content = message["content"]
        if isinstance(content, str):
            texts.append(content)
            continue
        for part in content:
            if part["type"] == "text":
                texts.append(part["text"])
            elif part["type"] == "image_url":
                images.append(part["image_url"]["url"])
    question = Question(str(body["model"]), "\n".join(texts), None, None, _schema(body.get("response_format")))
    if images and images[0].startswith("data:"):
        question.photo = binascii.a2b_base64(images[0].partition(",")[2])
    elif images:
        question.address = images[0]
    return question


def _schema(response_format: dict[str, Any] | None) -> dict[str, Any] | None:
    if not response_format or response_format.get("type") == "text":
        return None
    if response_format["type"] == "json_object":
        return {"type": "object", "properties": {"answer": {"type": "string"}}}
    schema: dict[str, Any] = response_format["json_schema"]["schema"]
    return schema


def _content(question: Question, rating: dict[str, Any] | None) -> str:
    if question.schema is None:
        if rating is not None:
            return str(rating["description"])
        if (document := texts.document_in(question.text)) != question.text:
            return str(texts.describe(document)["summary"])
        return f"words: {len(question.text.split())}; the sandbox read them and has nothing to add."
    properties = question.schema.get("properties", {})
    if rating is not None:
        known = rating if RATING & properties.keys() else None
    else:
        document = texts.document_in(question.text)
        known = texts.known_values(document, properties) | conversations.known_values(document, properties) or None
    return json.dumps(schemas.instance(question.schema, known))

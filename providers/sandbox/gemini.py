"""Gemini's generateContent, answered as the chat completions are."""

from __future__ import annotations

import binascii
from typing import Any

from providers.sandbox.chat import Chat, Question, tokens
from providers.sandbox.wire import Answer, Request

STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class GenerateContent(Chat):
    """Speaks Gemini."""

    name = "gemini"

    def has_key(self, request: Request) -> bool:
        return bool(request.header(b"x-goog-api-key"))

    def question(self, body: dict[str, Any], path: str) -> Question:
        contents = [*body["contents"]]
        if body.get("systemInstruction"):
            contents.insert(0, body["systemInstruction"])
        parts = [part for content in contents for part in content["parts"]]
        settings = body.get("generationConfig") or {}
        question = Question(
            model=path.rpartition("/")[2].partition(":")[0],
            text="\n".join(part["text"] for part in parts if "text" in part),
            address=next((part["fileData"]["fileUri"] for part in parts if "fileData" in part), None),
            photo=None,
            schema=settings.get("responseJsonSchema"),
        )
        data = next((part["inlineData"]["data"] for part in parts if "inlineData" in part), None)
        if data is not None:
            question.photo = binascii.a2b_base64(data)
        return question

    def completion(self, question: Question, content: str) -> Answer:
        prompt_tokens, answer_tokens = tokens(question, content)
        candidate = {"content": {"role": "model", "parts": [{"text": content}]}, "finishReason": "STOP", "index": 0}
        usage = {
            "promptTokenCount": prompt_tokens,
            "candidatesTokenCount": answer_tokens,
            "totalTokenCount": prompt_tokens + answer_tokens,
        }
        content_of_answer = {
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": question.model,
            "responseId": f"sandbox{self.number()}",
        }
        return Answer.of(200, content_of_answer)

    def refuse(
        self, status: int, code: str | None, message: str, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> Answer:
        """It has no Retry-After: how long to wait stands in the body."""
        error: dict[str, Any] = {"code": status, "message": message, "status": STATUSES.get(status, "INTERNAL")}
        asked = dict(headers).get(b"retry-after")
        if asked is not None:
            delay = f"{asked.decode()}s"
            error["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]
        return Answer.of(status, {"error": error}, *(each for each in headers if each[0] != b"retry-after"))

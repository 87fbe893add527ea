"""Anthropic's messages, answered as the chat completions are."""

from __future__ import annotations

import binascii
from typing import Any

from providers.sandbox.chat import Chat, Question, tokens
from providers.sandbox.wire import Answer, Request

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class Messages(Chat):
    """Speaks Anthropic."""

    name = "anthropic"

    def has_key(self, request: Request) -> bool:
        """The key's own header or Bearer; the version has to be there as well."""
        return bool(request.header(b"x-api-key") or super().has_key(request)) and bool(
            request.header(b"anthropic-version")
        )

    def question(self, body: dict[str, Any], path: str) -> Question:
        if not isinstance(body["max_tokens"], int):
            raise ValueError("max_tokens is required")
        texts = [str(body.get("system") or "")]
        sources: list[dict[str, Any]] = []
        for message in body["messages"]:
            content = message["content"]
            parts: list[dict[str, Any]] = [{"type": "text", "text": content}] if isinstance(content, str) else content
            texts += [part["text"] for part in parts if part["type"] == "text"]
            sources += [part["source"] for part in parts if part["type"] == "image"]
        schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
        question = Question(str(body["model"]), "\n".join(texts), None, None, schema)
        if sources and sources[0]["type"] == "base64":
            question.photo = binascii.a2b_base64(sources[0]["data"])
        elif sources:
            question.address = sources[0]["url"]
        return question

    def completion(self, question: Question, content: str) -> Answer:
        number = self.number()
        input_tokens, output_tokens = tokens(question, content)
        message = {
            "id": f"msg_sandbox{number}",
            "type": "message",
            "role": "assistant",
            "model": question.model,
            "content": [{"type": "text", "text": content}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": input_tokens, "output_tokens": output_tokens},
        }
        return Answer.of(200, message, (b"request-id", b"req_sandbox%d" % number))

    def refuse(
        self, status: int, code: str | None, message: str, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> Answer:
        number = self.number()
        kind = KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
        body = {
            "type": "error",
            "error": {"type": kind, "message": message},
            "request_id": f"req_sandbox{number}",
        }
        return Answer.of(status, body, (b"request-id", b"req_sandbox%d" % number), *headers)

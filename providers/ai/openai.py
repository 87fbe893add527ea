"""OpenAI's chat completions, and whoever speaks like them."""

from __future__ import annotations

import secrets
from base64 import b64encode
from itertools import count
from typing import Any, ClassVar

import orjson

from providers.base import ChatAnswer, ChatRequest, ErrorCategory, Image, Limits, ProviderError
from providers.http import HttpClient, Response, Verdict, refined

# No money, however the status reads: waiting does not help.
BILLING_CODES = frozenset(
    {
        "billing_hard_limit_reached",
        "billing_not_active",
        "credit_balance_exhausted",
        "insufficient_quota",
        "organization_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "project_spend_limit_exceeded",
    }
)
# Stands in for a photo while the rest is encoded: to escape a photo's base64 costs five times the rest of the call.
PLACE = secrets.token_hex(16)
CONTENT_CODES = frozenset({"content_filter", "content_policy_violation"})


class OpenAI:
    """Chat with vision and structured output."""

    idempotent: ClassVar[bool] = True
    departs: ClassVar[bool] = True

    def __init__(
        self, *, alias: str, base_url: str, key: str, model: str, limits: Limits, uses_sandbox: bool = False
    ) -> None:
        self.alias = alias
        self.model = model
        self.limits = limits
        self.uses_sandbox = uses_sandbox
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._http = HttpClient(alias, base_url, headers=headers, refine=_refine)

    def complete(self, request: ChatRequest) -> ChatAnswer:
        response = self._http.post(
            "/chat/completions",
            self._encoded(request),
            headers={"X-Client-Request-Id": request.reference},
            timeout_seconds=request.timeout_seconds,
        )
        return self._answer(response)

    def _encoded(self, request: ChatRequest) -> bytes:
        encoded = orjson.dumps(self._body(request))
        for number, image in enumerate(request.images):
            if image.data is not None:
                encoded = encoded.replace(_mark(number).encode(), b64encode(image.data))
        return encoded

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        content: Any = request.prompt
        if request.images:
            content = [{"type": "text", "text": request.prompt}, *map(_image_part, request.images, count())]
        messages = [{"role": "user", "content": content}]
        if request.system_prompt:
            messages.insert(0, {"role": "system", "content": request.system_prompt})
        body: dict[str, Any] = {"model": request.model or self.model, "messages": messages}
        if request.max_output_tokens is not None:
            body["max_completion_tokens"] = request.max_output_tokens
        if request.schema is not None:
            schema = {"name": request.schema_name, "schema": request.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    def _answer(self, response: Response) -> ChatAnswer:
        try:
            choice = response.parsed["choices"][0]
            message, finish_reason = choice["message"], choice["finish_reason"]
            usage = response.parsed.get("usage") or {}
            answer = ChatAnswer(
                text=message.get("content") or "",
                model=response.parsed.get("model") or self.model,
                input_tokens=int(usage.get("prompt_tokens") or 0),
                output_tokens=int(usage.get("completion_tokens") or 0),
                finish_reason=finish_reason or "stop",
                request_id=response.request_id,
            )
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            raise self._http.invalid_response(response, "a body that is no chat completion") from None
        if message.get("refusal") or finish_reason == "content_filter":
            raise self._refusal(response)
        if finish_reason == "length":
            raise self._http.invalid_response(response, "an answer cut off at its token limit")
        if not isinstance(answer.text, str) or not answer.text:
            raise self._http.invalid_response(response, "no text")
        return answer

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


def _image_part(image: Image, number: int) -> dict[str, Any]:
    url = image.url if image.data is None else f"data:{image.media_type};base64,{_mark(number)}"
    return {"type": "image_url", "image_url": {"url": url}}


def _mark(number: int) -> str:
    return f"{PLACE}-{number}-"


def _refine(status: int, body: Any, verdict: Verdict) -> Verdict:
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return verdict
    code = error.get("code") or error.get("type")
    if code in BILLING_CODES:
        return refined(verdict, code, category=ErrorCategory.BUDGET, permanent=True)
    if code in CONTENT_CODES:
        return refined(verdict, code, category=ErrorCategory.CONTENT, permanent=True)
    return refined(verdict, code)

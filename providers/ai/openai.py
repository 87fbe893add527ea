"""OpenAI's chat completions, and whoever speaks like them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.ai.batches.openai import OpenAIBatches
from providers.ai.chat import Ending, Reading, place, tokens
from providers.base import ChatRequest, ErrorCategory, Image
from providers.http import Verdict, code_among, refined

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
CONTENT_CODES = frozenset({"content_filter", "content_policy_violation", "moderation_blocked"})
ENDINGS = {"length": Ending.CUT, "content_filter": Ending.REFUSED}


class OpenAI(OpenAIBatches):
    """Chat with vision and structured output, one at a time or in batches."""

    def headers(self, key: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {key}"}

    def path(self, model: str) -> str:
        return "/chat/completions"

    def body(self, request: ChatRequest, model: str) -> dict[str, Any]:
        content: Any = request.prompt
        if request.images:
            photos = [_image_part(image, number) for number, image in enumerate(request.images)]
            content = [{"type": "text", "text": request.prompt}, *photos]
        messages = [{"role": "user", "content": content}]
        if request.system_prompt:
            messages.insert(0, {"role": "system", "content": request.system_prompt})
        body: dict[str, Any] = {"model": model, "messages": messages}
        if request.max_output_tokens is not None:
            body["max_completion_tokens"] = request.max_output_tokens
        if request.schema is not None:
            schema = {"name": request.schema_name, "schema": request.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    def read(self, answer: Any) -> Reading:
        choice, usage = answer["choices"][0], answer.get("usage")
        message = choice["message"]
        ending = ENDINGS.get(choice["finish_reason"], Ending.COMPLETE)
        return Reading(
            text=message.get("content"),
            ending=Ending.REFUSED if message.get("refusal") else ending,
            model=answer.get("model"),
            input_tokens=tokens(usage, "prompt_tokens"),
            output_tokens=tokens(usage, "completion_tokens"),
        )

    def refine(self, status: int, body: Any, verdict: Verdict) -> Verdict:
        return refined_by_code(status, body, verdict)


def _image_part(image: Image, number: int) -> dict[str, Any]:
    url = image.url if image.data is None else f"data:{image.media_type};base64,{place(number)}"
    return {"type": "image_url", "image_url": {"url": url}}


def refined_by_code(status: int, body: Any, verdict: Verdict) -> Verdict:
    """What OpenAI's own error code adds to what the status says."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return verdict
    code = code_among(error.get("code"), error.get("type"))
    if code in BILLING_CODES:
        return refined(verdict, code, category=ErrorCategory.BUDGET, permanent=True)
    if code in CONTENT_CODES:
        return refined(verdict, code, category=ErrorCategory.CONTENT, permanent=True)
    return refined(verdict, code)

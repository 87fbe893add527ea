"""Anthropic's messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.ai.batches.anthropic import AnthropicBatches
from providers.ai.chat import Ending, Reading, place, tokens
from providers.base import ChatRequest, ErrorCategory, Image, Limits
from providers.http import Ceilings, Verdict, ceilings, code_among, refined

DEFAULT_VERSION = "2023-06-01"
MOST_OUTPUT_TOKENS = 4096
"""Asked for when the request names no number: the provider demands one."""
BILLING_CODES = frozenset({"billing_error", "contract_spend_limit_reached", "enforced_spend_limit_reached"})
INPUT_COUNTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
ENDINGS = {
    "max_tokens": Ending.CUT,
    "model_context_window_exceeded": Ending.CUT,
    "pause_turn": Ending.CUT,
    "refusal": Ending.REFUSED,
}


class Anthropic(AnthropicBatches):
    """Chat with vision and structured output, one at a time or in batches.

    ``version``: the header ``anthropic-version``.
    """

    def __init__(
        self,
        *,
        alias: str,
        base_url: str,
        key: str,
        model: str,
        limits: Limits,
        uses_sandbox: bool = False,
        version: str = DEFAULT_VERSION,
    ) -> None:
        self._version = version
        super().__init__(alias=alias, base_url=base_url, key=key, model=model, limits=limits, uses_sandbox=uses_sandbox)

    def headers(self, key: str) -> Mapping[str, str]:
        return {"x-api-key": key, "anthropic-version": self._version}

    def path(self, model: str) -> str:
        return "/v1/messages"

    def body(self, request: ChatRequest, model: str) -> dict[str, Any]:
        photos = [_image_part(image, number) for number, image in enumerate(request.images)]
        body: dict[str, Any] = {
            "model": model,
            "max_tokens": request.max_output_tokens or MOST_OUTPUT_TOKENS,
            "messages": [{"role": "user", "content": [*photos, {"type": "text", "text": request.prompt}]}],
        }
        if request.system_prompt:
            body["system"] = request.system_prompt
        if request.schema is not None:
            body["output_config"] = {"format": {"type": "json_schema", "schema": request.schema}}
        return body

    def ceilings(self, headers: Mapping[str, str]) -> Ceilings:
        return ceilings.of_anthropic(headers)

    def read(self, answer: Any) -> Reading:
        usage = answer.get("usage")
        return Reading(
            text="".join(part["text"] for part in answer["content"] if part["type"] == "text"),
            ending=ENDINGS.get(answer["stop_reason"], Ending.COMPLETE),
            model=answer.get("model"),
            input_tokens=tokens(usage, *INPUT_COUNTS),
            output_tokens=tokens(usage, "output_tokens"),
        )

    def refine(self, status: int, body: Any, verdict: Verdict) -> Verdict:
        error = body.get("error") if isinstance(body, dict) else None
        if not isinstance(error, dict):
            return verdict
        details = error.get("details")
        kind = code_among(error.get("type"))
        code = code_among(details.get("error_code") if isinstance(details, dict) else None, kind)
        if code in BILLING_CODES or kind in BILLING_CODES:
            return refined(verdict, code, category=ErrorCategory.BUDGET, permanent=True)
        return refined(verdict, code)


def _image_part(image: Image, number: int) -> dict[str, Any]:
    if image.data is None:
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    return {"type": "image", "source": {"type": "base64", "media_type": image.media_type, "data": place(number)}}

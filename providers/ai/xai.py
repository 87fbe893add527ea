"""xAI's Grok, which speaks like OpenAI but for its errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from providers.ai.batches.xai import XAIBatches
from providers.ai.chat import Reading, tokens
from providers.ai.openai import OpenAI
from providers.base import ErrorCategory
from providers.http import Verdict, refined

NO_MONEY = ("credit", "spending limit")


class XAI(XAIBatches, OpenAI):
    """Chat with vision and structured output, one at a time or in batches."""

    def read(self, answer: Any) -> Reading:
        """Thoughts are billed as output, but may be missing in ``completion_tokens``: the total has them."""
        reading, usage = super().read(answer), answer.get("usage")
        thought = tokens(usage, "total_tokens") - reading.input_tokens
        return replace(reading, output_tokens=max(reading.output_tokens, thought))

    def refine(self, status: int, body: Any, verdict: Verdict) -> Verdict:
        """Errors are flat, ``{"code", "error"}``, or OpenAI's; a 429 for want of money only its words tell."""
        if not isinstance(body, dict):
            return verdict
        error = body.get("error")
        words = error.get("message") if isinstance(error, dict) else error
        if isinstance(error, dict):
            verdict = super().refine(status, body, verdict)
        else:
            code = str(body.get("code") or "").lower().replace(" ", "_")
            verdict = refined(verdict, code or verdict.code)
        if status == 429 and isinstance(words, str) and any(sign in words.lower() for sign in NO_MONEY):
            return refined(verdict, verdict.code, category=ErrorCategory.BUDGET, permanent=True)
        return verdict

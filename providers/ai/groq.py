"""Groq, which speaks like OpenAI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.ai.batches.groq import GroqBatches
from providers.ai.openai import OpenAI
from providers.base import ErrorCategory
from providers.http import Ceilings, Verdict, ceilings, refined

NO_CAPACITY = 498
"""Its own status for a flex request that found no room."""


class Groq(GroqBatches, OpenAI):
    """Chat with vision and structured output, one at a time or in batches."""

    def ceilings(self, headers: Mapping[str, str]) -> Ceilings:
        return ceilings.of_groq(headers)

    def refine(self, status: int, body: Any, verdict: Verdict) -> Verdict:
        verdict = super().refine(status, body, verdict)
        if status == NO_CAPACITY:
            return refined(verdict, verdict.code, category=ErrorCategory.SERVER, permanent=False)
        return verdict

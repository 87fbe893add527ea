"""Groq's batches: OpenAI's objects, another list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode

from providers.ai.batches.listing import Page
from providers.ai.batches.openai import OpenAIBatches
from providers.base import BatchLimits


class GroqBatches(OpenAIBatches):
    """As :class:`OpenAIBatches`; a wrong line fails alone, and the file of errors holds what was not run, too."""

    # "Max requests 50,000; max size 200 MB (docs) / 100 MB (SDK)": the smaller one is safe.
    batch_limits: ClassVar[BatchLimits] = BatchLimits(lines=50_000, size=100_000_000)

    upload_fields: ClassVar[Mapping[str, str]] = {"purpose": "batch"}
    order_fields: ClassVar[Mapping[str, Any]] = {}

    def page(self, cursor: str | None) -> Page:
        """By ``paging.next_cursor``; where it is missing, as OpenAI's."""
        query = {"limit": 100} | ({"cursor": cursor} if cursor else {})
        content = self.call("GET", f"/batches?{urlencode(query)}").parsed
        following = (content.get("paging") or {}).get("next_cursor")
        return Page(content["data"], following if isinstance(following, str) and following else None)

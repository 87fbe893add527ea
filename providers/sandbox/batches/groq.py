"""Groq's batches: OpenAI's, but that a wrong line fails alone and lists have cursors."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from providers.sandbox.batches.files import StoredFile
from providers.sandbox.batches.openai import OpenAIBatches
from providers.sandbox.batches.openai_lines import FileLines
from providers.sandbox.batches.work import Work
from providers.sandbox.wire import Answer, Request

WINDOWS = re.compile(r"(2[4-9]|[3-9]\d|1[0-5]\d|16[0-8])h|[1-7]d")


class GroqLines(FileLines):
    """A wrong line does not refuse the batch."""

    refuses_wrong_lines = False


class GroqBatches(OpenAIBatches):
    """Speaks Groq."""

    name = "groq"
    spelling: ClassVar[FileLines] = GroqLines()

    def takes(self, order: dict[str, Any]) -> bool:
        return order["endpoint"] == "/v1/chat/completions" and bool(WINDOWS.fullmatch(order["completion_window"]))

    def file_object(self, stored: StoredFile) -> dict[str, Any]:
        described = super().file_object(stored)
        del described["status"]
        return described

    def errors(self, work: Work) -> Any:
        return super().errors(work)["data"]  # bare

    async def batches(self, request: Request, match: re.Match[str]) -> Answer:
        works = list(self.works(request))
        cursor = request.query.get("cursor", "0")
        first = int(cursor) if cursor.isascii() and cursor.isdigit() else 0
        end = first + self.page_size(request)
        listed = [self.batch_object(work) for work in works[first:end]]
        paging = {"next_cursor": str(end) if end < len(works) else None}
        return Answer.of(200, {"object": "list", "data": listed, "paging": paging})

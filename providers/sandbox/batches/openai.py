"""OpenAI's batches."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from providers.sandbox.batches.openai_files import OpenAIFiles
from providers.sandbox.batches.openai_lines import ENDPOINT, FileLines
from providers.sandbox.batches.spelling import Phase, Problem
from providers.sandbox.batches.surface import Route, json_of, new_id
from providers.sandbox.batches.work import Work
from providers.sandbox.wire import Answer, Request

STATUSES = {
    Phase.CHECKING: "validating",
    Phase.RUNNING: "in_progress",
    Phase.FINISHING: "finalizing",
    Phase.CANCELLING: "cancelling",
    Phase.REFUSED: "failed",
    Phase.CANCELLED: "cancelled",
    Phase.EXPIRED: "expired",
    Phase.COMPLETED: "completed",
}
DAY = 86_400


class OpenAIBatches(OpenAIFiles):
    """Speaks OpenAI."""

    name = "openai"
    spelling: ClassVar[FileLines] = FileLines()

    def routes(self) -> list[Route]:
        batch = r"/batches/([\w-]+)"
        return [
            *super().routes(),
            Route("POST", "/batches", self.create, creates=True),
            Route("GET", "/batches", self.batches),
            Route("GET", batch, self.batch),
            Route("POST", f"{batch}/cancel", self.cancel),
        ]

    def marker(self, request: Request) -> str | None:
        try:
            return str(next(iter((json_of(request).get("metadata") or {}).values()), "")) or None
        except (ValueError, AttributeError):
            return None

    async def create(self, request: Request, match: re.Match[str]) -> Answer:
        try:
            order = json_of(request)
            file_id, usable = order["input_file_id"], self.takes(order)
        except (ValueError, KeyError, TypeError, AttributeError):
            return self.chat.refuse(400, "invalid_request", "The body is not an order of a batch.")
        stored = self.house.files.get(file_id, request.alias) if isinstance(file_id, str) else None
        if stored is None:
            return self.nothing("file")
        if not usable:
            return self.chat.refuse(400, "invalid_request", "The order holds values that are not supported.")
        described = {"order": order, "input_file_id": file_id}
        work = self.start(request, new_id("batch_"), stored.path, self.spelling, described)
        return Answer.of(200, self.batch_object(work))

    def takes(self, order: dict[str, Any]) -> bool:
        """Whether the values of an order are those there are."""
        return bool(order["endpoint"] == ENDPOINT and order["completion_window"] == "24h")

    def refusal_of(self, fault: str) -> Answer | Problem | None:
        if fault == "no_room":
            return Problem("token_limit_exceeded", "Enqueued token limit reached.")
        return Problem("invalid_json_line", "The sandbox was told to refuse it.", 1)

    def batch_object(self, work: Work) -> dict[str, Any]:
        order = work.described["order"]
        files = self._files_of(work)
        ended = None if work.ended is None else int(work.ended)
        return {
            "id": work.id,
            "object": "batch",
            "endpoint": order["endpoint"],
            "errors": self.errors(work) if work.phase is Phase.REFUSED else None,
            "input_file_id": work.described["input_file_id"],
            "completion_window": order["completion_window"],
            "status": STATUSES[work.phase],
            "output_file_id": files.get("output_file_id"),
            "error_file_id": files.get("error_file_id"),
            "created_at": int(work.created),
            "expires_at": int(work.created) + DAY,
            "completed_at": ended if work.phase is Phase.COMPLETED else None,
            "failed_at": ended if work.phase is Phase.REFUSED else None,
            "expired_at": ended if work.phase is Phase.EXPIRED else None,
            "cancelled_at": ended if work.phase is Phase.CANCELLED else None,
            "request_counts": {
                "total": work.total,
                "completed": work.counts["succeeded"],
                "failed": work.counts.total() - work.counts["succeeded"],
            },
            "metadata": order.get("metadata"),
        }

    def errors(self, work: Work) -> Any:
        listed = [
            {"code": each.code, "message": each.message, "param": None, "line": each.line}
            for each in work.problems[:50]
        ]
        return {"object": "list", "data": listed}

    def _files_of(self, work: Work) -> dict[str, str]:
        """The ids of its output and its errors, from its end on; a file of nothing is none."""
        if not work.is_ended or work.phase is Phase.REFUSED:
            return {}
        if "files" not in work.described:
            made = {"output_file_id": (work.successes, "output"), "error_file_id": (work.failures, "error")}
            work.described["files"] = {
                key: self.keep(path, work.alias, f"{work.id}_{kind}.jsonl", "batch_output").id
                for key, (path, kind) in made.items()
                if path.stat().st_size
            }
        files: dict[str, str] = work.described["files"]
        return files

    async def batch(self, request: Request, match: re.Match[str]) -> Answer:
        work = self.work_of(request, match[1])
        return self.nothing("batch") if work is None else Answer.of(200, self.batch_object(work))

    async def batches(self, request: Request, match: re.Match[str]) -> Answer:
        works = list(self.works(request))
        ids = [work.id for work in works]
        after = request.query.get("after")
        first = ids.index(after) + 1 if after in ids else 0
        shown = works[first : first + self.page_size(request)]
        return Answer.of(200, self.listed([self.batch_object(work) for work in shown], first + len(shown) < len(works)))

    def page_size(self, request: Request) -> int:
        limit = request.query.get("limit", "20")
        return min(100, max(1, int(limit))) if limit.isascii() and limit.isdigit() else 20

    def listed(self, batches: list[dict[str, Any]], more: bool) -> dict[str, Any]:
        first, last = (batches[0]["id"], batches[-1]["id"]) if batches else (None, None)
        return {"object": "list", "data": batches, "first_id": first, "last_id": last, "has_more": more}

    async def cancel(self, request: Request, match: re.Match[str]) -> Answer:
        work = self.work_of(request, match[1])
        if work is None:
            return self.nothing("batch")
        if work.is_ended:
            return self.chat.refuse(409, "invalid_batch_status", "The batch has ended.")
        work.cancel()
        return Answer.of(200, self.batch_object(work))

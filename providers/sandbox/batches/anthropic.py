"""Anthropic's message batches: no marker, no counts before the end, results line by line."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import ijson
import orjson

from providers.sandbox.batches.openai import DAY
from providers.sandbox.batches.spelling import Phase, Problem
from providers.sandbox.batches.surface import BatchSurface, Route, new_id
from providers.sandbox.batches.work import Work
from providers.sandbox.wire import Answer, Request

CUSTOM_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
MOST_LINES = 100_000
MOST_BYTES = 256_000_000


class MessageLines:
    """How Anthropic writes a request of a batch and its result."""

    refuses_wrong_lines = False

    def read_line(self, content: Any) -> tuple[str, str, Any]:
        if not CUSTOM_ID.match(content["custom_id"]):
            raise ValueError("not an id")
        return content["custom_id"], "/v1/messages", content["params"]

    def result(self, custom_id: str, answer: Answer) -> bytes:
        if answer.status < 300:
            kind = b'{"type": "succeeded", "message": ' + answer.body + b"}"
        else:
            kind = b'{"type": "errored", "error": ' + answer.body + b"}"
        return b'{"custom_id": ' + orjson.dumps(custom_id) + b', "result": ' + kind + b"}"

    def ended(self, custom_id: str, phase: Phase) -> bytes:
        kind = "canceled" if phase is Phase.CANCELLED else "expired"
        return orjson.dumps({"custom_id": custom_id, "result": {"type": kind}})

    def broken(self, custom_id: str, result: bytes) -> bytes:
        return result[: len(result) // 2]

    def wrong(self, custom_id: str, problem: Problem) -> bytes:
        error = {"type": "error", "error": {"type": "invalid_request_error", "message": problem.message}}
        return orjson.dumps({"custom_id": custom_id, "result": {"type": "errored", "error": error}})


class MessageBatches(BatchSurface):
    """Speaks Anthropic."""

    name = "anthropic"

    def routes(self) -> list[Route]:
        batch = r"/v1/messages/batches/([\w-]+)"
        return [
            Route("POST", "/v1/messages/batches", self.create, creates=True),
            Route("GET", "/v1/messages/batches", self.batches),
            Route("GET", batch, self.batch),
            Route("DELETE", batch, self.delete),
            Route("GET", f"{batch}/results", self.results),
            Route("POST", f"{batch}/cancel", self.cancel),
        ]

    def refusal_of(self, fault: str) -> Answer | Problem | None:
        if fault == "no_room":
            return self.chat.refuse(429, None, "Too many requests wait in batches.")
        return self.chat.refuse(400, None, "The sandbox was told to refuse it.")

    async def create(self, request: Request, match: re.Match[str]) -> Answer:
        upload = request.upload
        if upload is None or upload.stat().st_size > MOST_BYTES:
            return self.chat.refuse(413, None, "The body is too large.")
        lines = self.house.files.place()
        try:
            number = await asyncio.get_running_loop().run_in_executor(None, _write_lines, upload, lines)
        except (ijson.JSONError, KeyError, TypeError, ValueError) as problem:
            lines.unlink(missing_ok=True)
            return self.chat.refuse(400, None, f"requests: {type(problem).__name__}")
        self.house.files.keep(lines, file_id=new_id("file_"), alias=request.alias, name="", purpose="batch")
        work = self.start(request, new_id("msgbatch_"), lines, MessageLines(), {"number": number})
        return Answer.of(200, self.batch_object(work))

    def batch_object(self, work: Work) -> dict[str, Any]:
        counts, ended = work.counts, work.is_ended
        status = "ended" if ended else "canceling" if work.phase is Phase.CANCELLING else "in_progress"
        return {
            "id": work.id,
            "type": "message_batch",
            "processing_status": status,
            "request_counts": {
                "processing": 0 if ended else work.described["number"],
                "succeeded": counts["succeeded"] if ended else 0,
                "errored": counts["failed"] if ended else 0,
                "canceled": counts["cancelled"] if ended else 0,
                "expired": counts["expired"] if ended else 0,
            },
            "created_at": _time(work.created),
            "expires_at": _time(work.created + DAY),
            "ended_at": _time(work.ended),
            "cancel_initiated_at": _time(work.cancel_asked),
            "archived_at": None,
            "results_url": f"/v1/messages/batches/{work.id}/results" if ended else None,
        }

    async def batch(self, request: Request, match: re.Match[str]) -> Answer:
        work = self.work_of(request, match[1])
        return self.nothing("batch") if work is None else Answer.of(200, self.batch_object(work))

    async def batches(self, request: Request, match: re.Match[str]) -> Answer:
        works = list(self.works(request))
        ids = [work.id for work in works]
        after, limit = request.query.get("after_id"), request.query.get("limit", "20")
        first = ids.index(after) + 1 if after in ids else 0
        end = first + (min(1000, max(1, int(limit))) if limit.isascii() and limit.isdigit() else 20)
        listed = [self.batch_object(work) for work in works[first:end]]
        edges = (listed[0]["id"], listed[-1]["id"]) if listed else (None, None)
        more = end < len(works)
        return Answer.of(200, {"data": listed, "has_more": more, "first_id": edges[0], "last_id": edges[1]})

    async def results(self, request: Request, match: re.Match[str]) -> Answer:
        work = self.work_of(request, match[1])
        if work is None:
            return self.nothing("batch")
        if not work.is_ended:
            return self.chat.refuse(404, None, "The batch has no results yet.")
        return Answer.of_files(work.successes, work.failures)

    async def cancel(self, request: Request, match: re.Match[str]) -> Answer:
        work = self.work_of(request, match[1])
        if work is None:
            return self.nothing("batch")
        if work.is_ended:
            return self.chat.refuse(400, None, "The batch has ended.")
        work.cancel()
        return Answer.of(200, self.batch_object(work))

    async def delete(self, request: Request, match: re.Match[str]) -> Answer:
        work = self.work_of(request, match[1])
        if work is None:
            return self.nothing("batch")
        if not work.is_ended:
            return self.chat.refuse(400, None, "The batch has not ended.")
        del self.house.works[work.id]
        return Answer.of(200, {"id": work.id, "type": "message_batch_deleted"})


def _write_lines(upload: Path, lines: Path) -> int:
    """One request per line; returns their number. Raises for a body of another shape, an id that is none or twice."""
    seen: set[str] = set()
    with upload.open("rb") as body, lines.open("wb") as file:
        for each in ijson.items(body, "requests.item"):
            if not CUSTOM_ID.match(each["custom_id"]) or each["custom_id"] in seen or len(seen) >= MOST_LINES:
                raise ValueError("custom_id")
            seen.add(each["custom_id"])
            file.write(orjson.dumps(each, default=_number) + b"\n")
    if not seen:
        raise ValueError("requests")
    return len(seen)


def _number(value: Any) -> float:
    if not isinstance(value, Decimal):
        raise TypeError
    return float(value)


def _time(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")

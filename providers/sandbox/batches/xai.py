"""xAI's batches: a file of lines in, no status but what counts and dates tell, results page by page."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson

from providers.sandbox.batches.openai import DAY, OpenAIBatches
from providers.sandbox.batches.openai_lines import FileLines
from providers.sandbox.batches.spelling import Phase, Problem
from providers.sandbox.batches.surface import Route, json_of, new_id
from providers.sandbox.batches.work import Work
from providers.sandbox.wire import JSON_HEADER, Answer, Request

GRPC = {400: 3, 401: 16, 403: 7, 404: 5, 429: 8, 503: 14, 504: 4}
TICKS_PER_LINE = 1_000_000


class XAILines(FileLines):
    """Lines are OpenAI's, results its own: an answer, or a number of gRPC."""

    def result(self, custom_id: str, answer: Answer) -> bytes:
        if answer.status < 300:
            return (
                b'{"batch_request_id": '
                + orjson.dumps(custom_id)
                + b', "batch_result": {"response": {"chat_get_completion": '
                + answer.body
                + b"}}}"
            )
        message = str(json.loads(answer.body).get("error", {}).get("message"))
        return _failed(custom_id, GRPC.get(answer.status, 13), message)

    def ended(self, custom_id: str, phase: Phase) -> bytes:
        return _failed(custom_id, 1 if phase is Phase.CANCELLED else 4, f"The batch was {phase.value}.")

    def broken(self, custom_id: str, result: bytes) -> bytes:
        """A page is one document: what cannot be read is a result of another shape in it."""
        return orjson.dumps({"batch_request_id": custom_id, "batch_result": {"response": [len(result)]}})

    def wrong(self, custom_id: str, problem: Problem) -> bytes:
        return _failed(custom_id, 3, problem.message)


def _failed(custom_id: str, code: int, message: str) -> bytes:
    error = {"code": code, "message": message}
    return orjson.dumps({"batch_request_id": custom_id, "batch_result": {"error": error}})


class XAIBatches(OpenAIBatches):
    """Speaks xAI."""

    name = "xai"
    spelling: ClassVar[FileLines] = XAILines()
    needs_purpose: ClassVar[bool] = False

    def routes(self) -> list[Route]:
        batch = r"/batches/([\w-]+)"
        own = [
            Route("GET", f"{batch}/results", self.results),
            Route("POST", f"{batch}:cancel", self.cancel),
        ]
        return [*own, *(route for route in super().routes() if not route.path.endswith("/cancel"))]

    def marker(self, request: Request) -> str | None:
        try:
            name = json_of(request).get("name")
        except (ValueError, AttributeError):
            return None
        return name if isinstance(name, str) else None

    async def create(self, request: Request, match: re.Match[str]) -> Answer:
        try:
            order = json_of(request)
            name, file_id = order["name"], order["input_file_id"]
        except (ValueError, KeyError, TypeError):
            return self.chat.refuse(400, "invalid_argument", "A name and an input_file_id are required.")
        stored = self.house.files.get(file_id, request.alias) if isinstance(file_id, str) else None
        if stored is None or not isinstance(name, str):
            return self.nothing("file")
        work = self.start(request, new_id("batch_"), stored.path, self.spelling, {"name": name})
        return Answer.of(200, self.batch_object(work))

    def refusal_of(self, fault: str) -> Answer | Problem | None:
        if fault == "no_room":
            return self.chat.refuse(429, "resource_exhausted", "Too many requests wait in batches.")
        return Problem("invalid", "The sandbox was told to refuse it.")

    def batch_object(self, work: Work) -> dict[str, Any]:
        """Nothing is counted while it is parsed, nor when it was refused."""
        counts = work.counts
        return {
            "batch_id": work.id,
            "name": work.described["name"],
            "create_time": _time(work.created),
            "expire_time": _time(work.created + DAY),
            "cancel_time": _time(work.ended) if work.phase is Phase.CANCELLED else None,
            "cancel_by_xai_message": work.problems[0].message if work.phase is Phase.REFUSED else None,
            "state": {
                "num_requests": work.total,
                # Until its end one is always pending, for there is no other sign of it.
                "num_pending": work.pending if work.is_ended else min(work.total, work.pending + 1),
                "num_success": counts["succeeded"],
                "num_error": counts["failed"] + counts["expired"],
                "num_cancelled": counts["cancelled"],
            },
            "cost_breakdown": {"total_cost_usd_ticks": counts["succeeded"] * TICKS_PER_LINE},
        }

    async def batches(self, request: Request, match: re.Match[str]) -> Answer:
        works = list(self.works(request))
        token = request.query.get("pagination_token", "0")
        first = int(token) if token.isascii() and token.isdigit() else 0
        end = first + self.page_size(request)
        listed = [self.batch_object(work) for work in works[first:end]]
        return Answer.of(200, {"batches": listed, "pagination_token": str(end) if end < len(works) else ""})

    async def results(self, request: Request, match: re.Match[str]) -> Answer:
        """What there is so far: unlike the others, it shows results before the end."""
        work = self.work_of(request, match[1])
        if work is None:
            return self.nothing("batch")
        lines, token = _results_from(work, request.query.get("pagination_token", ""), self.page_size(request))
        body = b'{"results": [' + b", ".join(lines) + b'], "pagination_token": ' + orjson.dumps(token) + b"}"
        return Answer(200, body, (JSON_HEADER,))


def _results_from(work: Work, token: str, most: int) -> tuple[list[bytes], str]:
    """Results from a place on, which a token names as file and byte, and the token of what follows."""
    place = re.fullmatch(r"([01])-(\d{1,15})", token)
    number, at = (int(place[1]), int(place[2])) if place else (0, 0)
    lines: list[bytes] = []
    for path in (work.successes, work.failures)[number:]:
        if path.exists():
            with path.open("rb") as file:
                file.seek(at)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    if len(lines) == most:
                        return lines, f"{number}-{at}"
                    lines.append(line.strip())
                    at += len(line)
        number, at = number + 1, 0
    return lines, ""


def _time(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat()

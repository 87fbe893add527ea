"""Gemini's batches: a resumable upload, an operation that runs long, counts that are text."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from providers.sandbox.batches.spelling import Phase, Problem
from providers.sandbox.batches.surface import BatchSurface, Route, json_of, new_id
from providers.sandbox.batches.work import Work
from providers.sandbox.wire import Answer, Request

STATES = {
    Phase.CHECKING: "PENDING",
    Phase.RUNNING: "RUNNING",
    Phase.FINISHING: "RUNNING",
    Phase.CANCELLING: "RUNNING",
    Phase.REFUSED: "FAILED",
    Phase.CANCELLED: "CANCELLED",
    Phase.EXPIRED: "EXPIRED",
    Phase.COMPLETED: "SUCCEEDED",
}
GRPC = {400: 3, 401: 16, 403: 7, 404: 5, 429: 8, 503: 14, 504: 4}
MOST_UPLOADS = 1_000


class KeyedLines:
    """How Gemini writes a line and its result; ``model`` is that of the whole batch."""

    refuses_wrong_lines = True

    def __init__(self, model: str) -> None:
        self._path = f"/models/{model}:generateContent"

    def read_line(self, content: Any) -> tuple[str, str, Any]:
        if not isinstance(content["key"], str) or not content["request"]["contents"]:
            raise ValueError("not a question")
        return content["key"], self._path, content["request"]

    def result(self, custom_id: str, answer: Answer) -> bytes:
        opening = b'{"key": ' + orjson.dumps(custom_id)
        if answer.status < 300:
            return opening + b', "response": ' + answer.body + b"}"
        error = json.loads(answer.body)["error"]
        return opening + b', "error": ' + orjson.dumps({**error, "code": GRPC.get(answer.status, 13)}) + b"}"

    def ended(self, custom_id: str, phase: Phase) -> bytes:
        code = 1 if phase is Phase.CANCELLED else 4
        return orjson.dumps({"key": custom_id, "error": {"code": code, "message": f"The batch was {phase.value}."}})

    def broken(self, custom_id: str, result: bytes) -> bytes:
        return result[: len(result) // 2]

    def wrong(self, custom_id: str, problem: Problem) -> bytes:
        return orjson.dumps({"key": custom_id, "error": {"code": 3, "message": problem.message}})


class GenerateContentBatches(BatchSurface):
    """Speaks Gemini. ``/<version>/...``, uploads before it, downloads in both places that there are."""

    name = "gemini"

    def __init__(self, *options: Any) -> None:
        super().__init__(*options)
        self._uploads: dict[str, Path] = {}

    def routes(self) -> list[Route]:
        batch = r"^/v1\w*/(batches/[\w-]+)"
        return [
            Route("POST", r"^/upload/v1\w*/files", self.upload),
            Route("GET", r"^(?:/download)?/v1\w*/(files/[\w-]+):download", self.download),
            Route("POST", r"^/v1\w*/models/([^/:]+):batchGenerateContent", self.create, creates=True),
            Route("GET", r"^/v1\w*/batches", self.batches),
            Route("GET", batch, self.batch),
            Route("DELETE", batch, self.delete),
            Route("POST", f"{batch}:cancel", self.cancel),
        ]

    def may_enter(self, request: Request) -> bool:
        """The address that an upload was given is its key."""
        return super().may_enter(request) or request.query.get("upload_id") in self._uploads

    def marker(self, request: Request) -> str | None:
        try:
            name = json_of(request)["batch"].get("displayName")
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return name if isinstance(name, str) else None

    # --- Files ------------------------------------------------------------------------------------

    async def upload(self, request: Request, match: re.Match[str]) -> Answer:
        """The start answers with an address; what is sent there, in one piece or several, is the file."""
        command = request.header(b"x-goog-upload-command") or ""
        if command == "start":
            return self._begin(request)
        target = self._uploads.get(request.query.get("upload_id", ""))
        size = 0 if target is None or not target.exists() else target.stat().st_size
        if target is None or request.upload is None or request.header(b"x-goog-upload-offset") != str(size):
            return self.chat.refuse(400, None, "There is no such upload, or it is not as far.")
        _append(request.upload, target)
        if "finalize" not in command:
            return Answer(200, b"", ((b"x-goog-upload-status", b"active"),))
        del self._uploads[request.query["upload_id"]]
        name = f"files/{new_id('')}"
        stored = self.house.files.keep(target, file_id=name, alias=request.alias, name="", purpose="batch")
        uri = f"https://generativelanguage.googleapis.com/v1beta/{name}"
        file = {"name": name, "uri": uri, "sizeBytes": str(stored.size), "state": "ACTIVE"}
        return Answer.of(200, {"file": file}, (b"x-goog-upload-status", b"final"))

    def _begin(self, request: Request) -> Answer:
        upload_id = new_id("upload-")
        self._uploads[upload_id] = self.house.files.place()
        if len(self._uploads) > MOST_UPLOADS:
            self._uploads.pop(next(iter(self._uploads))).unlink(missing_ok=True)
        host = request.header(b"host") or ""
        url = f"http://{host}/{request.alias}{request.path}?upload_id={upload_id}&upload_protocol=resumable"
        headers = ((b"x-goog-upload-url", url.encode()), (b"x-goog-upload-status", b"active"))
        return Answer(200, b"", headers)

    async def download(self, request: Request, match: re.Match[str]) -> Answer:
        stored = self.house.files.get(match[1], request.alias)
        return self.nothing("file") if stored is None else Answer.of_files(stored.path)

    # --- Batches ----------------------------------------------------------------------------------

    async def create(self, request: Request, match: re.Match[str]) -> Answer:
        try:
            source = json_of(request)["batch"]["inputConfig"]
            lines = self._lines_of(source, request)
        except (ValueError, KeyError, TypeError, AttributeError):
            return self.chat.refuse(400, None, "The body is not an order of a batch.")
        if lines is None:
            return self.nothing("file")
        described = {"model": match[1], "inlined": "requests" in source}
        work = self.start(request, f"batches/{new_id('')}", lines, KeyedLines(match[1]), described)
        return Answer.of(200, self.operation(work))

    def _lines_of(self, source: dict[str, Any], request: Request) -> Any:
        """The file that was named, or one made of the requests that came along."""
        if "fileName" in source:
            stored = self.house.files.get(source["fileName"], request.alias)
            return None if stored is None else stored.path
        lines = self.house.files.place()
        inlined = [(each["metadata"]["key"], each["request"]) for each in source["requests"]["requests"]]
        lines.write_bytes(b"".join(orjson.dumps({"key": key, "request": body}) + b"\n" for key, body in inlined))
        self.house.files.keep(lines, file_id=new_id("files/"), alias=request.alias, name="", purpose="batch")
        return lines

    def refusal_of(self, fault: str) -> Answer | Problem | None:
        if fault == "no_room":
            return self.chat.refuse(429, None, "Too many tokens wait in batches.")
        return Problem("INVALID_ARGUMENT", "The sandbox was told to refuse it.")

    def operation(self, work: Work) -> dict[str, Any]:
        counts, refused = work.counts, work.phase is Phase.REFUSED
        metadata: dict[str, Any] = {
            "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
            "model": f"models/{work.described['model']}",
            "displayName": work.marker,
            "state": f"BATCH_STATE_{STATES[work.phase]}",
            "createTime": _time(work.created),
            "endTime": _time(work.ended),
            "name": work.id,
            "batchStats": {
                "requestCount": str(work.total),
                "successfulRequestCount": str(counts["succeeded"]),
                "failedRequestCount": str(counts.total() - counts["succeeded"]),
                "pendingRequestCount": str(work.pending),
            },
        }
        operation: dict[str, Any] = {"name": work.id, "metadata": metadata}
        if work.is_ended:
            operation["done"] = True
        if refused:
            operation["error"] = {"code": 3, "message": work.problems[0].message, "status": "INVALID_ARGUMENT"}
        elif work.phase in {Phase.COMPLETED, Phase.CANCELLED}:
            metadata["output"] = operation["response"] = self._output(work)
        return operation

    def _output(self, work: Work) -> dict[str, Any]:
        """Of one that expired there is none."""
        if work.described["inlined"]:
            lines = work.successes.read_bytes().splitlines() + work.failures.read_bytes().splitlines()
            return {"inlinedResponses": {"inlinedResponses": [_inlined(orjson.loads(line)) for line in lines]}}
        if "file" not in work.described:
            target, name = self.house.files.place(), f"files/{new_id('batch-')}"
            for results in (work.successes, work.failures):
                _append(results, target)
            self.house.files.keep(target, file_id=name, alias=work.alias, name="", purpose="batch_output")
            work.described["file"] = name
        return {"responsesFile": work.described["file"]}

    async def batch(self, request: Request, match: re.Match[str]) -> Answer:
        work = self.work_of(request, match[1])
        return self.nothing("batch") if work is None else Answer.of(200, self.operation(work))

    async def batches(self, request: Request, match: re.Match[str]) -> Answer:
        works = list(self.works(request))
        size, token = request.query.get("pageSize", "10"), request.query.get("pageToken", "0")
        first = int(token) if token.isascii() and token.isdigit() else 0
        end = first + (min(100, max(1, int(size))) if size.isascii() and size.isdigit() else 10)
        listed: dict[str, Any] = {}
        if works[first:end]:
            listed["operations"] = [self.operation(work) for work in works[first:end]]
        if end < len(works):
            listed["nextPageToken"] = str(end)
        return Answer.of(200, listed)

    async def cancel(self, request: Request, match: re.Match[str]) -> Answer:
        work = self.work_of(request, match[1])
        if work is None:
            return self.nothing("batch")
        work.cancel()
        return Answer.of(200, {})

    async def delete(self, request: Request, match: re.Match[str]) -> Answer:
        work = self.work_of(request, match[1])
        if work is None:
            return self.nothing("batch")
        work.stop()
        del self.house.works[work.id]
        return Answer.of(200, {})


def _append(piece: Path, target: Path) -> None:
    with piece.open("rb") as source, target.open("ab") as file:
        shutil.copyfileobj(source, file)


def _inlined(result: dict[str, Any]) -> dict[str, Any]:
    outcome: dict[str, Any] = {name: result[name] for name in ("response", "error") if name in result}
    return {**outcome, "metadata": {"key": result["key"]}}


def _time(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")

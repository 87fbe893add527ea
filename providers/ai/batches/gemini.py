"""Gemini's batches: a resumable upload, a long-running operation, a file of answers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

import orjson

from providers.ai.batches.adapter import ODD_SHAPE, before_creation, identifier, part, whole, word
from providers.ai.batches.gemini_files import GeminiFiles
from providers.ai.batches.grpc import CANCELLED, DEADLINE_EXCEEDED, http_status
from providers.ai.batches.listing import Page, batches_listed
from providers.ai.batches.refusals import refusal
from providers.base import (
    BatchLimits,
    ChatRequest,
    ErrorCategory,
    LineResult,
    ProviderError,
    RemoteBatch,
    RemoteState,
)
from providers.http import Response, classify

STATES = {
    "SUCCEEDED": RemoteState.ENDED,
    "PARTIALLY_SUCCEEDED": RemoteState.ENDED,
    "CANCELLED": RemoteState.ENDED,
    "EXPIRED": RemoteState.ENDED,
    "FAILED": RemoteState.FAILED,
}
"""By what follows ``BATCH_STATE_`` or ``JOB_STATE_``: both occur."""
CLOCKS_DIFFER = timedelta(minutes=10)


class GeminiBatches(GeminiFiles):
    """``POST /models/<model>:batchGenerateContent`` with a file: one model for all lines."""

    # "Max requests not stated; file 2 GB": half of it, and our own choice of a number.
    batch_limits: ClassVar[BatchLimits] = BatchLimits(lines=50_000, size=1_000_000_000)
    id_name: ClassVar[str] = "key"

    def batch_line(self, custom_id: str, request: ChatRequest) -> bytes:
        if request.model not in {None, self.model}:
            raise ProviderError(
                f"{self.alias} runs one model per batch: its own",
                category=ErrorCategory.INVALID_REQUEST,
                code="another_model",
                permanent=True,
                surely_not_sent=True,
            )
        return super().batch_line(custom_id, request)

    def encoded_line(self, custom_id: str, question: bytes) -> bytes:
        return b'{"key":"%s","request":%s}' % (custom_id.encode(), question)

    def submit_batch(self, lines: Path, number: int, marker: str) -> RemoteBatch:
        with before_creation():
            file_name = self.upload(lines, marker)
        order = {"batch": {"displayName": marker, "inputConfig": {"fileName": file_name}}}
        path = f"/models/{part(self.model)}:batchGenerateContent"
        return self._remote(self.call("POST", path, orjson.dumps(order)))

    def look_at_batch(self, remote_id: str) -> RemoteBatch:
        return self._remote(self.call("GET", f"/{part(remote_id, '/')}"))

    def cancel_path(self, remote_id: str) -> str:
        return f"/{part(remote_id, '/')}:cancel"

    def find_batch(self, marker: str, number: int, since: datetime, known: Collection[str]) -> RemoteBatch | None:
        for operation in batches_listed(self, self._page, since - CLOCKS_DIFFER):
            name = identifier(operation.get("name"))
            if name and _described(operation).get("displayName") == marker:
                return self.look_at_batch(name)
        return None

    def _page(self, cursor: str | None) -> Page:
        query: dict[str, Any] = {"pageSize": 100} | ({"pageToken": cursor} if cursor else {})
        content = self.call("GET", f"/batches?{urlencode(query)}").parsed
        # An empty list is left out.
        return Page(content.get("operations") or [], content.get("nextPageToken") or None)

    def _remote(self, response: Response) -> RemoteBatch:
        try:
            remote = self._remote_of(response.parsed)
        except ODD_SHAPE:
            raise self.no_batch(response) from None
        if not remote.id:
            raise self.no_batch(response)
        return remote

    def _remote_of(self, operation: Mapping[str, Any]) -> RemoteBatch:
        described = _described(operation)
        spelled = str(described.get("state") or "").removeprefix("BATCH_STATE_").removeprefix("JOB_STATE_")
        state = STATES.get(spelled, RemoteState.WAITING)
        if not spelled and operation.get("done"):
            state = RemoteState.FAILED if operation.get("error") else RemoteState.ENDED
        counts = {name: whole(value) or 0 for name, value in (described.get("batchStats") or {}).items()}
        output = _output(operation)
        detail: dict[str, Any] = {"state": word(spelled.lower())}
        if file_name := identifier(output.get("responsesFile")):
            detail["responses_file"] = file_name
        elif "inlinedResponses" in output:
            detail["inlined"] = True
        return RemoteBatch(
            id=identifier(operation["name"]),
            state=state,
            total=counts.get("requestCount") or None,
            finished=counts.get("successfulRequestCount", 0) + counts.get("failedRequestCount", 0),
            detail=detail,
            error=self._why(operation.get("error")) if state is RemoteState.FAILED else None,
        )

    def _why(self, error: Any) -> ProviderError:
        error = error if isinstance(error, dict) else {}
        status = http_status(error.get("code")) if error else 400
        return refusal(self, self.refine(status, {"error": error}, classify(status)), [])

    def batch_results(self, batch: RemoteBatch) -> Iterator[LineResult]:
        if file_name := batch.detail.get("responses_file"):
            yield from self.results_of(str(file_name))
        elif batch.detail.get("inlined"):
            yield from self._inlined(batch)

    def _inlined(self, batch: RemoteBatch) -> Iterator[LineResult]:
        response = self.call("GET", f"/{part(batch.id, '/')}")
        try:
            inlined = _output(response.parsed)["inlinedResponses"]
            listed = inlined["inlinedResponses"] if isinstance(inlined, dict) else inlined
            results = [self.read_result(each) for each in listed]
        except ODD_SHAPE:
            raise self.no_batch(response) from None
        yield from results

    def id_in(self, result: dict[str, Any]) -> Any:
        metadata = result.get("metadata")
        return result.get("key") or (metadata.get("key") if isinstance(metadata, dict) else None)

    def outcome(self, result: Any) -> Response | ProviderError:
        if isinstance(result.get("response"), dict):
            return Response(200, {}, b"", result["response"])
        # An error under its name, or a bare status beside the key.
        error = next((result[name] for name in ("error", "status") if isinstance(result.get(name), dict)), result)
        code = error["code"]
        if code in {CANCELLED, DEADLINE_EXCEEDED}:
            return self.ended_early("batch_cancelled" if code == CANCELLED else "batch_expired")
        return Response(http_status(code), {}, b"", {"error": error})


def _described(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = operation.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _output(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where the results are: both places occur."""
    response = operation.get("response")
    nested = response.get("output") if isinstance(response, dict) else None
    for found in (_described(operation).get("output"), nested, response):
        if isinstance(found, dict) and found.keys() & {"responsesFile", "inlinedResponses"}:
            return found
    return {}

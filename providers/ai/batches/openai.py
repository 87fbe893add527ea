"""OpenAI's batches: a file of lines in, a file of answers and one of errors out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

import orjson

from providers.ai.batches.adapter import ODD_SHAPE, BatchAdapter, before_creation, identifier, part, whole, word
from providers.ai.batches.listing import Page, batches_listed
from providers.ai.batches.refusals import batch_refusal, refused_lines
from providers.base import BatchLimits, LineResult, ProviderError, RemoteBatch, RemoteState
from providers.http import Response, form_with_file

ENDPOINT = "/v1/chat/completions"
WINDOW = "24h"
KEPT_SECONDS = 7 * 86_400
"""How long the provider keeps questions and answers: by itself 30 days, and all of its files share one quota."""
MARKER = "batchsite"
"""The name of our marker among the metadata."""
RESULT_FILES = ("output_file_id", "error_file_id")
STATES = {
    "completed": RemoteState.ENDED,
    "expired": RemoteState.ENDED,
    "cancelled": RemoteState.ENDED,
    "failed": RemoteState.FAILED,
}
ENDED_EARLY = frozenset({"batch_cancelled", "batch_expired", "request_timeout"})
CLOCKS_DIFFER = timedelta(minutes=10)


class OpenAIBatches(BatchAdapter):
    """``POST /files``, ``POST /batches``, and files again for what came of it."""

    # "Max requests 50,000; max size 200 MB"
    batch_limits: ClassVar[BatchLimits] = BatchLimits(lines=50_000, size=200_000_000)
    upload_fields: ClassVar[Mapping[str, str]] = {
        "purpose": "batch",
        "expires_after[anchor]": "created_at",
        "expires_after[seconds]": str(KEPT_SECONDS),
    }
    order_fields: ClassVar[Mapping[str, Any]] = {
        "output_expires_after": {"anchor": "created_at", "seconds": KEPT_SECONDS}
    }

    def encoded_line(self, custom_id: str, question: bytes) -> bytes:
        return b'{"custom_id":"%s","method":"POST","url":"%s","body":%s}' % (
            custom_id.encode(),
            ENDPOINT.encode(),
            question,
        )

    def submit_batch(self, lines: Path, number: int, marker: str) -> RemoteBatch:
        with before_creation():
            file_id = self.upload(lines, marker)
        return self.remote(self.call("POST", "/batches", orjson.dumps(self.order(file_id, marker))))

    def order(self, file_id: str, marker: str) -> dict[str, Any]:
        """The body that creates a batch."""
        return {
            "input_file_id": file_id,
            "endpoint": ENDPOINT,
            "completion_window": WINDOW,
            "metadata": {MARKER: marker},
            **self.order_fields,
        }

    def upload(self, lines: Path, marker: str) -> str:
        """Send the file; returns its id."""
        content_type, form = form_with_file(lines, f"{marker}.jsonl", self.upload_fields)
        response = self.files.call(
            "POST",
            f"{self.files.prefix}/files",
            form,
            timeout_seconds=self.patience(form),
            headers={"Content-Type": content_type},
        )
        file_id = identifier(response.parsed.get("id")) if isinstance(response.parsed, dict) else ""
        if not file_id:
            raise self.files.invalid_response(response, "a body that is no file")
        return file_id

    def look_at_batch(self, remote_id: str) -> RemoteBatch:
        return self.remote(self.call("GET", f"/batches/{part(remote_id)}"))

    def cancel_path(self, remote_id: str) -> str:
        return f"/batches/{part(remote_id)}/cancel"

    def find_batch(self, marker: str, number: int, since: datetime, known: Collection[str]) -> RemoteBatch | None:
        pages = batches_listed(self, self.page, since - CLOCKS_DIFFER)
        found = (self.id_of(batch) for batch in pages if self.marker_of(batch) == marker)
        remote_id = next((each for each in found if each), None)
        return None if remote_id is None else self.look_at_batch(remote_id)

    def id_of(self, batch: Mapping[str, Any]) -> str:
        """The provider's own id of it; empty where it names none."""
        return identifier(batch.get("id"))

    def page(self, cursor: str | None) -> Page:
        """One page of the list of batches."""
        query = {"limit": 100} | ({"after": cursor} if cursor else {})
        content = self.call("GET", f"/batches?{urlencode(query)}").parsed
        last = content.get("last_id") or (content["data"][-1]["id"] if content["data"] else None)
        return Page(content["data"], last if content.get("has_more") else None)

    def marker_of(self, batch: Mapping[str, Any]) -> Any:
        """What we called it when we created it."""
        metadata = batch.get("metadata")
        return metadata.get(MARKER) if isinstance(metadata, dict) else None

    def remote(self, response: Response) -> RemoteBatch:
        """What an answer says of a batch."""
        try:
            remote = self.remote_of(response.parsed)
        except ODD_SHAPE:
            raise self.no_batch(response) from None
        if not remote.id:
            raise self.no_batch(response)
        return remote

    def remote_of(self, batch: Mapping[str, Any]) -> RemoteBatch:
        """What the object says. Raises anything for one of another shape."""
        counts = batch.get("request_counts") or {}
        status = word(batch["status"])
        detail: dict[str, Any] = {"status": status}
        detail |= {name: file for name in RESULT_FILES if (file := identifier(batch.get(name)))}
        state, error = STATES.get(status, RemoteState.WAITING), None
        if state is RemoteState.FAILED:
            problems = _problems(batch.get("errors"))
            error = batch_refusal(self, problems)
            if lines := refused_lines(problems):
                detail["refused_lines"] = lines
        return RemoteBatch(
            id=self.id_of(batch),
            state=state,
            total=whole(counts.get("total")) or None,  # 0 while it is validating
            finished=sum(whole(counts.get(name)) or 0 for name in ("completed", "failed")),
            detail=detail,
            error=error,
        )

    def batch_results(self, batch: RemoteBatch) -> Iterator[LineResult]:
        for name in RESULT_FILES:
            if file_id := batch.detail.get(name):
                yield from self.results_in(f"/files/{part(file_id)}/content")

    def outcome(self, result: Any) -> Response | ProviderError:
        answered = result.get("response")
        if answered:
            request_id = answered.get("request_id")
            headers = {"x-request-id": request_id} if isinstance(request_id, str) else {}
            return Response(int(answered["status_code"]), headers, b"", answered["body"])
        code = result["error"]["code"]
        if code in ENDED_EARLY:
            return self.ended_early(code)
        return Response(400, {}, b"", {"error": result["error"]})


def _problems(errors: Any) -> list[Any]:
    """Why a batch was refused: a list in an object, or bare."""
    listed = errors.get("data") if isinstance(errors, dict) else errors
    return listed if isinstance(listed, list) else []

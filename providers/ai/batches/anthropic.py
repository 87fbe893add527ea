"""Anthropic's message batches: all requests in one body, results line by line, no marker."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

from providers.ai.batches.adapter import ODD_SHAPE, BatchAdapter, identifier, part, whole, word
from providers.ai.batches.listing import Page, batches_listed, created_at
from providers.base import BatchLimits, ErrorCategory, LineResult, ProviderError, RemoteBatch, RemoteState
from providers.http import FileBody, Response

STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The status that a fast call would have had: a line's result has none."""
ENDED_EARLY = {"expired": "batch_expired", "canceled": "batch_cancelled"}
COUNTS = ("processing", "succeeded", "errored", "canceled", "expired")
CLOCKS_DIFFER = timedelta(minutes=10)
ENOUGH_TO_PROVE = 20


class AnthropicBatches(BatchAdapter):
    """``POST /v1/messages/batches``. Results are fetched where they are documented to be, whatever address is named."""

    # "Max requests 100,000; max size 256 MB", the frame around the lines among it.
    batch_limits: ClassVar[BatchLimits] = BatchLimits(lines=100_000, size=255_000_000)

    def encoded_line(self, custom_id: str, question: bytes) -> bytes:
        return b'{"custom_id":"%s","params":%s}' % (custom_id.encode(), question)

    def submit_batch(self, lines: Path, number: int, marker: str) -> RemoteBatch:
        body = FileBody(path=lines, before=b'{"requests":[', after=b"]}", joined=True)
        return self.remote(self.call("POST", "/v1/messages/batches", body))

    def look_at_batch(self, remote_id: str) -> RemoteBatch:
        return self.remote(self.call("GET", f"/v1/messages/batches/{part(remote_id)}"))

    def cancel_path(self, remote_id: str) -> str:
        return f"/v1/messages/batches/{part(remote_id)}/cancel"

    def find_batch(self, marker: str, number: int, since: datetime, known: Collection[str]) -> RemoteBatch | None:
        """A batch of the right size and time is ours if the ids in its results are, which only its end shows.

        While one might be ours and has not ended, the answer is a transient error, ``batch_unproven``.
        """
        unproven = None
        for candidate in self._candidates(number, since, known):
            if candidate.state is RemoteState.WAITING:
                unproven = candidate
            elif self._proves(candidate, marker):
                return candidate
        if unproven is None:
            return None
        raise ProviderError(
            f"{self.alias} has a batch that may be ours, which only its end will show",
            category=ErrorCategory.SERVER,
            code="batch_unproven",
            permanent=False,
            surely_not_sent=False,
            retry_after=30.0,
        )

    def _candidates(self, number: int, since: datetime, known: Collection[str]) -> Iterator[RemoteBatch]:
        # A submit lasts no longer than its upload may; what was created later is somebody else's.
        earliest, latest = since - CLOCKS_DIFFER, since + CLOCKS_DIFFER + timedelta(seconds=self.upload_seconds)
        for batch in batches_listed(self, self._page, earliest):
            created = created_at(batch)
            if batch.get("id") in known or (created is not None and not earliest <= created <= latest):
                continue
            try:
                remote = self.remote_of(batch)
            except ODD_SHAPE:
                continue
            if remote.id and remote.total in {None, number}:
                yield remote

    def _proves(self, candidate: RemoteBatch, marker: str) -> bool:
        ids = (line.custom_id for line in islice(self.batch_results(candidate), ENOUGH_TO_PROVE))
        return any(custom_id.startswith(f"{marker}-") for custom_id in ids)

    def _page(self, cursor: str | None) -> Page:
        query: dict[str, Any] = {"limit": 1000} | ({"after_id": cursor} if cursor else {})
        content = self.call("GET", f"/v1/messages/batches?{urlencode(query)}").parsed
        return Page(content["data"], content["last_id"] if content.get("has_more") else None)

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
        """What the object says: all counts but ``processing`` stay 0 until its end. Raises anything for another."""
        counts = {name: whole((batch.get("request_counts") or {}).get(name)) or 0 for name in COUNTS}
        ended = batch["processing_status"] == "ended"
        return RemoteBatch(
            id=identifier(batch["id"]),
            state=RemoteState.ENDED if ended else RemoteState.WAITING,
            total=sum(counts.values()) or None,
            finished=sum(counts.values()) - counts["processing"] if ended else None,
            detail={"status": word(batch["processing_status"])},
        )

    def batch_results(self, batch: RemoteBatch) -> Iterator[LineResult]:
        return self.results_in(f"/v1/messages/batches/{part(batch.id)}/results")

    def outcome(self, result: Any) -> Response | ProviderError:
        outcome = result["result"]
        kind = outcome["type"]
        if kind in ENDED_EARLY:
            return self.ended_early(ENDED_EARLY[kind])
        if kind == "succeeded":
            return Response(200, {}, b"", outcome["message"])
        error = outcome["error"]  # in two layers
        inner = error["error"] if isinstance(error.get("error"), dict) else error
        return Response(STATUSES.get(inner["type"], 500), {}, b"", {"error": inner})

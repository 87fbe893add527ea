"""xAI's batches: OpenAI's file of lines in, pages of results out, and no status but what counts and dates tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode

from providers.ai.batches.adapter import ODD_SHAPE, identifier, part, whole
from providers.ai.batches.grpc import CANCELLED, DEADLINE_EXCEEDED, http_status
from providers.ai.batches.listing import Page
from providers.ai.batches.openai import OpenAIBatches
from providers.ai.batches.refusals import refusal
from providers.base import BatchLimits, ErrorCategory, LineResult, ProviderError, RemoteBatch, RemoteState
from providers.http import Response, classify

RESULTS_AT_ONCE = 100
MOST_PAGES = 20_000


class XAIBatches(OpenAIBatches):
    """The file flow: the other one, appending requests, is slower and said to have changed."""

    # "Max size 25 MB/request"; of requests it only says "throttled > 1,000,000".
    batch_limits: ClassVar[BatchLimits] = BatchLimits(lines=50_000, size=25_000_000)
    id_name: ClassVar[str] = "batch_request_id"
    upload_fields: ClassVar[Mapping[str, str]] = {}

    def order(self, file_id: str, marker: str) -> dict[str, Any]:
        return {"name": marker, "input_file_id": file_id}

    def cancel_path(self, remote_id: str) -> str:
        return f"/batches/{part(remote_id)}:cancel"

    def page(self, cursor: str | None) -> Page:
        query: dict[str, Any] = {"limit": RESULTS_AT_ONCE} | ({"pagination_token": cursor} if cursor else {})
        content = self.call("GET", f"/batches?{urlencode(query)}").parsed
        batches = content["batches"] if "batches" in content else content["data"]
        return Page(batches, content.get("pagination_token") or None)

    def marker_of(self, batch: Mapping[str, Any]) -> Any:
        return batch.get("name")

    def id_of(self, batch: Mapping[str, Any]) -> str:
        return identifier(batch.get("batch_id"))

    def remote_of(self, batch: Mapping[str, Any]) -> RemoteBatch:
        counts = {name: whole(value) or 0 for name, value in (batch.get("state") or {}).items()}
        total, pending = counts.get("num_requests", 0), counts.get("num_pending", 0)
        why, error = batch.get("cancel_by_xai_message"), None
        if why and not counts.get("num_success"):
            state = RemoteState.FAILED
            # The words are never kept, but looked at: some say that there is no credit.
            error = refusal(self, self.refine(429, {"error": why}, classify(400)), [])
        elif batch.get("cancel_time") or why or (total and not pending):
            state = RemoteState.ENDED
        else:
            state = RemoteState.WAITING  # also while it is parsed: no request is known then
        cost = whole((batch.get("cost_breakdown") or {}).get("total_cost_usd_ticks"))
        return RemoteBatch(
            id=self.id_of(batch),
            state=state,
            total=total or None,
            finished=max(0, total - pending),
            detail={"cancelled": bool(batch.get("cancel_time"))} | ({} if cost is None else {"cost_ticks": cost}),
            error=error,
        )

    def batch_results(self, batch: RemoteBatch) -> Iterator[LineResult]:
        token = ""
        for _ in range(MOST_PAGES):
            query = {"limit": RESULTS_AT_ONCE} | ({"pagination_token": token} if token else {})
            content = self.call("GET", f"/batches/{part(batch.id)}/results?{urlencode(query)}")
            try:
                results = [self.read_result(each) for each in content.parsed["results"]]
                following = str(content.parsed.get("pagination_token") or "")
            except ODD_SHAPE:
                raise self.no_batch(content) from None
            yield from results
            if not following:
                return
            if following == token:
                break
            token = following
        raise self.line_error("endless_list", "pages its results without end", ErrorCategory.SERVER)

    def outcome(self, result: Any) -> Response | ProviderError:
        outcome = result.get("batch_result", result)
        error = outcome.get("error")
        if error:
            if error.get("code") in {CANCELLED, DEADLINE_EXCEEDED}:
                return self.ended_early("batch_cancelled" if error["code"] == CANCELLED else "batch_expired")
            return Response(http_status(error.get("code")), {}, b"", {"error": error.get("message")})
        answered = outcome["response"]
        return Response(200, {}, b"", answered.get("chat_get_completion") or answered.get("body") or answered)

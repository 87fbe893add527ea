"""Batches and lines as the five providers document them, and how a test has an adapter read them."""

from __future__ import annotations

from typing import Any

from providers.ai.anthropic import Anthropic
from providers.ai.batches.adapter import BatchAdapter
from providers.ai.gemini import Gemini
from providers.ai.groq import Groq
from providers.ai.openai import OpenAI
from providers.ai.xai import XAI
from providers.base import RemoteBatch
from tests.providers.batch_adapters import PATHS, make
from tests.providers.recorded import Recorded


def at(adapter: type[BatchAdapter], path: str) -> str:
    """Where a path below the base URL is on the server."""
    return f"/{adapter.__name__.lower()}{PATHS[adapter]}{path}"


BATCH_PATHS = {
    OpenAI: "/batches/b1",
    Groq: "/batches/b1",
    XAI: "/batches/b1",
    Anthropic: "/v1/messages/batches/b1",
    Gemini: "/batches/b1",
}
LISTS: dict[type[BatchAdapter], str] = {**dict.fromkeys(PATHS, "/batches"), Anthropic: "/v1/messages/batches"}
IDS: dict[type[BatchAdapter], str] = {**dict.fromkeys(PATHS, "b1"), Gemini: "batches/b1"}


def looked(adapter: type[BatchAdapter], server: Recorded, body: Any) -> RemoteBatch:
    server.answer(f"GET {at(adapter, BATCH_PATHS[adapter])}", body)
    return make(adapter, server.url).look_at_batch(IDS[adapter])


OPENAI_BATCH = {
    "id": "b1",
    "object": "batch",
    "endpoint": "/v1/chat/completions",
    "input_file_id": "file-1",
    "completion_window": "24h",
    "created_at": 1_795_000_000,
}


def openai(status: str, **more: Any) -> dict[str, Any]:
    return {**OPENAI_BATCH, "status": status, **more}


def counts(total: int, completed: int, failed: int) -> dict[str, int]:
    return {"total": total, "completed": completed, "failed": failed}


def xai(**more: Any) -> dict[str, Any]:
    zero = dict.fromkeys(("num_requests", "num_pending", "num_success", "num_error", "num_cancelled"), 0)
    state = {**zero, **more.pop("state", {})}
    return {"batch_id": "b1", "name": "bs1", "create_time": "2026-11-21", "state": state, **more}


def anthropic(status: str, **number: int) -> dict[str, Any]:
    none = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
    return {
        "id": "b1",
        "type": "message_batch",
        "processing_status": status,
        "request_counts": {**none, **number},
        "created_at": "2026-11-21T12:40:59Z",
        "expires_at": "2026-11-22T12:40:59Z",
        "results_url": None,
    }


def gemini(state: str, *, requests: str = "10", done: str = "0", **more: Any) -> dict[str, Any]:
    stats = {"requestCount": requests, "successfulRequestCount": done, "pendingRequestCount": "1"}
    return {"name": "batches/b1", "metadata": {"state": state, "displayName": "bs1", "batchStats": stats}, **more}


COMPLETION = {
    "model": "m-1",
    "choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}
MESSAGE = {
    "type": "message",
    "model": "m-1",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
GENERATED = {
    "candidates": [{"content": {"parts": [{"text": "Hello"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2},
    "modelVersion": "m-1",
}


def answered(status: int, body: Any) -> dict[str, Any]:
    response = {"status_code": status, "request_id": "req-7", "body": body}
    return {"id": "r", "custom_id": "a-1", "response": response, "error": None}


def xai_result(result: Any) -> dict[str, Any]:
    return {"batch_request_id": "a-1", "batch_result": result}


ODD_BATCHES: list[Any] = [
    [],
    7,
    "text",
    None,
    {},
    {"id": 7, "status": "completed", "processing_status": "ended", "batch_id": 7, "name": 7},
    {"id": "", "status": "completed", "processing_status": "ended", "batch_id": "", "name": ""},
    {"id": None, "request_counts": 7, "state": 7, "metadata": 7},
    {
        "id": "b1",
        "status": "in_progress",
        "processing_status": "x",
        "request_counts": [1],
        "batch_id": "b",
        "state": [1],
    },
]

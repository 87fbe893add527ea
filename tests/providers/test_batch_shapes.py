"""What the batch adapters make of answers as they are documented, and of answers that nobody would document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from providers.ai.anthropic import Anthropic
from providers.ai.batches import listing
from providers.ai.batches.adapter import BatchAdapter
from providers.ai.batches.listing import created_at
from providers.ai.gemini import Gemini
from providers.ai.groq import Groq
from providers.ai.openai import OpenAI
from providers.ai.xai import XAI
from providers.base import ChatRequest, LineResult, ProviderError, RemoteBatch, RemoteState
from tests.providers.recorded import Recorded, recorded
from tests.providers.test_batch_contract import PATHS, every_adapter, make

WAITING, ENDED, FAILED = RemoteState.WAITING, RemoteState.ENDED, RemoteState.FAILED
NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[Recorded]:
    with recorded() as answers:
        yield answers


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


def line_of(adapter: type[BatchAdapter], line: Any) -> LineResult:
    provider = make(adapter, "http://127.0.0.1:1")
    return provider.read_line(line if isinstance(line, bytes) else json.dumps(line).encode())


# --- What is written ----------------------------------------------------------------------------


def submitted(adapter: type[BatchAdapter], server: Recorded, path: Path, answer: Any) -> list[tuple[str, str, bytes]]:
    """The calls that submit a batch of one line makes."""
    provider = make(adapter, server.url)
    file = path / "lines"
    file.write_bytes(provider.batch_line("bs1-7", ChatRequest(prompt="Hello", reference="r", timeout_seconds=5)))
    server.answer(f"POST {at(adapter, '/files')}", {"id": "file-1", "object": "file"})
    for created in ("/batches", "/v1/messages/batches", "/models/a-model:batchGenerateContent"):
        server.answer(f"POST {at(adapter, created)}", answer)
    provider.submit_batch(file, 1, "bs1")
    return server.asked


QUESTION = b'{"model":"a-model","messages":[{"role":"user","content":"Hello"}]}'
LINE = b'{"custom_id":"bs1-7","method":"POST","url":"/v1/chat/completions","body":%s}\n' % QUESTION


@pytest.mark.parametrize(
    ("adapter", "fields", "order"),
    [
        (
            OpenAI,
            {"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": "604800"},
            {
                "input_file_id": "file-1",
                "endpoint": "/v1/chat/completions",
                "completion_window": "24h",
                "metadata": {"batchsite": "bs1"},
                "output_expires_after": {"anchor": "created_at", "seconds": 604800},
            },
        ),
        (
            Groq,
            {"purpose": "batch"},
            {
                "input_file_id": "file-1",
                "endpoint": "/v1/chat/completions",
                "completion_window": "24h",
                "metadata": {"batchsite": "bs1"},
            },
        ),
        (XAI, {}, {"name": "bs1", "input_file_id": "file-1"}),
    ],
)
def test_a_file_of_lines_and_an_order(
    adapter: type[BatchAdapter], fields: dict[str, str], order: Any, server: Recorded, tmp_path: Path
) -> None:
    (_, _, form), (_, path, body) = submitted(adapter, server, tmp_path, {**openai("validating"), "batch_id": "b1"})
    assert (path, json.loads(body)) == (at(adapter, "/batches"), order)
    boundary = form.partition(b"\r\n")[0]
    parts = [part.partition(b"\r\n\r\n") for part in form.split(boundary)[1:-1]]
    read = {head.split(b'name="')[1].partition(b'"')[0].decode(): value[:-2] for head, _, value in parts}
    assert read.pop("file") == LINE
    assert {name: value.decode() for name, value in read.items()} == fields
    assert form.endswith(boundary + b"--\r\n")


def test_anthropic_gets_one_list(server: Recorded, tmp_path: Path) -> None:
    ((_, path, body),) = submitted(Anthropic, server, tmp_path, anthropic("in_progress", processing=1))
    params = {
        "model": "a-model",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
    }
    assert path == at(Anthropic, "/v1/messages/batches")
    assert json.loads(body) == {"requests": [{"custom_id": "bs1-7", "params": params}]}


def test_gemini_gets_a_file_and_an_order(server: Recorded, tmp_path: Path) -> None:
    upload = {"X-Goog-Upload-URL": f"{server.url}/anywhere?upload_id=1"}
    server.answer("POST /gemini/upload/v1beta/files", b"", headers=upload)
    server.answer("POST /anywhere", {"file": {"name": "files/f1", "uri": "https://example.com/f1"}})
    start, sent, create = submitted(Gemini, server, tmp_path, gemini("JOB_STATE_PENDING"))
    assert json.loads(start[2]) == {"file": {"displayName": "bs1"}}
    assert sent[1] == "/anywhere?upload_id=1"
    request = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    assert json.loads(sent[2]) == {"key": "bs1-7", "request": request}
    order = {"batch": {"displayName": "bs1", "inputConfig": {"fileName": "files/f1"}}}
    assert (create[1], json.loads(create[2])) == (at(Gemini, "/models/a-model:batchGenerateContent"), order)


@pytest.mark.parametrize("answer", [{}, [], {"id": 7}, {"file": 7}])
def test_an_upload_that_tells_no_id_made_no_batch(answer: Any, server: Recorded, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(LINE)
    server.answer(f"POST {at(OpenAI, '/files')}", answer)
    with pytest.raises(ProviderError) as caught:
        make(OpenAI, server.url).submit_batch(file, 1, "bs1")
    assert (caught.value.code, caught.value.surely_not_sent) == ("invalid_response", True)


# --- Where a batch stands -----------------------------------------------------------------------

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


STANDS: list[tuple[type[BatchAdapter], dict[str, Any], tuple[RemoteState, int | None, int | None]]] = [
    (OpenAI, openai("validating"), (WAITING, None, 0)),
    (OpenAI, openai("validating", request_counts=counts(0, 0, 0), errors=None), (WAITING, None, 0)),
    (OpenAI, openai("in_progress", request_counts=counts(10, 4, 1)), (WAITING, 10, 5)),
    (OpenAI, openai("finalizing", request_counts=counts(10, 9, 1)), (WAITING, 10, 10)),
    (OpenAI, openai("cancelling", request_counts=counts(10, 4, 0)), (WAITING, 10, 4)),
    (OpenAI, openai("something_new", request_counts=None), (WAITING, None, 0)),
    (OpenAI, openai("completed", request_counts=counts(10, 0, 10), error_file_id="e"), (ENDED, 10, 10)),
    (OpenAI, openai("expired", request_counts=counts(10, 2, 0), output_file_id="o"), (ENDED, 10, 2)),
    (OpenAI, openai("cancelled", request_counts=counts(10, 2, 0)), (ENDED, 10, 2)),
    (Groq, openai("failed", errors=[{"code": "invalid", "message": "No", "line": 2}]), (FAILED, None, 0)),
    (Groq, openai("completed", request_counts={"total": "10", "completed": "10"}), (ENDED, 10, 10)),
    (XAI, xai(), (WAITING, None, 0)),
    (XAI, xai(state={"num_requests": 10, "num_pending": 4, "num_success": 6}), (WAITING, 10, 6)),
    (XAI, xai(state={"num_requests": 10, "num_success": 9, "num_error": 1}), (ENDED, 10, 10)),
    (XAI, xai(cancel_time="2026-11-21", state={"num_requests": 10, "num_cancelled": 10}), (ENDED, 10, 10)),
    (XAI, xai(cancel_by_xai_message="The file has a wrong line."), (FAILED, None, 0)),
    (Anthropic, anthropic("in_progress", processing=10), (WAITING, 10, None)),
    (Anthropic, anthropic("canceling", processing=10), (WAITING, 10, None)),
    (Anthropic, anthropic("ended", succeeded=7, errored=1, canceled=1, expired=1), (ENDED, 10, 10)),
    (Gemini, gemini("BATCH_STATE_PENDING", requests="0"), (WAITING, None, 0)),
    (Gemini, gemini("JOB_STATE_RUNNING", done="4"), (WAITING, 10, 4)),
    (Gemini, gemini("JOB_STATE_SUCCEEDED", done="10", done_="x"), (ENDED, 10, 10)),
    (Gemini, gemini("BATCH_STATE_CANCELLED"), (ENDED, 10, 0)),
    (Gemini, gemini("BATCH_STATE_EXPIRED"), (ENDED, 10, 0)),
    (Gemini, gemini("BATCH_STATE_FAILED", error={"code": 3, "message": "No"}), (FAILED, 10, 0)),
    (Gemini, {"name": "batches/b1", "done": True, "response": {}}, (ENDED, None, 0)),
    (Gemini, {"name": "batches/b1", "done": True, "error": {"code": 8, "message": "No"}}, (FAILED, None, 0)),
    (Gemini, {"name": "batches/b1"}, (WAITING, None, 0)),
]


@pytest.mark.parametrize(("adapter", "body", "stands"), STANDS)
def test_where_a_batch_stands(adapter: type[BatchAdapter], body: Any, stands: Any, server: Recorded) -> None:
    batch = looked(adapter, server, body)
    assert (batch.state, batch.total, batch.finished) == stands
    assert batch.id == IDS[adapter]
    assert (batch.error is not None) == (batch.state is FAILED)
    json.dumps(batch.detail)


REFUSED = ("invalid_request", "batch_refused", True)
NO_ROOM = ("rate_limit", "token_limit_exceeded", False)
NO_MONEY = ("budget", "insufficient_quota", True)


@pytest.mark.parametrize(
    ("adapter", "body", "told"),
    [
        (OpenAI, openai("failed", errors=None), REFUSED),
        (OpenAI, openai("failed", errors={"data": [{"code": "token_limit_exceeded", "line": None}]}), NO_ROOM),
        (OpenAI, openai("failed", errors={"data": [{"code": "insufficient_quota"}]}), NO_MONEY),
        (OpenAI, openai("failed", errors={"data": "odd"}), REFUSED),
        (OpenAI, openai("failed", errors={"data": [7, {"line": "x"}]}), REFUSED),
        (Groq, openai("failed", errors=[{"code": "invalid_file"}]), ("invalid_request", "invalid_file", True)),
        (XAI, xai(cancel_by_xai_message="Your team ran out of credits."), ("budget", "batch_refused", True)),
        (XAI, xai(cancel_by_xai_message="Line 7 is wrong."), REFUSED),
        (Gemini, gemini("JOB_STATE_FAILED"), REFUSED),
        (
            Gemini,
            gemini("JOB_STATE_FAILED", error={"code": 8, "status": "EXHAUSTED"}),
            ("rate_limit", "EXHAUSTED", False),
        ),
    ],
)
def test_why_a_batch_was_refused(
    adapter: type[BatchAdapter], body: Any, told: tuple[str, str, bool], server: Recorded
) -> None:
    error = looked(adapter, server, body).error
    assert error is not None
    assert (error.category, error.code, error.permanent) == told
    assert error.surely_not_sent


def test_the_lines_that_were_refused_are_named(server: Recorded) -> None:
    problems = [{"code": "invalid_json_line", "message": "secret words", "line": line} for line in range(3, 20)]
    batch = looked(OpenAI, server, openai("failed", errors={"object": "list", "data": problems}))
    assert batch.detail["refused_lines"] == {str(line): "invalid_json_line" for line in range(3, 20)}
    lines = "3, 4, 5, 6, 7, 8, 9, 10, 11, 12"
    assert str(batch.error) == f"openai refused the batch: invalid_json_line in lines {lines} and 7 more"


# --- What became of a line ----------------------------------------------------------------------

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


def unanswered(code: str) -> dict[str, Any]:
    return {"id": "r", "custom_id": "a-1", "response": None, "error": {"code": code, "message": "No"}}


def anthropic_error(kind: str, **more: Any) -> dict[str, Any]:
    error = {"type": "error", "error": {"type": kind, "message": "No", **more}}
    return {"custom_id": "a-1", "result": {"type": "errored", "error": error}}


def xai_result(result: Any) -> dict[str, Any]:
    return {"batch_request_id": "a-1", "batch_result": result}


@pytest.mark.parametrize(
    ("adapter", "line"),
    [
        (OpenAI, answered(200, COMPLETION)),
        (Groq, {key: value for key, value in answered(200, COMPLETION).items() if key != "error"}),
        (XAI, xai_result({"response": {"chat_get_completion": COMPLETION}})),
        (XAI, xai_result({"response": COMPLETION})),
        (Anthropic, {"custom_id": "a-1", "result": {"type": "succeeded", "message": MESSAGE}}),
        (Gemini, {"key": "a-1", "response": GENERATED}),
        (Gemini, {"metadata": {"key": "a-1"}, "response": GENERATED}),
    ],
)
def test_a_line_that_was_answered(adapter: type[BatchAdapter], line: Any) -> None:
    result = line_of(adapter, line)
    assert result.error is None and result.answer is not None
    assert (result.custom_id, result.answer.text, result.answer.model) == ("a-1", "Hello", "m-1")
    assert (result.answer.input_tokens, result.answer.output_tokens) == (3, 2)
    if adapter in {OpenAI, Groq}:
        assert result.answer.request_id == "req-7"


@pytest.mark.parametrize(
    ("adapter", "line", "category", "code", "permanent"),
    [
        (OpenAI, unanswered("batch_expired"), "timeout", "batch_expired", False),
        (OpenAI, unanswered("batch_cancelled"), "cancelled", "batch_cancelled", False),
        (OpenAI, unanswered("request_timeout"), "timeout", "request_timeout", False),
        (OpenAI, unanswered("invalid_request"), "invalid_request", "invalid_request", True),
        (OpenAI, answered(400, {"error": {"code": "image_parse_error"}}), "invalid_request", "image_parse_error", True),
        (OpenAI, answered(401, {"error": {"code": "invalid_api_key"}}), "authentication", "invalid_api_key", True),
        (OpenAI, answered(429, {"error": {"code": "rate_limit_exceeded"}}), "rate_limit", "rate_limit_exceeded", False),
        (OpenAI, answered(429, {"error": {"code": "insufficient_quota"}}), "budget", "insufficient_quota", True),
        (OpenAI, answered(503, {"error": {"code": "server_is_overloaded"}}), "server", "server_is_overloaded", False),
        (OpenAI, answered(500, None), "server", "http_500", False),
        (OpenAI, answered(10**9, None), "server", "invalid_response", False),
        (OpenAI, answered(-1, None), "server", "invalid_response", False),
        (Groq, answered(498, {"error": {"code": "capacity_exceeded"}}), "server", "capacity_exceeded", False),
        (Groq, unanswered("invalid_method"), "invalid_request", "invalid_method", True),
        (XAI, xai_result({"error": {"code": 3, "message": "No"}}), "invalid_request", "http_400", True),
        (XAI, xai_result({"error": {"code": 8, "message": "Out of credits"}}), "budget", "http_429", True),
        (XAI, xai_result({"error": {"code": 14, "message": "No"}}), "server", "http_503", False),
        (XAI, xai_result({"error": {"code": 1, "message": "No"}}), "cancelled", "batch_cancelled", False),
        (XAI, xai_result({"error": {"code": 4, "message": "No"}}), "timeout", "batch_expired", False),
        (Anthropic, {"custom_id": "a-1", "result": {"type": "expired"}}, "timeout", "batch_expired", False),
        (Anthropic, {"custom_id": "a-1", "result": {"type": "canceled"}}, "cancelled", "batch_cancelled", False),
        (Anthropic, anthropic_error("invalid_request_error"), "invalid_request", "invalid_request_error", True),
        (Anthropic, anthropic_error("overloaded_error"), "server", "overloaded_error", False),
        (Anthropic, anthropic_error("rate_limit_error"), "rate_limit", "rate_limit_error", False),
        (Anthropic, anthropic_error("billing_error"), "budget", "billing_error", True),
        (
            Anthropic,
            anthropic_error("rate_limit_error", details={"error_code": "enforced_spend_limit_reached"}),
            "budget",
            "enforced_spend_limit_reached",
            True,
        ),
        (Anthropic, anthropic_error("something_new"), "server", "something_new", False),
        (
            Anthropic,
            {"custom_id": "a-1", "result": {"type": "succeeded", "message": {**MESSAGE, "stop_reason": "refusal"}}},
            "content",
            "refused",
            True,
        ),
        (Gemini, {"key": "a-1", "error": {"code": 3, "status": "INVALID"}}, "invalid_request", "INVALID", True),
        (Gemini, {"key": "a-1", "error": {"code": 429, "status": "EXHAUSTED"}}, "rate_limit", "EXHAUSTED", False),
        (Gemini, {"key": "a-1", "status": {"code": 13, "message": "No"}}, "server", "http_500", False),
        (Gemini, {"key": "a-1", "code": 14, "message": "No"}, "server", "http_503", False),
        (Gemini, {"key": "a-1", "error": {"code": 1}}, "cancelled", "batch_cancelled", False),
        (Gemini, {"key": "a-1", "response": {"promptFeedback": {"blockReason": "SAFETY"}}}, "content", "refused", True),
        (
            OpenAI,
            answered(200, {**COMPLETION, "choices": [{"message": {"refusal": "No"}, "finish_reason": "stop"}]}),
            "content",
            "refused",
            True,
        ),
        (
            OpenAI,
            answered(200, {**COMPLETION, "choices": [{"message": {"content": "Hel"}, "finish_reason": "length"}]}),
            "server",
            "invalid_response",
            False,
        ),
    ],
)  # fmt: skip
def test_a_line_that_was_not_answered(
    adapter: type[BatchAdapter], line: Any, category: str, code: str, permanent: bool
) -> None:
    result = line_of(adapter, line)
    assert result.answer is None and result.error is not None
    assert (result.custom_id, result.error.category, result.error.code) == ("a-1", category, code)
    assert result.error.permanent is permanent
    assert "No" not in str(result.error)


ODD_RESULTS: list[Any] = [7, "text", [], {}, None, True, {"type": 7}, {"status_code": "x"}, {"error": 7}, [{}]]


@every_adapter
@pytest.mark.parametrize("odd", ODD_RESULTS)
def test_a_line_of_an_odd_shape_fails_alone(adapter: type[BatchAdapter], odd: Any) -> None:
    names = {"custom_id": "a-1", "key": "a-1", "batch_request_id": "a-1"}
    for name in ("response", "result", "batch_result", "error"):
        result = line_of(adapter, {**names, name: odd})
        assert result.error is not None and not result.error.permanent, (name, odd)
        assert result.custom_id == "a-1"
    for wrong in (odd, {"custom_id": odd, "key": odd, "batch_request_id": odd}):
        result = line_of(adapter, wrong)
        assert result.error is not None
        assert result.custom_id == (odd if isinstance(wrong, dict) and isinstance(odd, str) and wrong else "")


@every_adapter
@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"not json",
        b"\xff\xfe",
        b'{"x": NaN}',
        b"[" * 100_000,
        b'{"custom_id": "a b", "key": "a b", "batch_request_id": "a b", "x',
        b'{"text": "\\"custom_id\\": \\"a-1\\", \\"key\\": \\"a-1\\"',
        b"\0",
    ],
)
def test_a_line_that_is_no_json_fails_alone(adapter: type[BatchAdapter], line: bytes) -> None:
    result = line_of(adapter, line)
    assert result.custom_id == ""
    assert result.error is not None and result.error.code == "invalid_response"


RESULTS = {
    OpenAI: "/files/f1/content",
    Groq: "/files/f1/content",
    Anthropic: "/v1/messages/batches/b1/results",
    Gemini: "/files/f1:download",
}
GOOD = {
    OpenAI: answered(200, COMPLETION),
    Groq: answered(200, COMPLETION),
    Anthropic: {"custom_id": "a-1", "result": {"type": "succeeded", "message": MESSAGE}},
    Gemini: {"key": "a-1", "response": GENERATED},
}
every_file = pytest.mark.parametrize("adapter", list(RESULTS), ids=lambda adapter: adapter.__name__)


def ended(adapter: type[BatchAdapter]) -> RemoteBatch:
    detail = {"output_file_id": "f1", "responses_file": "files/f1"}
    return RemoteBatch(id=IDS[adapter], state=ENDED, detail=detail)


@every_file
def test_a_file_of_good_and_bad_lines_is_read_to_its_end(adapter: type[BatchAdapter], server: Recorded) -> None:
    good = json.dumps(GOOD[adapter]).encode()
    name = adapter.id_name.encode()
    huge = b'{"%s": "a-2", "response": "' % name + b"x" * 10_000_000 + b'"}'
    cut = b'{"%s": "a-3", "respon' % name
    server.answer(f"GET {at(adapter, RESULTS[adapter])}", b"\n".join([good, huge, b"", cut, b"null", good, b""]))
    results = list(make(adapter, server.url).batch_results(ended(adapter)))
    assert [(result.custom_id, result.error and result.error.code) for result in results] == [
        ("a-1", None),
        ("a-2", "invalid_response"),
        ("a-3", "invalid_response"),
        ("", "invalid_response"),
        ("a-1", None),
    ]


@every_file
def test_results_elsewhere_are_not_fetched(adapter: type[BatchAdapter], server: Recorded) -> None:
    with recorded() as elsewhere:
        server.answer(
            f"GET {at(adapter, RESULTS[adapter])}", b"", status=302, headers={"Location": f"{elsewhere.url}/secret"}
        )
        with pytest.raises(ProviderError) as caught:
            list(make(adapter, server.url).batch_results(ended(adapter)))
        assert caught.value.status == 302
        assert elsewhere.asked == []


def test_gemini_finds_files_in_both_places(server: Recorded) -> None:
    server.answer("GET /gemini/download/v1beta/files/f1:download", json.dumps(GOOD[Gemini]).encode())
    (result,) = make(Gemini, server.url).batch_results(ended(Gemini))
    assert result.answer is not None


def test_gemini_reads_results_within_the_answer(server: Recorded) -> None:
    inlined = [{"response": GENERATED, "metadata": {"key": "a-1"}}, {"error": {"code": 3}, "metadata": {"key": "a-2"}}]
    body = gemini("BATCH_STATE_SUCCEEDED", response={"inlinedResponses": {"inlinedResponses": inlined}})
    batch = looked(Gemini, server, body)
    results = list(make(Gemini, server.url).batch_results(batch))
    assert [(result.custom_id, result.error is None) for result in results] == [("a-1", True), ("a-2", False)]


def test_gemini_uploads_to_no_other_address(server: Recorded, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b"{}\n")
    with recorded() as elsewhere:
        server.answer(
            "POST /gemini/upload/v1beta/files",
            b"",
            headers={"X-Goog-Upload-URL": f"{elsewhere.url}/upload?upload_id=1"},
        )
        with pytest.raises(ProviderError) as caught:
            make(Gemini, server.url).submit_batch(file, 1, "bs1")
        assert (caught.value.code, caught.value.surely_not_sent) == ("foreign_address", True)
        assert elsewhere.asked == []


def test_xai_pages_its_results(server: Recorded) -> None:
    page = f"GET {at(XAI, '/batches/b1/results')}"
    server.answer(page, {"results": [xai_result({"response": COMPLETION})], "pagination_token": "t"})
    server.answer(page, {"results": [7, xai_result({})], "pagination_token": ""})
    results = list(make(XAI, server.url).batch_results(ended(XAI)))
    assert [result.custom_id for result in results] == ["a-1", "", "a-1"]
    assert "pagination_token=t" in server.asked[1][1]


@pytest.mark.parametrize(
    "body", [[], {}, None, {"results": 7}, {"results": None}, {"results": [], "pagination_token": "t"}]
)
def test_xai_pages_that_are_none(server: Recorded, body: Any) -> None:
    server.answer(f"GET {at(XAI, '/batches/b1/results')}", body)
    with pytest.raises(ProviderError) as caught:
        list(make(XAI, server.url).batch_results(ended(XAI)))
    assert not caught.value.permanent


# --- Answers of an odd shape --------------------------------------------------------------------

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


@every_adapter
@pytest.mark.parametrize("body", ODD_BATCHES[:-1])
def test_an_answer_that_is_no_batch(adapter: type[BatchAdapter], body: Any, server: Recorded) -> None:
    with pytest.raises(ProviderError) as caught:
        looked(adapter, server, body)
    assert (caught.value.code, caught.value.permanent) == ("invalid_response", False)


@every_adapter
@pytest.mark.parametrize("remote_id", ["x" * 201, "a\0b", "../files", "b/../c", "a b", "ä", "?limit=1", "/b"])
def test_an_id_that_fits_no_path_and_no_row(adapter: type[BatchAdapter], remote_id: str, server: Recorded) -> None:
    states = {"status": "completed", "processing_status": "ended"}
    with pytest.raises(ProviderError) as caught:
        looked(adapter, server, {**states, "id": remote_id, "batch_id": remote_id, "name": remote_id})
    assert caught.value.code == "invalid_response"


@every_adapter
def test_what_is_kept_of_a_batch_is_fit_to_be_kept(adapter: type[BatchAdapter], server: Recorded) -> None:
    odd = "com\0pleted \ud800" + "x" * 1000
    files = {"output_file_id": odd, "error_file_id": "../x", "responsesFile": odd}
    states = {"status": odd, "processing_status": odd, "metadata": {"state": odd, "output": files}}
    names = {"id": IDS[adapter], "batch_id": IDS[adapter], "name": IDS[adapter]}
    batch = looked(adapter, server, {**files, **states, **names})
    kept = json.dumps(batch.detail)
    assert "u0000" not in kept and "ud800" not in kept and len(kept) < 500
    assert batch.state is WAITING


@every_adapter
@pytest.mark.parametrize(
    "body", [*ODD_BATCHES, {"data": 7, "batches": 7, "operations": 7}, {"data": [7, None, "x", []]}]
)
def test_a_list_of_an_odd_shape_crashes_nothing(adapter: type[BatchAdapter], body: Any, server: Recorded) -> None:
    server.answer(f"GET {at(adapter, LISTS[adapter])}", body)
    try:
        assert make(adapter, server.url).find_batch("bs1", 3, NOW, ()) is None
    except ProviderError as error:
        assert not error.permanent


LISTED: dict[type[BatchAdapter], dict[str, Any]] = {
    OpenAI: {"data": [openai("completed", metadata={"batchsite": "bs2"})], "has_more": True, "last_id": "b"},
    Groq: {"data": [openai("completed")], "paging": {"next_cursor": "c"}},
    XAI: {"batches": [xai()], "pagination_token": "t"},
    Anthropic: {"data": [anthropic("ended", succeeded=7)], "has_more": True, "last_id": "b"},
    Gemini: {"operations": [gemini("JOB_STATE_RUNNING")], "nextPageToken": "t"},
}


@every_adapter
@pytest.mark.parametrize("cursors", [1, 2], ids=["itself", "each other"])
def test_a_list_that_turns_in_circles_ends(
    adapter: type[BatchAdapter], cursors: int, server: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cursors that lead to themselves or each other: nobody may say then that the batch is not there."""
    page = json.dumps(LISTED[adapter])
    for number in range(20):
        turned = page
        for name in ('"last_id": "', '"next_cursor": "', '"pagination_token": "', '"nextPageToken": "'):
            turned = turned.replace(name, f"{name}{number % cursors}-")
        server.answer(f"GET {at(adapter, LISTS[adapter])}", turned.encode())
    monkeypatch.setattr(listing, "MOST_PAGES", 6)
    with pytest.raises(ProviderError) as caught:
        make(adapter, server.url).find_batch("bs9", 3, NOW, ())
    assert (caught.value.code, caught.value.permanent) == ("endless_list", False)
    assert len(server.asked) <= 6


def test_a_list_from_the_newest_on_is_read_as_far_as_needed(server: Recorded) -> None:
    old = [openai("completed", id=f"b{each}") | {"created_at": 1_700_000_000 - each} for each in range(3)]
    server.answer(f"GET {at(OpenAI, '/batches')}", {"data": old, "has_more": True, "last_id": "b2"})
    assert make(OpenAI, server.url).find_batch("bs1", 3, NOW, ()) is None
    assert len(server.asked) == 1


@pytest.mark.parametrize("order", [1, 0], ids=["from the oldest", "all at once"])
def test_a_list_of_another_order_is_read_to_its_end(server: Recorded, order: int) -> None:
    old = [openai("completed", id=f"b{each}") | {"created_at": 1_700_000_000 + each * order} for each in range(3)]
    mine = openai("completed", metadata={"batchsite": "bs1"})
    server.answer(f"GET {at(OpenAI, '/batches')}", {"data": old, "has_more": True, "last_id": "b2"})
    server.answer(f"GET {at(OpenAI, '/batches')}", {"data": [mine], "has_more": False})
    server.answer(f"GET {at(OpenAI, '/batches/b1')}", mine)
    found = make(OpenAI, server.url).find_batch("bs1", 3, NOW, ())
    assert found is not None and found.id == "b1"


@pytest.mark.parametrize(
    ("value", "when"),
    [
        (1_795_000_000, datetime(2026, 11, 18, 11, 6, 40, tzinfo=UTC)),
        ("2026-11-21T12:40:59Z", datetime(2026, 11, 21, 12, 40, 59, tzinfo=UTC)),
        ("2026-11-21T12:40:59.123456789+00:00", datetime(2026, 11, 21, 12, 40, 59, 123456, tzinfo=UTC)),
        ("2026-11-21", datetime(2026, 11, 21, tzinfo=UTC)),
        ("yesterday", None),
        (1e300, None),
        ([], None),
        (None, None),
    ],
)
def test_when_a_batch_was_created(value: Any, when: datetime | None) -> None:
    for name in ("created_at", "create_time", "createTime"):
        assert created_at({name: value}) == when

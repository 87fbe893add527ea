"""Where a batch stands and why one was refused, in answers as they are documented and in answers that are none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.ai.anthropic import Anthropic
from providers.ai.batches.adapter import BatchAdapter
from providers.ai.gemini import Gemini
from providers.ai.groq import Groq
from providers.ai.openai import OpenAI
from providers.ai.xai import XAI
from providers.base import ProviderError, RemoteState
from tests.providers.batch_adapters import every_adapter
from tests.providers.batch_answers import IDS, ODD_BATCHES, anthropic, counts, gemini, looked, openai, xai
from tests.providers.recorded import Recorded

WAITING, ENDED, FAILED = RemoteState.WAITING, RemoteState.ENDED, RemoteState.FAILED
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

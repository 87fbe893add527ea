"""Where results are fetched from, and files and pages of good and bad lines."""

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
from providers.base import ProviderError, RemoteBatch, RemoteState
from tests.providers.batch_adapters import make
from tests.providers.batch_answers import COMPLETION, GENERATED, IDS, MESSAGE, answered, at, gemini, looked, xai_result
from tests.providers.recorded import Recorded, recorded

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
    return RemoteBatch(id=IDS[adapter], state=RemoteState.ENDED, detail=detail)


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

"""What the batch adapters write: files of lines and the orders that name them."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from providers.ai.anthropic import Anthropic
from providers.ai.batches.adapter import BatchAdapter
from providers.ai.gemini import Gemini
from providers.ai.groq import Groq
from providers.ai.openai import OpenAI
from providers.ai.xai import XAI
from providers.base import ChatRequest, ProviderError
from providers.http import FileBody
from tests.providers.batch_adapters import MARKER, every_adapter, failure_of, make, written
from tests.providers.batch_answers import anthropic, at, gemini, openai
from tests.providers.raw_answers import RawServer, read_request, response
from tests.providers.recorded import Recorded, recorded


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


@every_adapter
def test_a_trickling_answer_to_a_small_upload_is_soon_given_up(
    adapter: type[BatchAdapter], raw_server: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would keep one of a worker's few places for the half hour that the largest file may take."""

    def trickle(connection: socket.socket) -> None:
        request = read_request(connection)
        if b"X-Goog-Upload-Command: start" in request:
            host = request.partition(b"Host: ")[2].partition(b"\r\n")[0].decode()
            connection.sendall(response(b"{}", x_goog_upload_url=f"http://{host}/there"))
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        for _ in range(100):
            connection.sendall(b" ")
            time.sleep(0.05)

    provider = make(adapter, raw_server(trickle))
    monkeypatch.setattr(adapter, "exchange_seconds", 0.5)
    began = time.monotonic()
    error = failure_of(provider.submit_batch, written(provider, tmp_path, 2), 2, MARKER)
    assert (error.code, error.permanent) == ("timeout", False)
    assert time.monotonic() - began < 4


@every_adapter
def test_a_large_upload_has_its_time(adapter: type[BatchAdapter], tmp_path: Path) -> None:
    large = tmp_path / "large.jsonl"
    with large.open("wb") as file:
        file.truncate(adapter.batch_limits.size)
    patience = make(adapter, "http://127.0.0.1:9").patience(FileBody(path=large))
    assert min(adapter.upload_seconds, adapter.batch_limits.size / 100_000) <= patience <= adapter.upload_seconds

"""The sandbox's batch APIs as other clients use them: official SDKs, other orders of fields, other accounts."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.sandbox_fixture import SandboxServer

LINE = {
    "custom_id": "a-1",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": "m", "messages": [{"role": "user", "content": "Hello"}]},
}
LINES = json.dumps(LINE).encode() + b"\n"
MESSAGE = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}], "temperature": 0.5}
GENERATE = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
KEYS = {"Authorization": "Bearer k", "anthropic-version": "2023-06-01", "x-goog-api-key": "k"}


@pytest.fixture(autouse=True)
def _quick(sandbox: SandboxServer) -> Iterator[None]:
    sandbox.configure(batches={"seconds": 0.2})
    yield
    sandbox.clear()


def fetch(
    sandbox: SandboxServer, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> tuple[int, bytes, Any]:
    address = urlsplit(sandbox.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read(), response.headers
    finally:
        connection.close()


def call(
    sandbox: SandboxServer, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, Any, Any]:
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    status, content, sent = fetch(sandbox, method, path, data, {**KEYS, **(headers or {})})
    try:
        return status, json.loads(content) if content else None, sent
    except ValueError:
        return status, content, sent


def form(*parts: tuple[str, bytes]) -> tuple[bytes, dict[str, str]]:
    """A form in the order of its parts; the one called ``file`` is a file."""
    body = b""
    for name, value in parts:
        what = b'name="file"; filename="x.jsonl"\r\nContent-Type: text/plain' if name == "file" else b'name="%b"'
        head = what if name == "file" else what % name.encode()
        body += b"--edge\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + value + b"\r\n"
    return body + b"--edge--\r\n", {"Content-Type": 'multipart/form-data; boundary="edge"'}


def upload(sandbox: SandboxServer, alias: str = "openai", lines: bytes = LINES) -> str:
    status, file, _ = call(sandbox, "POST", f"/{alias}/v1/files", *form(("file", lines), ("purpose", b"batch")))
    assert status == 200
    return str(file["id"])


def order(sandbox: SandboxServer, file_id: str, alias: str = "openai", **more: Any) -> tuple[int, Any, Any]:
    wanted = {"input_file_id": file_id, "endpoint": "/v1/chat/completions", "completion_window": "24h", **more}
    return call(sandbox, "POST", f"/{alias}/v1/batches", wanted)


def ended(sandbox: SandboxServer, path: str, name: str, *ends: str) -> Any:
    deadline = time.monotonic() + 10
    while True:
        found = call(sandbox, "GET", path)[1]
        if found[name] in ends:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.03)


def test_a_form_in_any_order_and_its_file_byte_for_byte(sandbox: SandboxServer) -> None:
    odd = b"x--edge\r\n\r\n\0\xff" + LINES + b"\r\n--edg"
    body, headers = form(("purpose", b"batch"), ("file", odd))
    for sent in (body, form(("file", odd), ("purpose", b"batch"))[0]):
        status, file, _ = call(sandbox, "POST", "/openai/v1/files", sent, headers)
        assert (status, file["bytes"], file["filename"]) == (200, len(odd), "x.jsonl")
        assert fetch(sandbox, "GET", f"/openai/v1/files/{file['id']}/content", None, KEYS)[1] == odd


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"{}", {"Content-Type": "application/json"}),
        (b"no form", {"Content-Type": "multipart/form-data; boundary=edge"}),
        (b"--edge\r\n", {"Content-Type": "multipart/form-data; boundary=edge"}),
        form(("purpose", b"batch")),
        form(("file", LINES)),
        form(("file", LINES), ("purpose", b"fine-tune")),
    ],
)
def test_what_is_no_upload_is_refused(sandbox: SandboxServer, body: bytes, headers: dict[str, str]) -> None:
    status, refusal, _ = call(sandbox, "POST", "/openai/v1/files", body, headers)
    assert (status, "message" in refusal["error"]) == (400, True)


def test_files_belong_to_their_account_and_can_be_deleted(sandbox: SandboxServer) -> None:
    file_id = upload(sandbox)
    assert call(sandbox, "GET", f"/openai/v1/files/{file_id}")[1]["status"] == "processed"
    assert [file["id"] for file in call(sandbox, "GET", "/openai/v1/files")[1]["data"]] == [file_id]
    for path in (f"/v1/files/{file_id}", f"/v1/files/{file_id}/content"):
        assert call(sandbox, "GET", f"/openai-other{path}")[0] == 404
    assert order(sandbox, file_id, "openai-other")[0] == 404
    gone = call(sandbox, "DELETE", f"/openai/v1/files/{file_id}", headers={"Content-Type": "application/json"})
    assert gone[1] == {"id": file_id, "object": "file", "deleted": True}
    assert call(sandbox, "GET", f"/openai/v1/files/{file_id}")[0] == 404


def test_an_order_of_what_there_is_not_is_refused(sandbox: SandboxServer) -> None:
    file_id = upload(sandbox)
    assert order(sandbox, "file-none")[0] == 404
    assert order(sandbox, file_id, endpoint="/v1/embeddings")[0] == 400
    assert order(sandbox, file_id, completion_window="1h")[0] == 400
    assert call(sandbox, "POST", "/openai/v1/batches", b"{")[0] == 400
    assert call(sandbox, "POST", "/openai/v1/batches", [])[0] == 400
    assert sandbox.batches() == []


def test_without_a_key_nothing_is_told(sandbox: SandboxServer) -> None:
    for path in (
        "/openai/v1/batches",
        "/grok/v1/batches",
        "/groq/openai/v1/batches",
        "/anthropic/v1/messages/batches",
        "/gemini/v1beta/batches",
    ):
        assert fetch(sandbox, "GET", path, None, {})[0] == 401


def test_a_list_in_pages(sandbox: SandboxServer) -> None:
    file_id = upload(sandbox)
    made = [order(sandbox, file_id)[1]["id"] for _ in range(5)]
    first = call(sandbox, "GET", "/openai/v1/batches?limit=3")[1]
    rest = call(sandbox, "GET", f"/openai/v1/batches?limit=3&after={first['last_id']}")[1]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert [batch["id"] for batch in first["data"] + rest["data"]] == made[::-1]


def test_openais_cancel_has_an_empty_body_of_json(sandbox: SandboxServer) -> None:
    sandbox.configure(batches={"seconds": 30})
    batch = order(sandbox, upload(sandbox))[1]
    path = f"/openai/v1/batches/{batch['id']}"
    status, cancelling, _ = call(sandbox, "POST", f"{path}/cancel", b"", {"Content-Type": "application/json"})
    assert (status, cancelling["status"]) == (200, "cancelling")
    assert ended(sandbox, path, "status", "cancelled")["cancelled_at"] is not None
    assert call(sandbox, "POST", f"{path}/cancel", b"")[0] == 409


def test_a_batch_of_openai_has_the_fields_that_its_sdk_reads(sandbox: SandboxServer) -> None:
    created = order(sandbox, upload(sandbox), metadata={"who": "me"})[1]
    batch = ended(sandbox, f"/openai/v1/batches/{created['id']}", "status", "completed")
    assert batch["object"] == "batch" and batch["metadata"] == {"who": "me"}
    assert batch["request_counts"] == {"total": 1, "completed": 1, "failed": 0}
    assert batch["error_file_id"] is None
    assert batch["created_at"] <= batch["completed_at"] < batch["expires_at"]
    (line,) = [call(sandbox, "GET", f"/openai/v1/files/{batch['output_file_id']}/content")[1]]
    assert (line["custom_id"], line["error"], line["response"]["status_code"]) == ("a-1", None, 200)


def test_a_line_under_the_same_id_twice_refuses_the_batch(sandbox: SandboxServer) -> None:
    created = order(sandbox, upload(sandbox, lines=LINES + LINES))[1]
    batch = ended(sandbox, f"/openai/v1/batches/{created['id']}", "status", "failed")
    assert batch["errors"]["data"][0] | {"message": ""} == {
        "code": "duplicate_custom_id",
        "message": "",
        "param": None,
        "line": 2,
    }


@pytest.mark.parametrize(
    "requests",
    [
        None,
        [],
        [7],
        [{}],
        [{"custom_id": "a b", "params": MESSAGE}],
        [{"custom_id": 7, "params": MESSAGE}],
        [{"custom_id": "a", "params": MESSAGE}, {"custom_id": "a", "params": MESSAGE}],
    ],
)
def test_anthropic_refuses_wrong_requests_at_once(sandbox: SandboxServer, requests: Any) -> None:
    status, refusal, _ = call(sandbox, "POST", "/anthropic/v1/messages/batches", {"requests": requests})
    assert (status, refusal["error"]["type"]) == (400, "invalid_request_error")
    assert call(sandbox, "POST", "/anthropic/v1/messages/batches", b'{"requests": [{"cust')[0] == 400
    assert sandbox.batches() == []


def test_anthropic_tells_nothing_before_the_end(sandbox: SandboxServer) -> None:
    wanted = [{"custom_id": "good", "params": MESSAGE}, {"custom_id": "odd", "params": {"model": "m"}}]
    created = call(sandbox, "POST", "/anthropic/v1/messages/batches", {"requests": wanted})[1]
    path = f"/anthropic/v1/messages/batches/{created['id']}"
    assert created["request_counts"] == {"processing": 2, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    assert created["results_url"] is None
    assert call(sandbox, "GET", f"{path}/results")[0] == 404
    assert call(sandbox, "DELETE", path)[0] == 400
    batch = ended(sandbox, path, "processing_status", "ended")
    assert batch["request_counts"] == {"processing": 0, "succeeded": 1, "errored": 1, "canceled": 0, "expired": 0}
    lines = call(sandbox, "GET", f"/anthropic{batch['results_url']}")[1].splitlines()
    kinds = {line["custom_id"]: line["result"]["type"] for line in map(json.loads, lines)}
    assert kinds == {"good": "succeeded", "odd": "errored"}
    assert call(sandbox, "DELETE", path)[1] == {"id": batch["id"], "type": "message_batch_deleted"}
    assert call(sandbox, "GET", path)[0] == 404


def gemini_file(sandbox: SandboxServer, *pieces: bytes) -> str:
    start = call(sandbox, "POST", "/gemini/upload/v1beta/files", {}, {"X-Goog-Upload-Command": "start"})[2]
    path = start["x-goog-upload-url"].removeprefix(sandbox.url)
    offset, answer = 0, None
    for number, piece in enumerate(pieces, 1):
        command = "upload, finalize" if number == len(pieces) else "upload"
        headers = {"X-Goog-Upload-Command": command, "X-Goog-Upload-Offset": str(offset), "x-goog-api-key": ""}
        status, answer, sent = call(sandbox, "POST", path, piece, headers)
        assert (status, sent["x-goog-upload-status"]) == (200, "final" if number == len(pieces) else "active")
        offset += len(piece)
    assert answer is not None
    return str(answer["file"]["name"])


def test_gemini_takes_files_in_pieces_and_without_a_key(sandbox: SandboxServer) -> None:
    line = json.dumps({"key": "a-1", "request": GENERATE}).encode() + b"\n"
    name = gemini_file(sandbox, line[:10], line[10:])
    wanted = {"batch": {"displayName": "mine", "inputConfig": {"fileName": name}}}
    created = call(sandbox, "POST", "/gemini/v1beta/models/m-1:batchGenerateContent", wanted)[1]
    path, operation = f"/gemini/v1beta/{created['name']}", created
    while not operation.get("done"):
        time.sleep(0.03)
        operation = call(sandbox, "GET", path)[1]
    assert operation["metadata"]["batchStats"]["requestCount"] == "1", "text"
    file = operation["metadata"]["output"]["responsesFile"]
    for place in ("/gemini/v1beta", "/gemini/download/v1beta"):
        result = call(sandbox, "GET", f"{place}/{file}:download?alt=media")[1]
        assert (result["key"], result["response"]["modelVersion"]) == ("a-1", "m-1")
    assert call(sandbox, "DELETE", path)[0] == 200
    assert call(sandbox, "GET", path)[0] == 404
    assert call(sandbox, "GET", "/gemini/v1beta/batches")[1] == {}


def test_gemini_takes_requests_in_the_order_itself(sandbox: SandboxServer) -> None:
    inlined = [{"request": GENERATE, "metadata": {"key": "a-1"}}]
    wanted = {"batch": {"displayName": "mine", "inputConfig": {"requests": {"requests": inlined}}}}
    operation = call(sandbox, "POST", "/gemini/v1beta/models/m-1:batchGenerateContent", wanted)[1]
    while not operation.get("done"):
        time.sleep(0.03)
        operation = call(sandbox, "GET", f"/gemini/v1beta/{operation['name']}")[1]
    (result,) = operation["response"]["inlinedResponses"]["inlinedResponses"]
    assert result["metadata"] == {"key": "a-1"} and "response" in result


@pytest.mark.parametrize(
    "wanted", [{}, [], {"batch": 7}, {"batch": {"inputConfig": {}}}, {"batch": {"inputConfig": {"requests": 7}}}]
)
def test_gemini_refuses_what_is_no_order(sandbox: SandboxServer, wanted: Any) -> None:
    status, refusal, _ = call(sandbox, "POST", "/gemini/v1beta/models/m:batchGenerateContent", wanted)
    assert (status, refusal["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_xai_shows_results_before_the_end(sandbox: SandboxServer) -> None:
    sandbox.configure(batches={"seconds": 4})
    lines = b"".join(json.dumps({**LINE, "custom_id": f"a-{number}"}).encode() + b"\n" for number in range(400))
    file_id = upload(sandbox, "grok", lines)
    created = call(sandbox, "POST", "/grok/v1/batches", {"name": "mine", "input_file_id": file_id})[1]
    assert created["state"]["num_requests"] == 0, "it is being parsed"
    assert "status" not in created
    path = f"/grok/v1/batches/{created['batch_id']}"
    seen: list[Any] = []
    while not seen:
        seen = call(sandbox, "GET", f"{path}/results?limit=50")[1]["results"]
    state = call(sandbox, "GET", path)[1]["state"]
    assert state["num_requests"] == 400 and 0 < state["num_pending"] < 400
    assert call(sandbox, "POST", f"{path}:cancel", b"")[0] == 200
    while call(sandbox, "GET", path)[1]["cancel_time"] is None:
        time.sleep(0.03)
    token, ids = "", list[str]()
    for _ in range(20):
        page = call(sandbox, "GET", f"{path}/results?limit=50&pagination_token={token}")[1]
        ids += [result["batch_request_id"] for result in page["results"]]
        token = page["pagination_token"]
        if not token:
            break
    assert sorted(ids) == sorted(f"a-{number}" for number in range(400))


def test_forgetting_all_batches_ends_them(sandbox: SandboxServer) -> None:
    batch = order(sandbox, upload(sandbox))[1]
    assert call(sandbox, "DELETE", "/_sandbox/batches")[0] == 204
    assert sandbox.batches() == []
    assert call(sandbox, "GET", f"/openai/v1/batches/{batch['id']}")[0] == 404
    assert not sandbox.billed()


def test_a_slow_download(sandbox: SandboxServer) -> None:
    created = order(sandbox, upload(sandbox))[1]
    batch = ended(sandbox, f"/openai/v1/batches/{created['id']}", "status", "completed")
    path = f"/openai/v1/files/{batch['output_file_id']}/content"
    size = len(json.dumps(call(sandbox, "GET", path)[1]))
    sandbox.configure(batches={"download_bytes_per_second": size * 2})
    began = time.monotonic()
    assert call(sandbox, "GET", path)[0] == 200
    assert 0.3 < time.monotonic() - began < 5

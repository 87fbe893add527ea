"""What each method asks of the API: bodies, pages, forms, files."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batchsite.client import BatchClient, ConnectionFailed, WaitTimedOut
from tests.client.conftest import Serve
from tests.client.scripted import Asked, Reply

BATCH = {"id": "batch_1", "operation": "annotate", "status": "running", "progress": 45, "total_items": 100}


def test_options_are_spelled_as_the_api_does(serve: Serve) -> None:
    client, server = serve(
        Reply(202, {"success": True, "batchId": "batch_1", "status": "pending", "totalRecipients": 2})
    )
    batch = client.send_sms(
        "Hi {{name}}",
        ["+12025550101", {"phoneNumber": "+12025550102", "variables": {"name": "Ada"}}],
        priority="high",
        rate_limit=60,
        auto_start=False,
        schedule_time=datetime(2030, 1, 1, tzinfo=UTC),
    )
    assert (batch.id, batch.operation, batch.total, batch.is_final) == ("batch_1", "sms", 2, False)
    body = server.asked[0].parsed
    assert body["recipients"][0] == {"phoneNumber": "+12025550101"}
    moment = datetime.fromisoformat(body["options"].pop("scheduleTime"))
    assert moment == datetime(2030, 1, 1, tzinfo=UTC)
    assert body["options"] == {"priority": "high", "rateLimit": 60, "autoStart": False}


def test_local_photos_are_uploaded_first(serve: Serve, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.jpg").write_bytes(b"photo of " + folder.encode())
    stored = [{"fileId": f"file_{n}", "name": "1.jpg", "mediaType": "image/jpeg", "size": 10} for n in range(2)]
    client, server = serve(
        Reply(201, {"success": True, "files": stored}),
        Reply(202, {"jobId": "batch_2", "message": "Job created successfully", "mode": "fast", "totalImages": 4}),
    )
    batch = client.rate_photos(
        [
            tmp_path / "a" / "1.jpg",
            "https://x.test/2.jpg",
            str(tmp_path / "b" / "1.jpg"),
            {"id": "x", "fileId": "file_9"},
        ],
        shoot_id="wedding",
        provider="openai-gpt-5",
    )
    assert (batch.id, batch.total) == ("batch_2", 4)
    upload, create = server.asked
    assert upload.headers["content-type"].startswith("multipart/form-data")
    assert b"photo of a" in upload.body and b"photo of b" in upload.body
    assert upload.body.count(b'name="file"; filename="1.jpg"') == 2
    assert create.parsed["images"] == [
        {"id": "1.jpg", "filename": "1.jpg", "fileId": "file_0"},
        {"id": "https://x.test/2.jpg", "url": "https://x.test/2.jpg"},
        {"id": "1.jpg-2", "filename": "1.jpg", "fileId": "file_1"},
        {"id": "x", "fileId": "file_9"},
    ]
    assert (create.parsed["shootId"], create.parsed["providerId"]) == ("wedding", "openai-gpt-5")


def test_an_upload_is_rewound_for_its_second_try(serve: Serve) -> None:
    stored = {"success": True, "fileId": "file_1", "name": "notes.txt", "mediaType": "text/plain", "size": 5}
    client, server = serve(Reply(503, None), Reply(201, stored))
    file = io.BytesIO(b"hello")
    assert client.upload(file, name="notes.txt").id == "file_1"
    assert all(b"hello" in asked.body for asked in server.asked)
    assert b"Content-Type: text/plain" in server.asked[0].body
    assert not file.closed


def test_a_download_is_whole_or_not_there(serve: Serve, tmp_path: Path) -> None:
    client, _ = serve(Reply(200, b"x" * 300_000), Reply(200, b"short", {"Content-Length": "999999"}))
    client.download("file_1", tmp_path / "out.bin")
    assert (tmp_path / "out.bin").read_bytes() == b"x" * 300_000
    with pytest.raises(ConnectionFailed):
        client.download("file_1", tmp_path / "half.bin")
    assert [path.name for path in tmp_path.iterdir()] == ["out.bin"]


def test_lists_are_read_page_by_page(serve: Serve) -> None:
    def page(asked: Asked) -> Reply:
        offset = int(asked.path.partition("offset=")[2].partition("&")[0])
        rows = [{"nodeId": str(n)} for n in range(offset, min(offset + 100, 230))]
        return Reply(200, {"success": True, "batch": {"results": rows}})

    client, server = serve(page)
    results = client.results("batch_1")
    assert not server.asked
    assert [row["nodeId"] for row in results] == [str(n) for n in range(230)]
    assert len(server.asked) == 3


def test_history_is_filtered_and_made_of_batches(serve: Serve) -> None:
    client, server = serve(Reply(200, {"success": True, "batches": [BATCH], "count": 1}))
    [batch] = client.history(status="running", created_after=datetime(2026, 1, 1, tzinfo=UTC))
    assert (batch.progress, batch.total) == (45, 100)
    assert "status=running" in server.asked[0].path
    assert "createdAfter=2026-01-01T" in server.asked[0].path
    assert "operation" not in server.asked[0].path


def test_waiting_ends_with_the_batch(serve: Serve) -> None:
    running, done = ({"success": True, "batch": {**BATCH, "status": status}} for status in ("running", "completed"))
    client, server = serve(Reply(200, running), Reply(200, running), Reply(200, done))
    assert client.wait("batch_1", progress=False).status == "completed"
    assert len(server.asked) == 3


def test_waiting_ends_with_patience(serve: Serve) -> None:
    client, _ = serve(Reply(200, {"success": True, "batch": BATCH}))
    with pytest.raises(WaitTimedOut, match="batch_1 is running") as raised:
        client.wait("batch_1", timeout=0)
    assert isinstance(raised.value, TimeoutError)


def test_waiting_shows_a_bar_where_it_is_wanted(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    done = {**BATCH, "status": "completed", "processed_items": 100, "failed_items": 3}
    client, _ = serve(Reply(200, {"success": True, "batch": done}))
    client.wait("batch_1", progress=True)
    assert "annotate" in (shown := capsys.readouterr().err)
    assert "100/100 completed, 3 failed" in shown
    client.wait("batch_1")
    assert capsys.readouterr().err == ""


def test_cleanup_and_retry_tell_how_many(serve: Serve) -> None:
    client, server = serve(Reply(200, {"success": True, "deleted": 42, "daysToKeep": 60}), Reply(200, {"retried": 7}))
    assert client.cleanup(60) == 42
    assert client.retry("batch_1") == 7
    assert [(asked.method, asked.path) for asked in server.asked] == [
        ("DELETE", "/api/batch/cleanup?daysToKeep=60"),
        ("POST", "/api/batch/batch_1/retry"),
    ]


def test_its_connections_end_with_it(serve: Serve) -> None:
    client, _ = serve(Reply(200, {"success": True, "stats": {"total": 1}}))
    with client as same:
        assert isinstance(same, BatchClient)
        assert same.stats() == {"total": 1}
    with pytest.raises(RuntimeError, match="closed"):
        client.stats()

"""The client against the whole stack: web, dispatcher, worker, sandbox and database are processes of their own."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from PIL import Image

from batches.models import Batch as Row
from batches.models import StoredFile
from batchsite.client import AuthenticationFailed, BatchClient, Conflict, InvalidRequest, NotFound
from records.models import Record
from tests.extraction.files import pdf, picture, word
from tests.operations.files.long_documents import long_text
from tests.sandbox_fixture import SandboxServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sandbox")]

PATIENCE = 60.0
AT_ONCE = {"rateLimit": 60_000, "concurrency": 20}


def test_memories_are_written_found_and_counted_as_document_003_shows(client: BatchClient) -> None:
    operations: list[dict[str, Any]] = [
        {
            "type": "create",
            "data": {
                "content": "User profile data",
                "metadata": {"type": "profile", "user_id": "123"},
                "tags": ["user", "profile"],
            },
        },
        {"type": "create", "data": {"content": "Product catalog entry", "tags": ["product", "catalog"]}},
        {"type": "search", "query": "user profile", "options": {"limit": 5}},
    ]
    result = client.batch_operations(operations, continue_on_error=True, max_retries=3, timeout=30000)
    assert f"Processed {result.processed} operations" == "Processed 3 operations"
    assert (result.failed, result.summary["creates"], result.summary["searches"]) == (0, 2, 1)
    found = result.operations[2].result["results"]
    assert found[0]["id"] == result.operations[0].result["id"]


def test_more_than_a_hundred_operations_are_one_list(client: BatchClient) -> None:
    created = client.batch_operations([{"type": "create", "data": {"content": f"Note {n}"}} for n in range(230)])
    ids = [operation.result["id"] for operation in created.operations]
    assert len(set(ids)) == created.processed == 230
    read = client.batch_operations(
        [{"type": "read", "id": one} for one in [*ids[:120], "mem_nothing", *ids[120:]]], continue_on_error=True
    )
    assert (read.processed, [failure.index for failure in read.failures]) == (230, [120])
    contents = [operation.result["content"] for operation in read.operations if operation.is_success]
    assert contents == [f"Note {n}" for n in range(230)]


def test_photos_from_a_folder_are_rated(client: BatchClient, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(picture(200 + number))
    batch = client.rate_photos(sorted(tmp_path.iterdir()), shoot_id="wedding", name="The wedding")
    batch = client.wait(batch, timeout=PATIENCE)
    assert (batch.status, batch.total, batch.failed, batch.progress) == ("completed", 3, 0, 100)
    results = list(client.results(batch))
    assert [result["success"] for result in results] == [True] * 3
    assert {result["nodeId"] for result in results} == {"0.jpg", "1.jpg", "2.jpg"}
    assert 1 <= results[0]["result"]["starRating"] <= 5


def test_people_are_texted(client: BatchClient, sandbox: SandboxServer) -> None:
    people = [{"phoneNumber": f"+1202555010{n}", "variables": {"name": f"N{n}"}} for n in range(3)]
    batch = client.wait(client.send_sms("Hi {{name}}", people, priority="high"), timeout=PATIENCE)
    assert (batch.status, batch.processed) == ("completed", 3)
    assert sorted(entry["to"] for entry in sandbox.log()) == [person["phoneNumber"] for person in people]


def test_a_batch_is_steered(client: BatchClient, sandbox: SandboxServer) -> None:
    batch = client.create("generate_images", prompts=["a"], variations=5, options={"autoStart": False, **AT_ONCE})
    assert batch.status == "pending"
    sandbox.configure(latency_ms=2000)
    assert client.start(batch).status == "running"
    assert client.pause(batch).status == "paused"
    with pytest.raises(Conflict):
        client.pause(batch)
    assert client.resume(batch).status == "running"
    assert client.cancel(batch).status == "cancelled"
    assert client.wait(batch, timeout=PATIENCE).is_final
    assert [one.id for one in client.history(operation="generate_images")] == [batch.id]
    assert client.stats()["total"] == 1


def test_failed_items_are_listed_and_retried(client: BatchClient, sandbox: SandboxServer) -> None:
    sandbox.configure(permanent_error_rate=1)
    batch = client.wait(client.create("generate_images", prompts=["a", "b"], options=AT_ONCE), timeout=PATIENCE)
    assert (batch.status, batch.failed) == ("failed", 2)
    assert {error["code"] for error in client.errors(batch)} == {"moderation_blocked"}
    assert client.viz(batch)["overview"]["failed"] == 2
    sandbox.reset()
    assert client.retry(batch) == 2
    assert client.wait(batch, timeout=PATIENCE).status == "completed"
    assert client.analytics(batch)


def test_a_create_sent_twice_is_one_batch(client: BatchClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first answer is lost on its way; the second request finds the batch."""
    send = client._transport._http.send
    lost: list[Any] = []

    def losing(*arguments: Any, **options: Any) -> Any:
        response = send(*arguments, **options)
        if not lost:
            lost.append(response.json())
            import httpx

            raise httpx.ReadError("lost")
        return response

    monkeypatch.setattr(client._transport._http, "send", losing)
    batch = client.create("generate_images", prompts=["a"])
    assert batch.id == lost[0]["batch"]["id"]
    assert Row.objects.count() == 1


def test_what_is_wrong_is_said(client: BatchClient, site: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        client.create("generate_images", prompts=[], sise="big")
    assert {problem.path for problem in refused.value.problems} == {"prompts", "sise"}
    with pytest.raises(NotFound):
        client.get("batch_1_x")
    with BatchClient("wrong", site) as stranger, pytest.raises(AuthenticationFailed):
        stranger.stats()
    assert client.preview("generate_images", prompts=["a", "b"], variations=2)["total"] == 4
    assert not Row.objects.exists()


# --- The operations of document 000 -----------------------------------------------------------------


def lines_of(client: BatchClient, file_id: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in client.download(file_id).splitlines()]


def test_a_collection_of_files_is_processed(client: BatchClient, sandbox: SandboxServer) -> None:
    files = [
        client.upload(b"The invoice of March. The total is 99 EUR, and it is overdue.", name="notes.txt"),
        client.upload(pdf("Contract between Ada and Ben", "Either party may end it."), name="contract.pdf"),
        client.upload(word("Minutes of the meeting"), name="minutes.docx"),
        client.upload(picture(), name="photo.jpg"),
        client.upload(long_text(2).encode(), name="long.txt"),
        client.upload(pdf("Secret", password="x"), name="secret.pdf"),
    ]
    file_ids = [file.id for file in files]
    batch = client.create("process_files", fileIds=file_ids, instruction="summarise", options=AT_ONCE)
    batch = client.wait(batch, timeout=PATIENCE)
    assert (batch.status, batch.processed, batch.failed) == ("completed", 6, 1)
    [error] = client.errors(batch)
    assert (error["itemId"], error["code"]) == (file_ids[5], "encrypted")
    results = {result["nodeId"]: result["result"] for result in client.results(batch) if result["success"]}
    assert results[file_ids[1]]["pages"] == 2
    assert results[file_ids[3]]["thumbnail"]["mediaType"] == "image/webp"
    long = results[file_ids[4]]
    calls = [entry for entry in sandbox.log() if entry["accepted"]]
    assert len(calls) == 4 + long["parts"] + 1
    assert batch.outcome is not None
    lines = lines_of(client, batch.outcome["fileId"])
    assert [line["id"] for line in lines] == file_ids
    assert [line["status"] for line in lines] == ["succeeded"] * 5 + ["failed"]
    assert not StoredFile.objects.filter(batch__public_id=batch.id, is_result=False).exists()


def test_documents_are_read_although_their_calls_are_limited(client: BatchClient, sandbox: SandboxServer) -> None:
    """Reading takes longer than a slot lasts: the call is made in the next one, and not read for again."""
    files = [client.upload(pdf(f"Page {n}"), name=f"{n}.pdf").id for n in range(3)]
    batch = client.create("process_files", fileIds=files, instruction="summarise", options={"rateLimit": 60})
    assert client.wait(batch, timeout=PATIENCE).processed == 3
    instants = [entry["at"] for entry in sandbox.log()]
    assert len(instants) == 3
    assert instants[-1] - instants[0] > 1.5  # two seconds, less what a busy machine adds to the first one's way


def test_images_are_made_and_downloaded(client: BatchClient, sandbox: SandboxServer, tmp_path: Path) -> None:
    sandbox.configure(error_rates={"500": 0.2})
    options = {**AT_ONCE, "backoff": 50, "retries": 50}
    batch = client.create("generate_images", prompts=["a lighthouse", "a fox"], variations=3, options=options)
    batch = client.wait(batch, timeout=PATIENCE)
    assert (batch.status, batch.processed, batch.failed) == ("completed", 6, 0)
    files = {file.name: file for file in client.files(batch)}
    assert len(files) == 13
    pictures = set()
    for number in (1, 2, 3):
        client.download(files[f"2-{number}.png"], tmp_path / "image.png")
        pictures.add((tmp_path / "image.png").read_bytes())
        with Image.open(tmp_path / "image.png") as image:
            assert image.size == (1024, 1024)
        with Image.open(io.BytesIO(client.download(files[f"2-{number}-thumbnail.webp"]))) as small:
            assert (small.size, small.format) == ((320, 320), "WEBP")
    assert len(pictures) == 3


def test_conversations_are_analysed_one_by_one_and_together(
    client: BatchClient, owner: User, sandbox: SandboxServer
) -> None:
    for n in range(20):
        messages = [{"role": "user", "content": f"=1+{n} my invoice is wrong"}, {"role": "agent", "content": "Sorry."}]
        Record.objects.create(owner=owner, kind="conversation", title=f"Case {n}", metadata={"messages": messages})
    Record.objects.create(owner=owner, kind="conversation", title="Nothing")
    batch = client.create("analyze_conversations", filters={}, question="What is billed wrongly?", options=AT_ONCE)
    batch = client.wait(batch, timeout=PATIENCE)
    assert (batch.status, batch.total, batch.failed) == ("completed", 21, 1)
    assert batch.outcome is not None
    overall = batch.outcome["overall"]
    assert (overall["conversations"], overall["messages"], overall["summariesRead"]) == (20, 40, 20)
    assert sum(overall["sentiments"].values()) == 20
    assert {"summary", "themes", "recommendations", "topics"} <= overall.keys()
    assert len(sandbox.log()) == 21
    lines = lines_of(client, batch.outcome["files"]["conversations"])
    assert [line["title"] for line in lines] == [f"Case {n}" for n in range(20)] + ["Nothing"]
    assert lines[3]["messages"][0]["content"] == "=1+3 my invoice is wrong"
    assert lines[20]["error"]["code"] == "no_messages"
    table = client.download(batch.outcome["files"]["messages"]).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(table)))
    assert len(rows) == 40
    assert (rows[6]["content"], rows[6]["number"], rows[6]["role"]) == ("'=1+3 my invoice is wrong", "1", "user")


def test_conversations_are_exported_without_a_model(client: BatchClient, sandbox: SandboxServer) -> None:
    lines = b"".join(
        json.dumps({"id": f"c{n}", "messages": [{"role": "user", "content": f"Hello {n}"}]}).encode() + b"\n"
        for n in range(50)
    )
    file = client.upload(lines, name="conversations.jsonl", media_type="application/jsonl")
    batch = client.create("analyze_conversations", conversationsFile=file.id, analyze=False, options=AT_ONCE)
    batch = client.wait(batch, timeout=PATIENCE)
    assert (batch.status, batch.processed) == ("completed", 50)
    assert batch.outcome is not None and set(batch.outcome) == {"files"}
    assert len(lines_of(client, batch.outcome["files"]["conversations"])) == 50
    assert not sandbox.log()


def test_conversations_of_which_none_was_analysed_are_still_exported(
    client: BatchClient, sandbox: SandboxServer
) -> None:
    sandbox.configure(permanent_error_rate=1)
    conversations = [{"messages": [{"role": "user", "content": "Hello"}]}] * 2
    batch = client.create("analyze_conversations", conversations=conversations, options=AT_ONCE)
    batch = client.wait(batch, timeout=PATIENCE)
    assert (batch.status, batch.failed) == ("failed", 2)
    assert batch.outcome is not None and batch.outcome["overall"]["conversations"] == 0
    assert len(client.files(batch)) == 2

"""Document 001, from the front door."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from batches import idempotency
from batches.api import base
from batches.files import store_file
from batches.models import Batch, Item, StoredFile
from batches.operations import payload
from tests.api.conftest import Submit, end_items, jpeg, problems_of, settle

DOCUMENTED: dict[str, Any] = {
    "shootId": "shoot123",
    "images": [
        {
            "id": "img1",
            "filename": "photo1.jpg",
            "url": "https://example.com/photo1.jpg",
            "metadata": {"camera": "Nikon", "iso": 400},
            "tags": ["wedding", "ceremony"],
        }
    ],
    "providerId": "openai-gpt-5",
    "prompt": "Rate these wedding photos",
    "systemPrompt": "You are an expert wedding photographer",
    "mode": "fast",
}
RATING = {"starRating": 5, "colorLabel": "green", "title": "T", "description": "D", "tags": ["hero"]}


def post(client: Client, **changes: Any) -> Any:
    return client.post("/api/batch/process", {**DOCUMENTED, **changes}, content_type="application/json")


def image(**changes: Any) -> dict[str, Any]:
    return {"id": "img1", "filename": "photo1.jpg", "url": "https://example.com/photo1.jpg", **changes}


def data_url(content: bytes, media_type: str = "image/jpeg") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def test_the_documents_example(client: Client, alice: User) -> None:
    response = post(client)
    assert response.status_code == 202
    body = response.json()
    assert re.fullmatch(r"batch_\d{13}_[0-9a-f]{24}", body.pop("jobId"))
    assert body == {"message": "Batch processing started", "mode": "fast", "totalImages": 1}
    batch = Batch.objects.get()
    assert (batch.owner, batch.operation, batch.subject, batch.status) == (alice, "rate_photos", "shoot123", "running")
    assert batch.parameters == {key: DOCUMENTED[key] for key in ("prompt", "systemPrompt")}
    assert (batch.max_retries, batch.retry_window_seconds, batch.timeout_ms) == (None, 6 * 3600, 30_000)
    item = batch.items.get()
    assert item.key == "img1"
    assert item.input == {key: value for key, value in DOCUMENTED["images"][0].items() if key != "id"}


def test_options_at_the_top_or_below(client: Client) -> None:
    options = {"concurrency": 3, "rateLimit": 10, "retries": 0, "backoff": 1000, "timeout": 60000, "priority": "high"}
    assert post(client, **options).status_code == 202
    assert post(client, options={**options, "autoStart": False, "retryWindowSeconds": 60}).status_code == 202
    for batch in Batch.objects.all():
        assert (batch.concurrency, batch.rate_limit, batch.max_retries) == (3, 10.0, 0)
        assert (batch.backoff_ms, batch.timeout_ms, batch.priority) == (1000, 60000, "high")
    assert Batch.objects.latest("id").status == "pending"
    assert Batch.objects.latest("id").retry_window_seconds == 60


def test_a_model_name_finds_its_provider(client: Client) -> None:
    assert post(client, providerId="gpt-5").status_code == 202
    assert Batch.objects.get().provider == "openai-gpt-5"


@pytest.mark.parametrize(
    ("changes", "path", "code"),
    [
        ({"shootId": None}, "shootId", "required"),
        ({"shootId": " "}, "shootId", "required"),
        ({"shootId": 5}, "shootId", "invalid_type"),
        ({"shootId": "x" * 201}, "shootId", "too_long"),
        ({"shootId": "a\x00"}, "shootId", "invalid_text"),
        ({"images": None}, "images", "required"),
        ({"images": []}, "images", "empty"),
        ({"images": {}}, "images", "invalid_type"),
        ({"images": ["x"]}, "images.0", "invalid_type"),
        ({"images": [image(id=None)]}, "images.0.id", "required"),
        ({"images": [image(id=5)]}, "images.0.id", "invalid_type"),
        ({"images": [image(), image()]}, "images.1.id", "duplicate"),
        ({"images": [image(filename=5)]}, "images.0.filename", "invalid_type"),
        ({"images": [image(url=None)]}, "images.0.url", "required"),
        ({"images": [image(fileId="file_1")]}, "images.0.url", "required"),
        ({"images": [image(url=5)]}, "images.0.url", "invalid_type"),
        ({"images": [image(url="ftp://x.test/1")]}, "images.0.url", "invalid_url"),
        ({"images": [image(url="file:///etc/passwd")]}, "images.0.url", "invalid_url"),
        ({"images": [image(url="https://user:secret@x.test/")]}, "images.0.url", "invalid_url"),
        ({"images": [image(url="https:///x")]}, "images.0.url", "invalid_url"),
        ({"images": [image(url="https://x.test/a b")]}, "images.0.url", "invalid_url"),
        ({"images": [image(url="https://x.test/" + "a" * 5000)]}, "images.0.url", "too_long"),
        ({"images": [image(url=None, fileId="x")]}, "images.0.fileId", "unknown_file"),
        ({"images": [image(url=None, fileId="file_" + "0" * 32)]}, "images.0.fileId", "unknown_file"),
        ({"images": [image(tags="a")]}, "images.0.tags", "invalid_type"),
        ({"images": [image(tags=[1])]}, "images.0.tags.0", "invalid_type"),
        ({"images": [image(metadata=[])]}, "images.0.metadata", "invalid_type"),
        ({"images": [image(metadata={"a": {"b": ["\x00"]}})]}, "images.0.metadata.a.b.0", "invalid_text"),
        ({"providerId": "nobody"}, "providerId", "unknown_provider"),
        ({"providerId": "twilio"}, "providerId", "unknown_provider"),
        ({"mode": "slow"}, "mode", "invalid_choice"),
        ({"mode": "economy", "deadline": "2020-01-01T00:00:00Z"}, "deadline", "in_the_past"),
        ({"mode": "economy", "economyRetries": "slow"}, "economyRetries", "invalid_choice"),
        ({"economyRetries": "fast"}, "economyRetries", "contradiction"),
        ({"prompt": 5}, "prompt", "invalid_type"),
        ({"prompt": "x" * 20_001}, "prompt", "too_long"),
        ({"options": []}, "options", "invalid_type"),
        ({"concurrency": 0}, "concurrency", "out_of_range"),
        ({"concurrency": -1}, "concurrency", "out_of_range"),
        ({"concurrency": True}, "concurrency", "invalid_type"),
        ({"concurrency": 1.5}, "concurrency", "invalid_type"),
        ({"concurrency": "3"}, "concurrency", "invalid_type"),
        ({"options": {"rateLimit": 0}}, "options.rateLimit", "out_of_range"),
        ({"rateLimit": False}, "rateLimit", "invalid_type"),
        ({"rateLimit": 10**400}, "rateLimit", "out_of_range"),
        ({"retries": -1}, "retries", "out_of_range"),
        ({"timeout": 0}, "timeout", "out_of_range"),
        ({"backoff": -5}, "backoff", "out_of_range"),
        ({"retryWindowSeconds": 10**12}, "retryWindowSeconds", "out_of_range"),
        ({"priority": "urgent"}, "priority", "invalid_choice"),
        ({"autoStart": 1}, "autoStart", "invalid_type"),
        ({"scheduledAt": "2020-01-01T00:00:00Z"}, "scheduledAt", "in_the_past"),
        ({"concurrency": 3, "options": {"concurrency": 4}}, "options.concurrency", "contradiction"),
        ({"name": "x" * 201}, "name", "too_long"),
        ({"description": []}, "description", "invalid_type"),
    ],
)
def test_bad_input(client: Client, changes: dict[str, Any], path: str, code: str) -> None:
    assert problems_of(post(client, **changes)) == {path: code}
    assert not Batch.objects.exists()
    assert not Item.objects.exists()


def test_all_problems_at_once(client: Client) -> None:
    response = post(client, shootId="", images=[image(url="x"), image()], mode="x", timeout=-1)
    assert problems_of(response) == {
        "shootId": "required",
        "images.0.url": "invalid_url",
        "images.1.id": "duplicate",
        "mode": "invalid_choice",
        "timeout": "out_of_range",
    }


def test_too_many_images(client: Client, settings: Any) -> None:
    settings.BATCH_MAX_INLINE_ITEMS = 2
    images = [image(id=str(number)) for number in range(3)]
    assert problems_of(post(client, images=images)) == {"images": "too_many"}


def test_a_data_url_becomes_a_file(client: Client, alice: User) -> None:
    content = jpeg()
    assert post(client, images=[image(url=data_url(content, "image/png"))]).status_code == 202
    stored = StoredFile.objects.get()
    assert (stored.owner, stored.media_type, stored.size) == (alice, "image/jpeg", len(content))
    assert Item.objects.get().input == {
        "filename": "photo1.jpg",
        "fileId": stored.public_id,
        "mediaType": "image/jpeg",
    }


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("data:image/jpeg;base64,@@@", "invalid_url"),
        ("data:image/jpeg;base64,ü", "invalid_url"),
        ("data:text/html;base64,AAAA", "invalid_url"),
        ("data:image/jpeg,hello", "invalid_url"),
        ("data:image/jpeg;base64,", "empty"),
        (data_url(b"not an image"), "not_an_image"),
        (data_url(jpeg()[:20]), "not_an_image"),
        (data_url(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"), "not_an_image"),
    ],
)
def test_a_bad_data_url(client: Client, url: str, code: str) -> None:
    assert problems_of(post(client, images=[image(url=url)])) == {"images.0.url": code}


def test_nothing_is_stored_when_anything_is_bad(client: Client, media: Path) -> None:
    images = [image(url=data_url(jpeg())), image(id="2", url="nonsense")]
    assert problems_of(post(client, images=images)) == {"images.1.url": "invalid_url"}
    assert not StoredFile.objects.exists()
    assert not media.exists()


def test_a_data_url_over_the_limit(client: Client, settings: Any) -> None:
    settings.MAX_FILE_BYTES = 100
    assert problems_of(post(client, images=[image(url=data_url(jpeg()))])) == {"images.0.url": "too_large"}


def test_an_uploaded_file_is_rated(client: Client, alice: User) -> None:
    stored = store_file(alice.pk, "a.jpg", "image/jpeg", jpeg())
    assert post(client, images=[{"id": "1", "fileId": stored.public_id}]).status_code == 202
    assert Item.objects.get().input == {"filename": "1", "fileId": stored.public_id, "mediaType": "image/jpeg"}


def test_an_uploaded_text_is_not(client: Client, alice: User) -> None:
    stored = store_file(alice.pk, "a.txt", "text/plain", b"hello")
    response = post(client, images=[{"id": "1", "fileId": stored.public_id}])
    assert problems_of(response) == {"images.0.fileId": "not_an_image"}


def test_status_while_running(client: Client, submit: Submit) -> None:
    batch = submit(count=4)
    end_items(batch, "succeeded", [0, 1], result=RATING)
    end_items(batch, "failed", [2])
    body = client.get(f"/api/batch/status/{batch.public_id}").json()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body.pop("createdAt"))
    assert body.pop("startedAt").endswith("Z")
    assert body == {
        "jobId": batch.public_id,
        "shootId": "shoot1",
        "status": "processing",
        "totalImages": 4,
        "processedImages": 3,
        "succeededImages": 2,
        "failedImages": 1,
        "cancelledImages": 0,
        "progress": 0.75,
        "mode": "fast",
        "spent": "0.000000",
        "maxCost": None,
        "heldFor": None,
        "unavailable": None,
        "completedAt": None,
    }


def test_results_are_those_that_succeeded(client: Client) -> None:
    post(client, images=[*DOCUMENTED["images"], image(id="img2")])
    batch = Batch.objects.get()
    end_items(batch, "succeeded", [0], result=RATING)
    end_items(batch, "failed", [1], error_code="x")
    body = client.get(f"/api/batch/results/{batch.public_id}").json()
    assert body["completedAt"] is None
    settle(batch)
    body = client.get(f"/api/batch/results/{batch.public_id}").json()
    assert body.pop("completedAt").endswith("Z")
    assert body == {
        "jobId": batch.public_id,
        "results": [
            {
                "imageId": "img1",
                "filename": "photo1.jpg",
                **RATING,
                "inputTags": ["wedding", "ceremony"],
                "metadata": {"camera": "Nikon", "iso": 400},
                "provider": None,
                "tokens": None,
                "segments": None,
                "cost": None,
            }
        ],
        "totalImages": 2,
        "processedImages": 1,
        "count": 1,
        "limit": 50,
        "offset": 0,
    }


def test_a_large_shoot_is_read_in_pages(client: Client, submit: Submit) -> None:
    batch = submit(count=230)
    end_items(batch, "succeeded", list(range(230)), result=RATING)
    seen: list[str] = []
    for offset in (0, 100, 200):
        body = client.get(f"/api/batch/results/{batch.public_id}?limit=100&offset={offset}").json()
        assert body["count"] == 230
        seen += [result["imageId"] for result in body["results"]]
    assert seen == [f"img{number}" for number in range(230)]


def test_cancelling(client: Client, submit: Submit) -> None:
    batch = submit()
    response = client.post(f"/api/batch/cancel/{batch.public_id}")
    assert response.status_code == 200
    assert response.json() == {"jobId": batch.public_id, "message": "Job cancelled successfully"}
    again = client.post(f"/api/batch/cancel/{batch.public_id}")
    assert again.status_code == 409
    assert again.json()["details"]["errors"][0]["code"] == "conflict"


def test_a_finished_batch_cannot_be_cancelled(client: Client, submit: Submit) -> None:
    batch = submit()
    settle(batch)
    assert client.post(f"/api/batch/cancel/{batch.public_id}").status_code == 409
    batch.refresh_from_db()
    assert batch.status == "completed"


def test_a_body_of_nothing_but_mistakes_gets_a_bounded_answer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload, "MOST_PROBLEMS", 20)
    response = post(client, images=[{"tags": [1] * 100}] * 500)

    problems = response.json()["details"]["errors"]
    assert response.status_code == 400
    assert len(problems) == 20
    assert problems[-1]["code"] == "more_problems"


def test_a_request_that_comes_second_leaves_no_file_behind(
    client: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = client.post(
        "/api/batch/process",
        {**DOCUMENTED, "images": [image(url=data_url(jpeg()))]},
        content_type="application/json",
        headers={"Idempotency-Key": "once"},
    )
    monkeypatch.setattr(idempotency, "earlier_reply", late(idempotency.earlier_reply))

    second = client.post(
        "/api/batch/process",
        {**DOCUMENTED, "images": [image(url=data_url(jpeg()))]},
        content_type="application/json",
        headers={"Idempotency-Key": "once"},
    )

    assert first.json() == second.json()
    assert StoredFile.objects.count() == 1


def late(look: Callable[[idempotency.Request], Any]) -> Callable[[idempotency.Request], Any]:
    """As if the other request had been committed just after the first look."""
    looks: list[idempotency.Request] = []

    def looked(request: idempotency.Request) -> Any:
        looks.append(request)
        return look(request) if len(looks) > 1 else None

    return looked


def test_a_submit_that_fails_leaves_no_file_behind(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "submit_batch", lambda **_: 1 / 0)
    client.raise_request_exception = False

    response = post(client, images=[image(url=data_url(jpeg()))])

    assert response.status_code == 500
    assert not StoredFile.objects.exists()

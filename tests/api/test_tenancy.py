"""What the owner of a batch gets, and what ids are none; who gets nothing is in :mod:`tests.api.test_isolation`."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from batches.files import store_file
from tests.api.conftest import Submit

BATCH_ENDPOINTS = [
    ("get", "/api/batch/status/{id}"),
    ("get", "/api/batch/results/{id}"),
    ("post", "/api/batch/cancel/{id}"),
    ("get", "/api/batch/{id}"),
    ("get", "/api/batch/{id}/items"),
    ("get", "/api/batch/{id}/results"),
    ("get", "/api/batch/{id}/viz"),
    ("get", "/api/batch/{id}/files"),
    ("get", "/api/batch/{id}/errors"),
    ("get", "/api/batch/{id}/analytics"),
    ("post", "/api/batch/{id}/start"),
    ("post", "/api/batch/{id}/pause"),
    ("post", "/api/batch/{id}/resume"),
    ("post", "/api/batch/{id}/cancel"),
    ("post", "/api/batch/{id}/retry"),
]


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("method", "path"), BATCH_ENDPOINTS)
def test_the_owner_gets_an_answer_at_both_spellings(
    submit: Submit, client: Client, method: str, path: str, slash: str
) -> None:
    response = getattr(client, method)(path.format(id=submit().public_id) + slash)
    assert response.status_code in {200, 409}
    assert response["Content-Type"] == "application/json"


@pytest.mark.parametrize("batch_id", ["nothing", "batch_1_a", "%00", "é", "a" * 500, "'", "..%2f"])
def test_ids_that_are_none(client: Client, batch_id: str) -> None:
    response = client.get(f"/api/batch/status/{batch_id}")
    assert response.status_code == 404
    assert response.json()["success"] is False


@pytest.mark.parametrize("path", ["status", "results", "cancel"])
def test_photo_endpoints_know_photo_batches_only(submit: Submit, client: Client, path: str) -> None:
    batch = submit("sms")
    method = client.post if path == "cancel" else client.get
    assert method(f"/api/batch/{path}/{batch.public_id}").status_code == 404


def test_another_owners_file_does_not_exist(alice: User, bobs_client: Client) -> None:
    stored = store_file(alice.pk, "a.txt", "text/plain", b"hello")
    assert bobs_client.get(f"/api/files/{stored.public_id}").status_code == 404


def test_another_owners_file_cannot_be_rated(alice: User, bobs_client: Client) -> None:
    stored = store_file(alice.pk, "a.txt", "text/plain", b"hello")
    body = {"shootId": "s", "images": [{"id": "1", "fileId": stored.public_id}]}
    response = bobs_client.post("/api/batch/process", body, content_type="application/json")
    assert response.json()["details"]["errors"][0]["code"] == "unknown_file"

"""``Idempotency-Key``."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from batches.api import base
from batches.models import Batch, IdempotentReply
from tests.api.conftest import client_of

SMS = {"text": "Hi", "recipients": [{"phoneNumber": "+14155552671"}]}
PHOTOS = {"shootId": "s", "images": [{"id": "1", "url": "https://x.test/1.jpg"}]}


def post(client: Client, path: str, body: dict[str, Any], key: str = "key-1") -> Any:
    return client.post(path, body, content_type="application/json", headers={"Idempotency-Key": key})


@pytest.mark.parametrize(("path", "body"), [("/api/batch", SMS), ("/api/batch/process", PHOTOS)])
def test_the_same_twice_is_done_once(client: Client, path: str, body: dict[str, Any]) -> None:
    first, second = post(client, path, body), post(client, f"{path}/", dict(reversed(body.items())))
    assert first.status_code == second.status_code == 202
    assert first.json() == second.json()
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == "true"
    assert Batch.objects.count() == 1


@pytest.mark.parametrize(("path", "body"), [("/api/batch", {**SMS, "text": "Ho"}), ("/api/batch/process", SMS)])
def test_something_else_under_the_key_is_a_conflict(client: Client, path: str, body: dict[str, Any]) -> None:
    post(client, "/api/batch", SMS)
    assert post(client, path, body).status_code == 409
    assert Batch.objects.count() == 1


def test_another_owner_has_other_keys(client: Client, bobs_client: Client) -> None:
    assert post(client, "/api/batch", SMS).json() != post(bobs_client, "/api/batch", SMS).json()
    assert Batch.objects.count() == 2


def test_a_refused_request_leaves_its_key_free(client: Client) -> None:
    assert post(client, "/api/batch", {**SMS, "text": ""}).status_code == 400
    assert not IdempotentReply.objects.exists()
    assert post(client, "/api/batch", SMS).status_code == 202


def test_a_create_that_breaks_leaves_its_key_free(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(base, "submit_batch", lambda **_: 1 / 0)
        assert post(client, "/api/batch", SMS).status_code == 500
    assert not IdempotentReply.objects.exists()
    assert post(client, "/api/batch", SMS).status_code == 202


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_keys_that_are_none(client: Client, key: str) -> None:
    response = post(client, "/api/batch", SMS, key)
    assert response.status_code == 400
    assert response.json()["details"]["errors"][0]["path"] == "Idempotency-Key"
    assert post(client, "/api/batch", SMS, "x" * 255).status_code == 202


@pytest.mark.django_db(transaction=True)
def test_two_at_the_same_time_are_one() -> None:
    clients = [client_of(User.objects.create_user("alice"))] * 4
    together = threading.Barrier(len(clients))
    answers: list[Any] = []

    def act(client: Client) -> None:
        together.wait()
        answers.append(post(client, "/api/batch", SMS))
        connection.close()

    threads = [threading.Thread(target=act, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [202] * len(clients)
    assert len({answer.json()["batchId"] for answer in answers}) == 1
    assert Batch.objects.count() == 1

"""Alive and ready are two questions."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from batches.models import Worker
from batches.pages import health

READY = {"ready": True, "database": "ok", "redis": "ok", "worker": "ok", "dispatcher": "ok", "warnings": []}


def seen(role: str, seconds_ago: float = 0) -> None:
    at = timezone.now() - timedelta(seconds=seconds_ago)
    Worker.objects.create(boot_id=f"{role}1", role=role, hostname="h", process_id=1, seen_at=at)


@pytest.mark.parametrize("path", ["/healthz", "/healthz/"])
def test_a_living_process_says_so_and_asks_nobody(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.django_db(transaction=True)
def test_it_is_ready_when_every_part_is(client: Client) -> None:
    seen("worker")
    seen("dispatcher")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, READY)


@pytest.mark.django_db(transaction=True)
def test_a_worker_not_seen_for_ten_seconds_is_missing(client: Client) -> None:
    seen("worker", seconds_ago=11)
    seen("dispatcher")
    answer = client.get("/readyz/")
    assert (answer.status_code, answer.json()) == (503, {**READY, "ready": False, "worker": "missing"})


@pytest.mark.django_db(transaction=True)
def test_without_redis_it_is_not_ready(client: Client, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    seen("worker")
    seen("dispatcher")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["redis"]) == (503, "down")


def test_a_database_that_refuses_is_down(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OperationalError

    monkeypatch.setattr(health, "_query", refuse)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["database"], answer.json()["worker"]) == (503, "down", "missing")


def test_a_frozen_database_does_not_freeze_the_answer(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    thaw = threading.Event()
    monkeypatch.setattr(health, "DATABASE_SECONDS", 0.05)
    monkeypatch.setattr(health, "_query", lambda: thaw.wait(10))
    try:
        assert [client.get("/readyz").json()["database"] for _ in range(2)] == ["down", "down"]
    finally:
        thaw.set()

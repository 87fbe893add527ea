"""How often a client may call."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from batches.api import throttling
from batches.models import Batch
from tests.api.conftest import client_of

SMS = {"text": "Hello", "recipients": [{"phoneNumber": "+14155552671"}]}


@pytest.fixture
def name() -> str:
    """Counts of a test's own."""
    return f"test:{uuid.uuid4().hex}"


def create(client: Client) -> Any:
    return client.post("/api/batch", SMS, content_type="application/json")


def test_a_window_admits_so_many_and_says_when_the_next(name: str) -> None:
    waits = [throttling.seconds_to_wait(name, 3, 60.0) for _ in range(5)]
    assert waits[:3] == [0.0, 0.0, 0.0]
    assert all(59.0 < wait <= 60.0 for wait in waits[3:])


def test_it_slides(name: str) -> None:
    """What was admitted leaves the window one by one, each a window after it came; refused ones never count."""
    assert throttling.seconds_to_wait(name, 2, 0.4) == 0.0
    time.sleep(0.2)
    assert throttling.seconds_to_wait(name, 2, 0.4) == 0.0
    wait = throttling.seconds_to_wait(name, 2, 0.4)
    assert 0.0 < wait <= 0.2
    time.sleep(wait + 0.005)
    assert throttling.seconds_to_wait(name, 2, 0.4) == 0.0
    assert throttling.seconds_to_wait(name, 2, 0.4) > 0.0


_PROCESS = """
import django; django.setup()
from batches.api.throttling import seconds_to_wait
print(sum(seconds_to_wait({name!r}, 25, 60.0) == 0.0 for _ in range(40)))
"""


def test_several_processes_admit_no_more_than_one(name: str) -> None:
    """Three at once, forty requests each, and twenty-five are let through in all."""
    code = _PROCESS.format(name=name)
    processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sum(int(process.communicate(timeout=60)[0]) for process in processes) == 25


def test_threads_as_well(name: str) -> None:
    with ThreadPoolExecutor(12) as threads:
        waits = list(threads.map(lambda _: throttling.seconds_to_wait(name, 10, 60.0), range(100)))
    assert waits.count(0.0) == 10


def test_too_many_creates_are_429_with_the_time_to_wait(client: Client, settings: Any) -> None:
    settings.BATCH_CREATES_PER_MINUTE = 2
    assert [create(client).status_code for _ in range(3)] == [202, 202, 429]
    refused = create(client)
    assert 55 <= int(refused["Retry-After"]) <= 61
    assert refused.json()["success"] is False
    assert refused.json()["details"]["errors"][0]["code"] == "throttled"
    assert Batch.objects.count() == 2


def test_all_keys_of_an_owner_count_together_and_owners_do_not(
    client: Client, alice: User, bobs_client: Client, settings: Any
) -> None:
    settings.BATCH_CREATES_PER_MINUTE = 1
    assert create(client).status_code == 202
    assert create(client_of(alice)).status_code == 429
    assert create(bobs_client).status_code == 202


def test_reading_is_not_counted(client: Client, settings: Any) -> None:
    settings.BATCH_CREATES_PER_MINUTE = 1
    batch_id = create(client).json()["batchId"]
    assert [client.get(f"/api/batch/{batch_id}").status_code for _ in range(5)] == [200] * 5


@pytest.fixture
def without_redis(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody listens there."""
    throttling._client.cache_clear()
    throttling._script.cache_clear()
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    monkeypatch.setattr(throttling, "_door", throttling.Door())
    yield
    throttling._client.cache_clear()
    throttling._script.cache_clear()


@pytest.mark.usefixtures("without_redis")
def test_without_redis_creates_go_through_and_it_is_logged_once(
    client: Client, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.BATCH_CREATES_PER_MINUTE = 1
    with caplog.at_level(logging.WARNING):
        assert [create(client).status_code for _ in range(3)] == [202, 202, 202]
    assert [record.message for record in caplog.records if "throttled" in record.message] == [
        "Redis did not answer (ConnectionError): requests are not throttled"
    ]

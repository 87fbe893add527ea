"""The documents' messages."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from batches.live.board import Sight
from batches.live.frames import News, batch_data, frames, percentage, shoot_data
from tests.live.test_board import FACTS

PHOTOS = replace(FACTS, operation="rate_photos", subject="shoot123", provider="openai-gpt-5", total=1000, succeeded=523)


def kinds(status: str, *, created: bool = False, last_status: str | None = None) -> list[str]:
    data = batch_data(Sight(replace(FACTS, status=status)))
    return [frame["type"] for frame in frames(data, None, created=created, last_status=last_status)]


def test_a_shoot_reads_as_document_001_shows_it() -> None:
    assert shoot_data(Sight(PHOTOS, eta=95)) == {
        "shootId": "shoot123",
        "status": "processing",
        "processedCount": 523,
        "totalCount": 1000,
        "provider": "openai-gpt-5",
        "eta": 95,
    }
    assert shoot_data(Sight(FACTS)) is None


def test_a_batch_reads_as_document_004_shows_it() -> None:
    data = batch_data(Sight(replace(PHOTOS, failed=7, name="Wedding"), rate=12.3456, eta=39))
    assert (data["batchId"], data["progress"], data["status"]) == (FACTS.id, 53, "running")
    assert (data["total"], data["succeeded"], data["failed"], data["itemsPerSecond"]) == (1000, 523, 7, 12.35)


@pytest.mark.parametrize(
    ("finished", "total", "status", "expected"),
    [(0, 10, "running", 0), (999, 1000, "running", 99), (10, 10, "completed", 100), (0, 0, "running", 0),
     (0, 0, "completed", 100), (3, 10, "cancelled", 30)],
)  # fmt: skip
def test_a_hundred_per_cent_means_all(finished: int, total: int, status: str, expected: int) -> None:
    assert percentage(finished, total, status) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"status": "running"}, ["batch:progress"]),
        ({"status": "running", "created": True}, ["batch:created"]),
        ({"status": "completed", "last_status": "running"}, ["batch:completed"]),
        ({"status": "completed", "created": True}, ["batch:created", "batch:completed"]),
        ({"status": "cancelled", "last_status": "cancelled"}, ["batch:progress"]),
        ({"status": "completed", "last_status": "failed"}, ["batch:completed"]),
    ],
)
def test_completed_is_said_once_per_final_status(arguments: dict[str, Any], expected: list[str]) -> None:
    assert kinds(**arguments) == expected


def test_a_frame_is_encoded_once_for_all_sockets_that_were_told_the_same() -> None:
    news = News.of(Sight(replace(PHOTOS, status="completed")), created=False)
    first = news.texts(created=False, last_status="running")
    assert first is news.texts(created=False, last_status="pending")
    assert [json.loads(text)["type"] for text in first] == ["batch:completed", "SHOOT_PROGRESS"]
    told = news.texts(created=False, last_status="completed")
    assert [json.loads(text)["type"] for text in told] == ["batch:progress", "SHOOT_PROGRESS"]
    assert json.loads(news.texts(created=True, last_status=None)[0])["type"] == "batch:created"

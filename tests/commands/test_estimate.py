"""What a batch would cost, on the command line: nothing is stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from batches.models import Batch
from tests.commands.conftest import Manage, Run

PHOTOS: dict[str, Any] = {
    "shootId": "s",
    "images": [{"id": "1", "url": "https://x.test/1.jpg"}, {"id": "2", "url": "ftp://x.test/2.jpg"}],
    "maxCost": 1,
}


@pytest.fixture
def estimated(alice: User, tmp_path: Path, manage: Manage) -> Any:
    def run(body: Any) -> Run:
        path = tmp_path / "body.json"
        path.write_text(body if isinstance(body, str) else json.dumps(body))
        found = manage("estimate", path)
        assert not Batch.objects.exists()
        return found

    return run


def test_a_body_is_estimated(estimated: Any) -> None:
    run = estimated(PHOTOS)
    assert run.code == 0
    assert "rate_photos: 1 items, 1 calls by openai-gpt-5" in run.output
    assert "tokens" in run.output
    assert "<- asked for" in run.output
    assert "economy" in run.output
    assert "budget    1.000000 USD pays for all of it" in run.output
    assert "refused: images.1.url" in run.output


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("[]", "must be a JSON object"),
        ("{", "not valid JSON"),
        ({}, "operation: Is required."),
        ({"shootId": "s", "images": [], "maxCost": -1}, "maxCost: Must be above 0"),
    ],
)
def test_a_body_that_is_none_is_refused(estimated: Any, body: Any, words: str) -> None:
    run = estimated(body)
    assert run.code != 0
    assert words in run.output


def test_a_file_that_is_not_there(alice: User, manage: Manage) -> None:
    run = manage("estimate", "/nowhere/body.json")
    assert (run.code != 0, "cannot be read" in run.output) == (True, True)


def test_a_campaign_is_estimated_from_its_file(alice: User, tmp_path: Path, manage: Manage) -> None:
    path = tmp_path / "people.csv"
    path.write_text("name,phone\nAda,+12025550101\nBen,+12025550102\n")
    run = manage("send_sms", path, "--template", "Hi {{name}} " + "x" * 160, "--estimate", "--max-cost", "0.01")
    assert run.code == 0
    assert "segments  4" in run.output
    assert "0.033200 USD, charged 0.066400" in run.output
    assert "budget    0.010000 USD may not pay for all of it" in run.output
    assert not Batch.objects.exists()

"""Estimates: what a body would do and cost, exact for text messages; nothing is stored, and nobody is called."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from batches.models import AuditEntry, Batch, BatchHistogram, Item, ProviderAccount, StoredFile, Worker
from batches.text_messages import opt_outs
from providers.registry import get_provider
from records.models import Record
from tests.api.conftest import Submit, jpeg, problems_of

IMAGES = [{"id": f"img{number}", "url": f"https://x.test/{number}.jpg"} for number in range(40)]
PHOTOS: dict[str, Any] = {"shootId": "s", "images": IMAGES}
DATED = {"currency": "USD", "as_of": "2026-11-21"}


@pytest.fixture(autouse=True)
def prices(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = {"input_per_million": 1, "output_per_million": 10}
    economy = {"economy_input_per_million": 0.5, "economy_output_per_million": 5}
    settings.PROVIDERS = {
        **settings.PROVIDERS,
        "twilio": {**settings.PROVIDERS["twilio"], "prices": {"per_segment": 0.01, **DATED}},
        "openai-gpt-5": {**settings.PROVIDERS["openai-gpt-5"], "prices": {**tokens, **economy, **DATED}},
    }

    def call(*_: Any, **__: Any) -> Any:
        raise AssertionError("somebody was called")

    for alias in ("openai-gpt-5", "twilio", "openai-images"):
        for verb in ("complete", "send", "generate"):
            if hasattr(get_provider(alias), verb):
                monkeypatch.setattr(type(get_provider(alias)), verb, call)


def estimate(client: Client, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/api/batch/estimate", body, content_type="application/json")
    assert answer.status_code == 200, answer.json()
    assert not Batch.objects.filter(name="estimated").exists()
    return dict(answer.json()["estimate"])


def message(text: str, *recipients: Any, **options: Any) -> dict[str, Any]:
    return {"text": text, "recipients": list(recipients), "name": "estimated", **options}


def to(number: int, **variables: str) -> dict[str, Any]:
    return {"phoneNumber": f"+1415555{number}", "variables": variables}


def test_segments_are_counted_recipient_by_recipient(client: Client) -> None:
    text = "Hi {{name}} " + "x" * 150
    body = message(text, to(2671, name="Ann"), to(2672, name="Bartholomew"), to(2673, name="Zoë ж"))
    found = estimate(client, body)
    # 157 letters; 165 of them; one that is no GSM-7 letter makes 159 of 16 bits.
    assert (found["items"], found["calls"], found["segments"]) == (3, {"low": 3, "high": 3}, 1 + 2 + 3)
    assert found["cost"] == {"low": "0.060000", "high": "0.060000"}
    assert found["charge"] == {"low": "0.120000", "high": "0.120000"}
    assert (found["provider"], found["tokens"], found["modes"]["economy"]) == ("twilio", None, None)
    assert (found["refusedItems"], found["refused"], found["basedOn"]["items"]) == (0, [], 3)


def test_numbers_that_would_be_refused_are_told_and_cost_nothing(client: Client, alice: User) -> None:
    opt_outs.add(alice.pk, ["+14155552674"], source="api", actor_id=alice.pk)
    wrong = {"phoneNumber": "12", "variables": {"name": "Al"}}
    body = message("Hi {{name}}", wrong, to(2671, name="Ann"), to(2672), to(2674, name="Cy"), "x", to(2675, name="Di"))
    found = estimate(client, body)
    assert (found["items"], found["segments"], found["refusedItems"]) == (2, 2, 4)
    assert [(one["path"], one["code"]) for one in found["refused"]] == [
        ("recipients.0.phoneNumber", "invalid_phone_number"),
        ("recipients.2.variables.name", "missing_variable"),
        ("recipients.4", "invalid_type"),
        ("recipients.3", "opted_out"),
    ]
    answer = client.post("/api/batch/estimate", message("Hi", wrong), content_type="application/json")
    assert problems_of(answer) == {"recipients.0.phoneNumber": "invalid_phone_number"}


def test_photos_have_spans_and_an_economy_price_beside_the_fast_one(client: Client) -> None:
    found = estimate(client, PHOTOS | {"rateLimit": 60, "name": "estimated", "maxCost": 5})
    assert (found["operation"], found["mode"], found["provider"], found["items"]) == (
        "rate_photos",
        "fast",
        "openai-gpt-5",
        40,
    )
    assert found["calls"] == {"low": 40, "high": 40}
    tokens = found["tokens"]
    assert 85 * 40 <= tokens["input"]["low"] < tokens["input"]["high"]
    for mode, factor in (("fast", Decimal(1)), ("economy", Decimal("0.5"))):
        for end in ("low", "high"):
            expected = (tokens["input"][end] + 10 * tokens["output"][end]) * factor / 10**6
            assert Decimal(found["modes"][mode]["cost"][end]) == expected
            assert Decimal(found["modes"][mode]["charge"][end]) == 2 * expected
    assert found["cost"] == found["modes"]["fast"]["cost"]
    # Forty calls, one a second.
    duration = found["duration"]
    assert duration["decidedBy"] == "rate_limit"
    assert 39 <= duration["low"] <= duration["high"] <= 60
    assert (found["maxCost"], found["withinMaxCost"]) == ("5.000000", True)
    assert found["modes"]["economy"]["duration"] == {"low": 600, "high": 86_400, "decidedBy": "provider"}


def test_economy_is_priced_as_economy(client: Client) -> None:
    fast, economy = estimate(client, PHOTOS), estimate(client, PHOTOS | {"mode": "economy"})
    assert economy["mode"] == "economy"
    assert economy["cost"] == economy["modes"]["economy"]["cost"] == fast["modes"]["economy"]["cost"]
    assert estimate(client, PHOTOS | {"mode": "economy", "maxCost": "0.0001"})["withinMaxCost"] is False


def test_data_urls_are_looked_at_and_not_stored(client: Client, media: Path) -> None:
    url = f"data:image/jpeg;base64,{base64.b64encode(jpeg()).decode()}"
    found = estimate(client, {"shootId": "s", "images": [{"id": "1", "url": url}, {"id": "2", "url": "data:x"}]})
    assert (found["items"], found["basedOn"]["items"]) == (1, 1)
    assert found["tokens"]["input"]["low"] >= 85
    assert [one["path"] for one in found["refused"]] == ["images.1.url"]
    assert not StoredFile.objects.exists()
    assert not [path for path in media.rglob("*") if path.is_file()]


def test_an_estimate_leaves_nothing(client: Client, alice: User) -> None:
    record = Record.objects.create(owner=alice, title="Invoice", content="Forty crates of tea. " * 50)
    before = Record.objects.values().get(pk=record.pk)
    found = estimate(client, {"operation": "annotate", "name": "estimated"})
    assert (found["items"], found["calls"]["high"]) == (1, 1)
    assert found["tokens"]["input"]["low"] > 200
    assert Record.objects.values().get(pk=record.pk) == before
    for model in (Batch, Item, BatchHistogram, AuditEntry, StoredFile):
        assert not model.objects.exists(), model


def test_long_texts_take_several_calls(client: Client) -> None:
    messages = [{"role": "user", "content": "word " * 600} for _ in range(60)]
    body = {"operation": "analyze_conversations", "conversations": [{"id": "c", "messages": messages}]}
    found = estimate(client, body)
    assert found["items"] == 1
    assert found["calls"]["low"] == found["calls"]["high"] > 2
    assert found["tokens"]["input"]["low"] > 60 * 600 // 2


def test_images_cost_what_their_quality_takes(client: Client) -> None:
    body = {"operation": "generate_images", "prompts": ["A boat"], "variations": 3, "quality": "low"}
    found = estimate(client, body)
    assert (found["items"], found["tokens"]["output"]) == (3, {"low": 3 * 272, "high": 3 * 408})
    assert (found["modes"]["economy"], found["duration"]["decidedBy"]) == (None, "rate_limit")


def test_what_asks_nobody_costs_nothing(client: Client) -> None:
    found = estimate(client, {"operation": "export", "format": "csv"})
    assert (found["provider"], found["cost"], found["calls"]) == (None, None, {"low": 0, "high": 0})


def test_files_of_json_lines_are_sampled(client: Client) -> None:
    lines = "\n".join(json.dumps({"id": str(n), "url": f"https://x.test/{n}.jpg"}) for n in range(500))
    upload = SimpleUploadedFile("list.jsonl", lines.encode(), content_type="application/jsonl")
    file_id = client.post("/api/files", {"file": upload}).json()["fileId"]
    found = estimate(client, {"shootId": "s", "imagesFile": file_id})
    assert (found["items"], found["calls"]["high"], found["basedOn"]["items"]) == (500, 500, 100)


def test_without_prices_there_is_no_cost(client: Client, settings: Settings) -> None:
    entry = {name: value for name, value in settings.PROVIDERS["twilio"].items() if name != "prices"}
    settings.PROVIDERS = {**settings.PROVIDERS, "twilio": entry}
    found = estimate(client, message("Hi", to(2671)))
    assert (found["segments"], found["cost"], found["charge"], found["currency"]) == (1, None, None, None)


def test_earlier_answers_say_how_long_the_next_will_be(client: Client, submit: Submit) -> None:
    batch = submit()
    Batch.objects.filter(pk=batch.pk).update(succeeded=3)
    for measure, count in (
        ("calls", 50),
        ("simulated:output_tokens", 5_000),
        ("used:output_tokens", 10**9),
        ("duration", 50),
        ("duration_sum", 100_000),
    ):
        BatchHistogram.objects.create(batch=batch, measure=measure, bucket=0, count=count)
    found = estimate(client, PHOTOS)
    assert found["basedOn"]["earlierCalls"] == 50
    assert found["tokens"]["output"]["low"] == 40 * 60
    assert abs(found["tokens"]["output"]["high"] - 40 * 160) <= 40


@pytest.mark.parametrize(
    ("fields", "decided_by", "seconds"),
    [
        ({}, "calls", (1.0, 20.0)),
        ({"concurrency": 4}, "concurrency", (10.0, 160.0)),
        ({"rateLimit": 6}, "rate_limit", (390.0, 420.0)),
    ],
)
def test_durations_follow_the_tightest_bound(
    client: Client, fields: dict[str, Any], decided_by: str, seconds: tuple[float, float]
) -> None:
    Worker.objects.create(boot_id="w", hostname="here", process_id=1, capacity={"ai": 100})
    duration = estimate(client, PHOTOS | fields)["duration"]
    assert duration["decidedBy"] == decided_by
    assert seconds[0] <= duration["low"] <= duration["high"] <= seconds[1]


def test_workers_and_accounts_bound_it_too(client: Client) -> None:
    Worker.objects.create(boot_id="w", hostname="here", process_id=1, capacity={"ai": 10})
    assert estimate(client, PHOTOS)["duration"]["decidedBy"] == "capacity"
    ProviderAccount.objects.create(alias="openai-gpt-5", concurrency=2.0)
    assert estimate(client, PHOTOS)["duration"]["decidedBy"] == "concurrency"


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"operation": "required"}),
        ({"operation": 3}, {"operation": "invalid_type"}),
        ({"operation": "nothing"}, {"operation": "unknown_operation"}),
        ({"images": []}, {"images": "empty", "shootId": "required"}),
        (PHOTOS | {"maxCost": -1}, {"maxCost": "out_of_range"}),
        ({"shootId": "s", "images": [{}, *IMAGES], "providerId": "nobody"}, None),
    ],
)
def test_what_a_create_refuses_as_a_whole_is_refused(
    client: Client, body: dict[str, Any], problems: dict[str, str] | None
) -> None:
    found = problems_of(client.post("/api/batch/estimate", body, content_type="application/json"))
    assert found == problems if problems else found["providerId"] == "unknown_provider"


def test_a_key_that_only_reads_may_ask(client: Client) -> None:
    key = client.post("/api/keys", {"name": "r", "scopes": ["read"]}, content_type="application/json").json()["key"]
    reader = Client(headers={"Authorization": f"Bearer {key['secret']}"})
    assert reader.post("/api/batch/estimate", PHOTOS, content_type="application/json").status_code == 200

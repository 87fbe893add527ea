"""Budgets in the words of the API: given on a create, raised on the way, and said wherever a batch is shown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from batches.models import Batch
from tests.api.conftest import Submit, problems_of

PHOTOS = {"shootId": "s", "images": [{"id": "1", "url": "https://x.test/1.jpg"}]}
MESSAGES = {"text": "Hi {{name}}", "recipients": [{"phoneNumber": "+14155552671", "variables": {"name": "Ann"}}]}


@pytest.mark.parametrize("amount", [2, 2.5, "2.5", 0.00001, "0.0000000001"])
@pytest.mark.parametrize("place", ["top", "options"])
def test_every_create_takes_a_budget(client: Client, amount: Any, place: str) -> None:
    given = {"maxCost": amount} if place == "top" else {"options": {"maxCost": amount}}
    for path, body in (("process", PHOTOS), ("", MESSAGES), ("create", {"operation": "rate_photos", **PHOTOS})):
        answer = client.post(f"/api/batch/{path}".rstrip("/"), body | given, content_type="application/json")
        assert answer.status_code == 202, answer.json()
    batches = Batch.objects.all()
    assert {batch.max_cost for batch in batches} == {Decimal(str(amount))}
    for batch in batches:
        assert batch.item_cost is not None
        assert batch.item_cost > 0
    assert Batch.objects.get(operation="sms").item_cost == Decimal("0.0083")


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        (0, "out_of_range"),
        (-1, "out_of_range"),
        ("-0.5", "out_of_range"),
        (10**10, "out_of_range"),
        (10**30, "invalid_type"),
        ("1e3", "invalid_type"),
        ("five", "invalid_type"),
        ("0.00000000001", "invalid_type"),
        (True, "invalid_type"),
        ([], "invalid_type"),
        ("٣", "invalid_type"),
    ],
)
def test_what_is_no_amount_is_refused(client: Client, amount: Any, code: str) -> None:
    answer = client.post("/api/batch/process", PHOTOS | {"maxCost": amount}, content_type="application/json")
    assert problems_of(answer) == {"maxCost": code}
    assert not Batch.objects.exists()


def test_a_budget_without_prices_is_refused(client: Client, settings: Settings) -> None:
    entry = {name: value for name, value in settings.PROVIDERS["twilio"].items() if name != "prices"}
    settings.PROVIDERS = {**settings.PROVIDERS, "twilio": entry}
    answer = client.post("/api/batch", MESSAGES | {"maxCost": 2}, content_type="application/json")
    assert problems_of(answer) == {"maxCost": "no_prices"}
    export = {"operation": "export", "format": "csv", "maxCost": 1}
    answer = client.post("/api/batch/create", export, content_type="application/json")
    assert problems_of(answer) == {"maxCost": "no_prices"}
    assert not Batch.objects.exists()


@pytest.mark.parametrize("where", ["named", "entry"])
def test_a_budget_that_a_fallback_without_prices_could_break_is_refused(
    client: Client, settings: Settings, where: str
) -> None:
    providers = dict(settings.PROVIDERS)
    providers["vonage"] = {name: value for name, value in providers["vonage"].items() if name != "prices"}
    switch: dict[str, Any] = {"whenUnavailable": "switch"}
    if where == "named":
        switch["fallbacks"] = ["plivo", "vonage"]
    else:
        providers["twilio"] = {**providers["twilio"], "fallbacks": ["vonage"]}
    settings.PROVIDERS = providers
    answer = client.post("/api/batch", MESSAGES | switch | {"maxCost": 2}, content_type="application/json")
    assert problems_of(answer) == {"maxCost": "no_prices"}
    assert "the fallback vonage has no prices here" in answer.content.decode()
    assert not Batch.objects.exists()
    for body in (switch, {"maxCost": 2}):  # each by itself is fine: nobody is asked but the batch's own provider
        answer = client.post("/api/batch", MESSAGES | body, content_type="application/json")
        assert answer.status_code == 202, answer.json()


def test_a_budget_reckons_with_the_dearest_that_may_be_asked(client: Client, settings: Settings) -> None:
    dear = {**settings.PROVIDERS["vonage"]["prices"], "per_segment": 0.5}
    settings.PROVIDERS = {**settings.PROVIDERS, "vonage": {**settings.PROVIDERS["vonage"], "prices": dear}}
    body = MESSAGES | {"maxCost": 2, "fallbacks": ["vonage"]}
    assert client.post("/api/batch", body, content_type="application/json").status_code == 202
    assert Batch.objects.get().item_cost == Decimal("0.5")


def test_a_held_batch_says_so_and_goes_on_with_more(client: Client, submit: Submit) -> None:
    batch = submit()
    held = {"status": "paused", "held_for": "budget", "max_cost": Decimal("0.5"), "spent": Decimal("0.5012")}
    Batch.objects.filter(pk=batch.pk).update(**held)
    shown = client.get(f"/api/batch/{batch.public_id}").json()["batch"]
    assert (shown["held_for"], shown["max_cost"], shown["spent"]) == ("budget", "0.500000", "0.501200")
    status = client.get(f"/api/batch/status/{batch.public_id}").json()
    assert (status["heldFor"], status["maxCost"], status["spent"]) == ("budget", "0.500000", "0.501200")
    resume = f"/api/batch/{batch.public_id}/resume"
    assert client.post(resume).status_code == 409
    assert client.post(resume, {"maxCost": 0.5}, content_type="application/json").status_code == 409
    assert client.post(resume, {"maxCost": "x"}, content_type="application/json").status_code == 400
    assert client.post(resume, {"maxcost": 5}, content_type="application/json").status_code == 400
    answer = client.post(resume, {"maxCost": 0.75}, content_type="application/json")
    assert (answer.status_code, answer.json()["status"]) == (200, "processing")
    batch.refresh_from_db()
    assert (batch.held_for, batch.max_cost) == ("", Decimal("0.75"))


def test_a_running_batch_gets_another_budget(client: Client, submit: Submit) -> None:
    batch = submit()
    path = f"/api/batch/{batch.public_id}"
    answer = client.patch(path, {"maxCost": "12.5"}, content_type="application/json")
    assert (answer.json()["changed"], answer.json()["batch"]["max_cost"]) == (["maxCost"], "12.500000")
    batch.refresh_from_db()
    assert batch.item_cost is not None
    assert client.patch(path, {"maxCost": None}, content_type="application/json").status_code == 200
    batch.refresh_from_db()
    assert batch.max_cost is None
    assert problems_of(client.patch(path, {"maxCost": 0}, content_type="application/json")) == {
        "maxCost": "out_of_range"
    }

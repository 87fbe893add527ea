"""What a batch and a month cost, in the words of the API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from batches.costs import count_used
from batches.models import Batch, BatchHistogram, Usage
from providers.registry import get_provider
from tests.api.conftest import Submit

DAY = (datetime(2026, 1, 5, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days
DATED = {"currency": "USD", "as_of": "2026-11-21"}


@pytest.fixture(autouse=True)
def prices(settings: Settings) -> None:
    entries = settings.PROVIDERS
    settings.PROVIDERS = {
        **entries,
        "twilio": {**entries["twilio"], "prices": {"per_segment": 0.01, **DATED}},
        "openai-gpt-5": {
            **entries["openai-gpt-5"],
            "prices": {"input_per_million": 1, "output_per_million": 10, "currency": "USD", "as_of": "2026-10-01"},
        },
    }


def count(batch: Batch, measure: str, number: int, bucket: int = DAY) -> None:
    BatchHistogram.objects.create(batch=batch, measure=measure, bucket=bucket, count=number)


def analytics(client: Client, batch: Batch) -> dict[str, Any]:
    return dict(client.get(f"/api/batch/{batch.public_id}/analytics").json()["analytics"])


def cost(amount: str, simulated: str = "0.000000", as_of: str = "2026-11-21") -> dict[str, str]:
    return {"amount": amount, "simulatedAmount": simulated, "currency": "USD", "pricesAsOf": as_of}


def test_a_campaign_counts_segments(client: Client, submit: Submit) -> None:
    batch = submit("sms")
    count(batch, "used:segments", 150)
    count(batch, "used:segments", 20, DAY + 1)
    count(batch, "simulated:segments", 3)
    count(batch, "waited_sum", 12_500, 0)
    count(batch, "calls", 50)
    shown = analytics(client, batch)
    assert (shown["segments"], shown["tokens"]) == (173, None)
    assert shown["cost"] == cost("1.700000", "0.030000")
    assert (shown["rateLimit"]["waitedSeconds"], shown["rateLimit"]["averageWaitSeconds"]) == (12.5, 0.25)


def test_photos_count_tokens(client: Client, submit: Submit) -> None:
    batch = submit()
    assert batch.provider == "openai-gpt-5"
    count(batch, "used:input_tokens", 310)
    count(batch, "used:output_tokens", 88)
    shown = analytics(client, batch)
    assert (shown["segments"], shown["tokens"]) == (None, {"input": 310, "output": 88})
    assert shown["cost"] == cost("0.001190", as_of="2026-10-01")


@pytest.mark.parametrize("prices", [None, {"input_per_million": 1, **DATED}])
def test_an_unknown_price_is_no_price(client: Client, submit: Submit, settings: Settings, prices: Any) -> None:
    batch = submit()
    count(batch, "used:output_tokens", 88)
    entry = {name: value for name, value in settings.PROVIDERS["openai-gpt-5"].items() if name != "prices"}
    settings.PROVIDERS = {**settings.PROVIDERS, "openai-gpt-5": entry | ({"prices": prices} if prices else {})}
    shown = analytics(client, batch)
    assert (shown["tokens"]["output"], shown["cost"]) == (88, None)


def test_a_month_adds_up_what_is_known(
    client: Client, submit: Submit, settings: Settings, alice: User, bob: User
) -> None:
    photos, messages, others = submit(), submit("sms"), submit("sms", owner=bob)
    unknown = submit()
    Batch.objects.filter(pk=unknown.pk).update(provider="gone")
    for batch in (photos, messages, others, unknown):
        count(batch, "calls", 10)
        count(batch, "used:segments" if batch.operation == "sms" else "used:input_tokens", 1_000)
    count(messages, "used:segments", 5, DAY + 1)
    Usage.objects.create(owner=alice, day="2026-01-05", operation="sms", items=7, failed=0, calls=8)
    Usage.objects.create(owner=alice, day="2026-01-05", operation="import", items=3, failed=0, calls=3)
    body = client.get("/api/usage?from=2026-01-05&to=2026-01-06").json()
    shown = {(row["day"], row["operation"]): (row["cost"], row["unpricedCalls"]) for row in body["usage"]}
    assert shown == {
        ("2026-01-05", "import"): (None, 0),
        ("2026-01-05", "rate_photos"): (cost("0.001000", as_of="2026-10-01"), 10),
        ("2026-01-05", "sms"): (cost("10.000000"), 8),
        ("2026-01-06", "sms"): (cost("0.050000"), 0),
    }
    assert body["total"]["cost"] == cost("10.051000", as_of="2026-10-01")
    assert body["total"]["unpricedCalls"] == 18


def test_a_call_of_no_item_counts_as_well(client: Client, submit: Submit) -> None:
    batch = submit()
    for _ in range(2):
        count_used(batch, get_provider(batch.provider), {"input_tokens": 1_000, "output_tokens": 0})
    shown = analytics(client, batch)
    assert shown["tokens"] == {"input": 2_000, "output": 0}
    assert shown["cost"] == cost("0.000000", "0.002000", as_of="2026-10-01")  # there is no key in tests

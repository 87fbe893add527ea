"""What a batch and a month cost, in the words of the API."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from batches.models import Batch, BatchHistogram, Item, Usage
from batches.money.costs import count_used
from providers.prices import PARTS
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


def spend(batch: Batch, unit: str, number: int, amount: str, *, simulated: bool = False, bucket: int = DAY) -> None:
    """As the recorder counts it; ``amount`` is what it was billed at then."""
    count(batch, f"{'simulated' if simulated else 'used'}:{unit}", number, bucket)
    count(batch, "spent:simulated" if simulated else "spent", int(Decimal(amount) * PARTS), bucket)


def cost(
    amount: str, charge: str, simulated: str = "0.000000", as_of: str | None = "2026-11-21"
) -> dict[str, str | None]:
    shown = {"amount": amount, "simulatedAmount": simulated, "charge": charge}
    return shown | {"currency": "USD", "pricesAsOf": as_of}


def test_a_campaign_counts_segments(client: Client, submit: Submit) -> None:
    batch = submit("sms")
    spend(batch, "segments", 150, "1.5")
    spend(batch, "segments", 20, "0.2", bucket=DAY + 1)
    spend(batch, "segments", 3, "0.03", simulated=True)
    count(batch, "waited_sum", 12_500, 0)
    count(batch, "calls", 50)
    shown = analytics(client, batch)
    assert (shown["segments"], shown["tokens"]) == (173, None)
    assert shown["cost"] == cost("1.700000", "3.400000", "0.030000")
    assert (shown["rateLimit"]["waitedSeconds"], shown["rateLimit"]["averageWaitSeconds"]) == (12.5, 0.25)


def test_photos_count_tokens(client: Client, submit: Submit) -> None:
    batch = submit()
    assert batch.provider == "openai-gpt-5"
    count(batch, "used:input_tokens", 300)
    count(batch, "used:economy_input_tokens", 10)
    spend(batch, "output_tokens", 88, "0.0011900001")
    shown = analytics(client, batch)
    assert (shown["segments"], shown["tokens"]) == (None, {"input": 310, "output": 88})
    assert shown["cost"] == cost("0.0011900001", "0.0023800002", as_of="2026-10-01")


@pytest.mark.parametrize("prices", [None, {"input_per_million": 1, **DATED}])
def test_an_unknown_price_is_no_price(client: Client, submit: Submit, settings: Settings, prices: Any) -> None:
    batch = submit()
    count(batch, "used:output_tokens", 88)
    count(batch, "unpriced", 1)
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
    spend(photos, "input_tokens", 1_000, "0.001")
    spend(messages, "segments", 1_000, "10")
    spend(others, "segments", 1_000, "10")
    count(unknown, "used:input_tokens", 1_000)
    count(unknown, "unpriced", 10)
    spend(messages, "segments", 5, "0.05", bucket=DAY + 1)
    Usage.objects.create(owner=alice, day="2026-01-05", operation="sms", items=7, failed=0, calls=8)
    Usage.objects.create(owner=alice, day="2026-01-05", operation="import", items=3, failed=0, calls=3)
    body = client.get("/api/usage?from=2026-01-05&to=2026-01-06").json()
    shown = {(row["day"], row["operation"]): (row["cost"], row["unpricedCalls"]) for row in body["usage"]}
    assert shown == {
        ("2026-01-05", "import"): (None, 0),
        ("2026-01-05", "rate_photos"): (cost("0.001000", "0.002000", as_of="2026-10-01"), 10),
        ("2026-01-05", "sms"): (cost("10.000000", "20.000000"), 8),
        ("2026-01-06", "sms"): (cost("0.050000", "0.100000"), 0),
    }
    assert body["total"]["cost"] == cost("10.051000", "20.102000", as_of="2026-10-01")
    assert body["total"]["unpricedCalls"] == 18


def test_a_call_of_no_item_counts_as_well(client: Client, submit: Submit) -> None:
    batch = submit()
    for _ in range(2):
        count_used(batch, get_provider(batch.provider), {"input_tokens": 1_000, "output_tokens": 0})
    shown = analytics(client, batch)
    assert shown["tokens"] == {"input": 2_000, "output": 0}
    assert shown["cost"] == cost("0.000000", "0.000000", "0.002000", "2026-10-01")  # there is no key in tests
    batch.refresh_from_db()
    assert batch.spent == Decimal("0.002")
    assert BatchHistogram.objects.get(batch=batch, measure="spent:finishing").count == 2_000 * PARTS // 1_000_000


def test_what_was_spent_stays_when_its_prices_go(client: Client, submit: Submit, settings: Settings) -> None:
    batch = submit()
    spend(batch, "input_tokens", 1_000, "0.001")
    settings.PROVIDERS = {alias: entry for alias, entry in settings.PROVIDERS.items() if alias != batch.provider}
    assert analytics(client, batch)["cost"] == cost("0.001000", "0.002000", as_of=None)


def test_a_result_says_what_it_cost_and_who_was_asked(client: Client, submit: Submit) -> None:
    batch = submit()
    first, second = batch.items.order_by("position")[:2]
    used = {"simulated:input_tokens": 300, "simulated:economy_input_tokens": 7, "simulated:output_tokens": 88}
    Item.objects.filter(pk=first.pk).update(
        status="succeeded",
        finished_at=datetime.now(UTC),
        result={"starRating": 3},
        provider="grok",
        used=used,
        cost="0.0000123450",
    )
    billed = {
        "provider": "grok",
        "tokens": {"input": 307, "output": 88},
        "segments": None,
        "cost": {"amount": "0.000012345", "charge": "0.00002469", "currency": "USD", "simulated": True},
    }
    Batch.objects.filter(pk=batch.pk).update(succeeded=1)
    (photo,) = client.get(f"/api/batch/results/{batch.public_id}").json()["results"]
    (result,) = client.get(f"/api/batch/{batch.public_id}/results").json()["batch"]["results"]
    shown, waiting = client.get(f"/api/batch/{batch.public_id}/items").json()["items"][:2]
    assert {name: photo[name] for name in billed} == {name: shown[name] for name in billed} == billed
    assert {name: result.get(name) for name in billed} == billed
    assert waiting["id"] == second.key
    assert {waiting[name] for name in ("provider", "tokens", "segments", "cost")} == {None}

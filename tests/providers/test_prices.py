"""Prices as data: what is wrong with them is told, and what calls cost is exact."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from pytest_django import Settings

from batchsite.known_providers import KNOWN_PROVIDERS
from providers.checks import check_providers
from providers.prices import Prices, prices_of, problems_of_prices
from tests.providers.test_registry import CHAT, SMS

DATED = {"currency": "USD", "as_of": "2026-11-21"}
TOKENS = {"input_per_million": 0.1, "output_per_million": "0.50", **DATED}


def priced(settings: Settings, prices: Any) -> Prices | None:
    settings.PROVIDERS = {"smart": {**CHAT, "prices": prices}}
    return prices_of("smart")


def test_costs_are_exact(settings: Settings) -> None:
    prices = priced(settings, TOKENS)
    assert prices is not None
    assert prices.cost({"input_tokens": 3, "output_tokens": 7}) == Decimal("0.0000038")
    assert prices.cost({}) == 0
    assert sum((prices.cost({"input_tokens": 1}) or 0 for _ in range(10)), Decimal(0)) == Decimal("0.000001")


def test_a_unit_without_a_price_makes_the_cost_unknown(settings: Settings) -> None:
    prices = priced(settings, {"input_per_million": 1, **DATED})
    assert prices is not None
    assert prices.cost({"input_tokens": 1, "output_tokens": 1}) is None
    assert prices.cost({"input_tokens": 1_000_000, "output_tokens": 0}) == 1


def test_no_prices_are_none(settings: Settings) -> None:
    settings.PROVIDERS = {"smart": CHAT, "broken": {**CHAT, "prices": {"per_segment": -1, **DATED}}}
    assert prices_of("smart") is prices_of("broken") is prices_of("gone") is None


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        (3, "prices must be a mapping."),
        ({}, "prices must have one of per_segment"),
        ({"per_message": 1, **TOKENS}, "Unknown price 'per_message'"),
        ({**TOKENS, "input_per_million": -1}, "prices.input_per_million must be a number"),
        ({**TOKENS, "input_per_million": "free"}, "prices.input_per_million must be a number"),
        ({**TOKENS, "input_per_million": float("nan")}, "prices.input_per_million must be a number"),
        ({**TOKENS, "input_per_million": True}, "prices.input_per_million must be a number"),
        ({**TOKENS, "currency": "dollars"}, "prices.currency must be a code such as USD."),
        ({**TOKENS, "currency": "EUR"}, "prices.currency must be USD, as in the other entries"),
        ({**TOKENS, "as_of": "yesterday"}, "prices.as_of must be a day such as 2026-11-21."),
    ],
)
def test_wrong_prices_are_told_what_is_wrong(settings: Settings, prices: Any, words: str) -> None:
    settings.PRODUCTION = False
    settings.PROVIDERS = {
        "text": {**SMS, "prices": {"per_segment": 0.0083, **DATED}},
        "smart": {**CHAT, "prices": prices},
    }
    (message,) = [one for one in check_providers(None) if one.id == "providers.E001"]
    assert words in str(message.msg)


def test_every_known_provider_has_a_price(settings: Settings) -> None:
    settings.PROVIDERS = KNOWN_PROVIDERS
    for entry in KNOWN_PROVIDERS.values():
        assert list(problems_of_prices(entry["prices"])) == []


def settings_with(prices: str) -> subprocess.CompletedProcess[str]:
    program = "from batchsite.settings import PROVIDERS; print(PROVIDERS['twilio']['prices'])"
    environment = {**os.environ, "PROVIDER_PRICES": prices, "PROVIDERS": "twilio,plivo"}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)


def test_prices_of_ones_own_contract_take_the_place_of_ours() -> None:
    assert "0.05" in settings_with('{"twilio": {"per_segment": 0.05}, "vonage": {"per_segment": 1}}').stdout
    assert "0.0083" in settings_with('{"plivo": {"per_segment": 0.05}}').stdout


def test_prices_of_nobody_are_told() -> None:
    assert "PROVIDER_PRICES names twillio; known are" in settings_with('{"twillio": {}}').stderr

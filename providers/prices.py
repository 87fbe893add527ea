"""What calls cost: the ``prices`` of an entry of ``settings.PROVIDERS``.

Data with a date, to be set to what one's own contract says: carriers' prices differ by country, and models have
discounts (cached input) and surcharges (very long prompts) that are not in here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

from providers.base import ChatAnswer, GeneratedImage

SEGMENTS, INPUT_TOKENS, OUTPUT_TOKENS = "segments", "input_tokens", "output_tokens"
ECONOMY_INPUT_TOKENS, ECONOMY_OUTPUT_TOKENS = "economy_input_tokens", "economy_output_tokens"
"""Tokens of answers that came through the provider's own batch API, at its discount."""

UNITS: dict[str, tuple[str, int]] = {
    "per_segment": (SEGMENTS, 1),
    "input_per_million": (INPUT_TOKENS, 1_000_000),
    "output_per_million": (OUTPUT_TOKENS, 1_000_000),
    "economy_input_per_million": (ECONOMY_INPUT_TOKENS, 1_000_000),
    "economy_output_per_million": (ECONOMY_OUTPUT_TOKENS, 1_000_000),
}
"""Which price is for how many of which unit."""
PARTS = 10**10
"""Costs are kept in whole ten-billionths of the currency: what one token costs, times any number, is then exact."""
MOST_COST = Decimal(1_000_000)
"""Of one attempt: an odd answer must not end the sum of all."""
FACTS = ("currency", "as_of")


@dataclass(frozen=True, slots=True)
class Prices:
    """What one of each unit costs. ``currency``: of ISO 4217, the same in all entries; ``as_of``: when it was true."""

    currency: str
    as_of: date
    per_unit: Mapping[str, Decimal]

    def cost(self, used: Mapping[str, int]) -> Decimal | None:
        """The exact cost of what was used; None where a unit of it has no price.

        >>> Prices("USD", date(2026, 11, 21), {"segments": Decimal("0.0083")}).cost({"segments": 3})
        Decimal('0.0249')
        """
        if any(number and unit not in self.per_unit for unit, number in used.items()):
            return None
        return sum((self.per_unit[unit] * number for unit, number in used.items() if number), Decimal(0))


def tokens_of(answer: ChatAnswer | GeneratedImage, *, economy: bool = False) -> dict[str, int]:
    """The tokens of an answer by the unit in which they are billed."""
    if economy:
        return {ECONOMY_INPUT_TOKENS: answer.input_tokens, ECONOMY_OUTPUT_TOKENS: answer.output_tokens}
    return {INPUT_TOKENS: answer.input_tokens, OUTPUT_TOKENS: answer.output_tokens}


def cost_at(alias: str, used: Mapping[str, int]) -> Decimal | None:
    """What a provider asks for that today, in whole :data:`PARTS`; None where nothing was used, or has no price."""
    prices = prices_of(alias) if used else None
    amount = prices.cost(used) if prices else None
    return None if amount is None else round(min(amount, MOST_COST), 10)


def common_currency() -> str | None:
    """The currency of all prices; None where there are none."""
    return next((prices.currency for prices in map(prices_of, settings.PROVIDERS) if prices), None)


@cache
def prices_of(alias: str) -> Prices | None:
    """The prices of the provider of this alias; None where its entry has none, or is not there any more."""
    prices = settings.PROVIDERS.get(alias, {}).get("prices")
    if prices is None or any(problems_of_prices(prices)):
        return None
    per_unit = {unit: _amount(prices[name]) / size for name, (unit, size) in UNITS.items() if name in prices}
    return Prices(prices["currency"], date.fromisoformat(prices["as_of"]), per_unit)


def problems_of_prices(prices: Any) -> Iterator[str]:
    """Sentences that say what is wrong with the ``prices`` of an entry."""
    if not isinstance(prices, Mapping):
        yield "prices must be a mapping."
        return
    known = (*UNITS, *FACTS)
    for name in sorted(map(str, prices.keys() - set(known))):
        yield f"Unknown price {name!r}; known are {', '.join(known)}."
    if not prices.keys() & UNITS.keys():
        yield f"prices must have one of {', '.join(UNITS)}."
    for name in UNITS:
        if name in prices and not _is_amount(prices[name]):
            yield f"prices.{name} must be a number that is not negative."
    currency = prices.get("currency")
    if not isinstance(currency, str) or len(currency) != 3 or not (currency.isascii() and currency.isupper()):
        yield "prices.currency must be a code such as USD."
    elif currency != (first := _first_currency()):
        yield f"prices.currency must be {first}, as in the other entries: costs are added up."
    if not _is_day(prices.get("as_of")):
        yield "prices.as_of must be a day such as 2026-11-21."


def _first_currency() -> Any:
    entries = (entry.get("prices") for entry in settings.PROVIDERS.values())
    return next((prices.get("currency") for prices in entries if isinstance(prices, Mapping)), None)


def _amount(value: Any) -> Decimal:
    """As it is written: 0.0083 is not the binary fraction next to it."""
    return Decimal(str(value))


def _is_amount(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return False
    try:
        amount = _amount(value)
    except InvalidOperation:
        return False
    return amount.is_finite() and amount >= 0


def _is_day(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(date.fromisoformat(value))
    except ValueError:
        return False


def _forget_prices(*, setting: str, **_: Any) -> None:
    if setting == "PROVIDERS":
        prices_of.cache_clear()


setting_changed.connect(_forget_prices)

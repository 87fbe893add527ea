"""Numbers and names as people read them."""

from __future__ import annotations

from decimal import Decimal

from django import template

from batches.api.visualization import ERROR_NAMES
from batches.models import Batch
from providers.prices import common_currency

register = template.Library()


SIGNS = {"USD": "$", "EUR": "€", "GBP": "£"}
CENT = Decimal("0.01")
ABBREVIATIONS = {"sms"}


@register.filter
def grouped(number: int) -> str:
    """12345 as 12,345."""
    return f"{number:,}"


@register.filter
def short_title(batch: Batch) -> str:
    """A batch's name, and without one what it does and the end of its id, which tells it from others."""
    return batch.name or f"{batch.operation} ...{batch.public_id[-8:]}"


@register.filter
def money(amount: Decimal | None) -> str:
    """An amount with the sign of our currency; of less than a cent the first two digits that are not zero."""
    if amount is None:
        return "–"
    currency = common_currency() or ""
    digits = 2 if amount == 0 or abs(amount) >= CENT else min(10, 1 - amount.adjusted())
    return f"{SIGNS.get(currency, f'{currency} ')}{amount:,.{digits}f}"


@register.filter
def milliseconds(number: float | None) -> str:
    """1234.5 as "1.23 s", 87.4 as "87 ms", 169,000 as "2.82 min": three digits, in the unit that fits."""
    if number is None:
        return "–"
    if number < 1_000:
        return f"{number:.0f} ms"
    if number < 60_000:
        return f"{number / 1_000:.3g} s"
    return f"{number / 60_000:.3g} min" if number < 7_200_000 else f"{number / 3_600_000:,.3g} h"


@register.filter
def speed(per_second: float | None) -> str:
    """Items per second with about three digits."""
    if per_second is None:
        return "–"
    return f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.3g}"


@register.filter
def spelled(name: str) -> str:
    """``rate_photos`` as "rate photos"."""
    return name.upper() if name in ABBREVIATIONS else name.replace("_", " ")


@register.filter
def category(name: str) -> str:
    """An error's category in words."""
    return ERROR_NAMES.get(name, name)


@register.filter
def duration(seconds: int) -> str:
    """4000 seconds as "1 h 6 min"."""
    if seconds < 60:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


@register.filter
def plain(number: float) -> str:
    """A number as it is typed into a field: 600 for 600.0."""
    return f"{number:.10g}"


@register.filter
def signed(number: float) -> str:
    """A change: +0.25."""
    return f"{number:+.2f}"

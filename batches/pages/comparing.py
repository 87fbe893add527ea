"""Two batches side by side: how each went as a whole, and item by item where their ids match."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from batches.figures import Figures
from batches.models import Batch, Item
from batches.money.costs import cost_of
from batches.pages.access import own_batches
from batches.pages.item_pages import position_of
from batches.pages.presentation import Card, ItemRow, card, item_row
from batches.templatetags.humane import duration, grouped, milliseconds, money, speed

SUGGESTED = 100
ITEMS_PER_PAGE = 50
MOST_MATCHED = 100_000
"""Items of a batch among which ids are looked for wherever they stand; beyond, on the same page only."""
NEARLY = 0.005
"""Figures that are closer to each other than this share are the same to people."""


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of both. ``better``: left, right or nothing."""

    label: str
    left: str
    right: str
    better: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """An item of the left batch and the one of the right that has its id."""

    left: ItemRow
    right: ItemRow | None
    difference: str = ""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of all items whose ids match: how many there are, ended the same way, and were judged the same."""

    matched: int
    same_status: int
    judged: int
    same_quality: int
    quality_change: float | None


@require_safe
@login_required
def compare(request: HttpRequest) -> HttpResponse:
    """Choose two, see both."""
    chosen = {side: _find(request, side) for side in ("left", "right")}
    left, right = chosen["left"], chosen["right"]
    context: dict[str, Any] = {
        "place": "compare",
        "asked": {side: request.GET.get(side, "")[:64] for side in chosen},
        "problems": {side: bool(request.GET.get(side)) and chosen[side] is None for side in chosen},
        "suggested": own_batches(request).only("public_id", "name", "subject", "operation").order_by("-pk")[:SUGGESTED],
    }
    if left is not None and right is not None:
        context |= _comparison(request, left, right)
    return render(request, "pages/compare.html", context)


def _find(request: HttpRequest, side: str) -> Batch | None:
    public_id = request.GET.get(side, "").strip()
    if not public_id or len(public_id) > 64 or "\0" in public_id:
        return None
    return own_batches(request).filter(public_id=public_id).first()


def _comparison(request: HttpRequest, left: Batch, right: Batch) -> dict[str, Any]:
    now = timezone.now()
    after = position_of(request.GET.get("after"))
    start = 0 if after is None else after + 1
    items = list(Item.objects.filter(batch=left, position__gte=start).order_by("position")[: ITEMS_PER_PAGE + 1])
    return {
        "left": card(left, now),
        "right": card(right, now),
        "lines": lines(left, right, now),
        "pairs": _pairs(request, left, right, items[:ITEMS_PER_PAGE]),
        "after": items[ITEMS_PER_PAGE - 1].position if len(items) > ITEMS_PER_PAGE else None,
        "agreement": agreement(left, right),
    }


def lines(left: Batch, right: Batch, now: datetime) -> list[Line]:
    """The figures of both, from their counters alone."""
    sides = [_figures(batch, card(batch, now)) for batch in (left, right)]
    return [
        Line(label, show(one), show(other), _better(one, other, sign))
        for label, show, sign, (one, other) in (
            (label, show, sign, (sides[0].get(label), sides[1].get(label))) for label, show, sign in _SHOWN
        )
        if one is not None or other is not None
    ]


def _figures(batch: Batch, seen: Card) -> dict[str, Any]:
    figures = Figures.of(batch)
    tried = batch.succeeded + batch.failed + batch.unknown
    cost = cost_of(batch.provider, figures.costs, succeeded=batch.succeeded)
    return {
        "Items": batch.total,
        "Success rate": batch.succeeded / tried if tried else None,
        "Failed or unknown": batch.failed + batch.unknown,
        "Calls made": figures.calls or None,
        "Time of a call, on average": figures.durations.average,
        "Half of the calls took at most": figures.durations.at_most(0.50),
        "95 of 100 calls took at most": figures.durations.at_most(0.95),
        "99 of 100 calls took at most": figures.durations.at_most(0.99),
        "Half waited for their turn at most": figures.queued.at_most(0.50),
        "95 of 100 waited for their turn at most": figures.queued.at_most(0.95),
        "95 of 100 waited for limits at most": figures.limited.at_most(0.95),
        "Items per second, on average": seen.average_rate,
        "Took": seen.seconds,
        "Cost": cost.total if cost else None,
        "Cost of 1,000 successes": cost.total * 1000 / batch.succeeded if cost and batch.succeeded else None,
        "Quality, on average": figures.average_quality,
    }


def _or_dash(show: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: "–" if value is None else show(value)


_SHOWN: tuple[tuple[str, Callable[[Any], str], int], ...] = (
    ("Items", _or_dash(grouped), 0),
    ("Success rate", _or_dash(lambda share: f"{100 * share:.1f} %"), 1),
    ("Failed or unknown", _or_dash(grouped), -1),
    ("Calls made", _or_dash(grouped), 0),
    ("Time of a call, on average", milliseconds, -1),
    ("Half of the calls took at most", milliseconds, -1),
    ("95 of 100 calls took at most", milliseconds, -1),
    ("99 of 100 calls took at most", milliseconds, -1),
    ("Half waited for their turn at most", milliseconds, -1),
    ("95 of 100 waited for their turn at most", milliseconds, -1),
    ("95 of 100 waited for limits at most", milliseconds, -1),
    ("Items per second, on average", speed, 1),
    ("Took", _or_dash(duration), 0),
    ("Cost", money, 0),
    ("Cost of 1,000 successes", money, -1),
    ("Quality, on average", _or_dash(lambda quality: f"{quality:.3f}"), 1),
)
"""Label, how it is written, and whether more is better (1), less is (-1), or neither (0)."""


def _better(left: float | Decimal | None, right: float | Decimal | None, sign: int) -> str:
    if left is None or right is None or not sign:
        return ""
    one, other = float(left), float(right)
    if abs(one - other) <= NEARLY * max(abs(one), abs(other)):
        return ""
    return "left" if (one - other) * sign > 0 else "right"


def _pairs(request: HttpRequest, left: Batch, right: Batch, items: list[Item]) -> list[Pair]:
    found = partners(right, items)
    pairs = []
    for item in items:
        partner = found.get(item.key)
        row = item_row(left, item, request.user)
        if partner is None:
            pairs.append(Pair(row, None))
        else:
            pairs.append(Pair(row, item_row(right, partner, request.user), _difference(item, partner)))
    return pairs


def partners(right: Batch, items: list[Item]) -> Mapping[str, Item]:
    """The right batch's items by id: most stand at the same place, which an index finds."""
    wanted = {item.key for item in items}
    there = Item.objects.filter(batch=right)
    found = {one.key: one for one in there.filter(position__in=[item.position for item in items]) if one.key in wanted}
    missing = wanted - found.keys()
    if missing and right.total <= MOST_MATCHED:
        found |= {one.key: one for one in there.filter(key__in=missing)}
    return found


def _difference(item: Item, partner: Item) -> str:
    if item.status != partner.status:
        return "status"
    if item.quality is None or partner.quality is None:
        return ""
    change = partner.quality - item.quality
    return f"{change:+.2f}" if abs(change) > NEARLY else "same"


_AGREEMENT = """
    SELECT count(*), count(*) FILTER (WHERE one.status = other.status),
           count(*) FILTER (WHERE one.quality IS NOT NULL AND other.quality IS NOT NULL),
           count(*) FILTER (WHERE abs(one.quality - other.quality) <= %s), avg(other.quality - one.quality)
      FROM batches_item AS one JOIN batches_item AS other ON other.key = one.key
     WHERE one.batch_id = %s AND other.batch_id = %s
"""


def agreement(left: Batch, right: Batch) -> Agreement | None:
    """One look at all items of both; None where they are too many for it."""
    if max(left.total, right.total) > MOST_MATCHED:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_AGREEMENT, [NEARLY, left.pk, right.pk])
        return Agreement(*cursor.fetchone())

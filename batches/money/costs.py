"""What calls cost: added up by the recorder, call by call, at the prices of that moment."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F

from batches.models import Batch
from batches.running.changes import countable
from batches.running.record_statements import DAY_SECONDS, add_to_histograms, measure_of, measure_of_cost
from providers.base import Provider
from providers.prices import PARTS, common_currency, cost_at, prices_of

FINISHING = "spent:finishing"


@dataclass(frozen=True, slots=True)
class Cost:
    """``amount`` is owed; ``simulated`` nobody owes, the sandbox answered. ``as_of``: the oldest of the prices that are
    set now, None where there are none any more."""

    amount: Decimal
    simulated: Decimal
    currency: str
    as_of: date | None

    def __add__(self, other: Cost) -> Cost:
        """Both together; all prices are in one currency."""
        days = [day for day in (self.as_of, other.as_of) if day]
        return Cost(
            self.amount + other.amount,
            self.simulated + other.simulated,
            self.currency,
            min(days) if days else None,
        )

    @property
    def total(self) -> Decimal:
        """Both, as it would be without a sandbox."""
        return self.amount + self.simulated


def cost_of(alias: str, measures: Mapping[str, int], *, succeeded: int) -> Cost | None:
    """What the calls cost that the recorder counted; None where nothing is known of it.

    ``measures``: the sums of a batch's histograms. ``succeeded``: items. Where there are some, and none said what its
    calls used, they were not free but not counted.
    """
    amount, simulated = measures.get("spent", 0), measures.get("spent:simulated", 0)
    prices, currency = prices_of(alias), common_currency()
    counted = "spent" in measures or "spent:simulated" in measures
    if currency is None or (not counted and (prices is None or succeeded > 0 or measures.get("unpriced"))):
        return None
    return Cost(exact(amount), exact(simulated), currency, prices.as_of if prices else None)


def exact(parts: int) -> Decimal:
    """An amount of the currency from its ten-billionths."""
    return Decimal(parts) / PARTS


def charge(amount: Decimal) -> Decimal:
    """What the user is asked for what a provider asks of us: the setting ``COST_MARKUP`` times as much."""
    return amount * settings.COST_MARKUP


def count_used(batch: Batch, provider: Provider, used: Mapping[str, int]) -> None:
    """Count what a call used that belongs to no item, such as one of ``finish``; right after its answer."""
    day = int(time.time()) // DAY_SECONDS
    billed = countable(used)
    counted = Counter({(batch.pk, measure_of(unit, provider.uses_sandbox), day): n for unit, n in billed.items()})
    cost = cost_at(provider.alias, billed)
    if cost is None and billed:
        counted[batch.pk, "unpriced", day] += 1
    with transaction.atomic(), connection.cursor() as cursor:
        if cost is not None:
            Batch.objects.filter(pk=batch.pk).update(spent=F("spent") + cost)
            for measure in (measure_of_cost(provider.uses_sandbox), FINISHING):
                counted[batch.pk, measure, day] += int(cost * PARTS)
        add_to_histograms(cursor, counted)

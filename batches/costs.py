"""What calls cost: what they used, as the recorder counted it, at the prices that are set now."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import connection, transaction

from batches.models import Batch
from batches.running.changes import countable
from batches.running.record_statements import DAY_SECONDS, add_to_histograms, measure_of
from providers.base import Provider
from providers.prices import prices_of


@dataclass(frozen=True, slots=True)
class Cost:
    """``amount`` is owed; ``simulated`` nobody owes, the sandbox answered. ``as_of``: the oldest of the prices."""

    amount: Decimal
    simulated: Decimal
    currency: str
    as_of: date

    def __add__(self, other: Cost) -> Cost:
        """Both together; all prices are in one currency."""
        return Cost(
            self.amount + other.amount,
            self.simulated + other.simulated,
            self.currency,
            min(self.as_of, other.as_of),
        )


def cost_of(alias: str, used: Mapping[str, int], simulated: Mapping[str, int], *, succeeded: int) -> Cost | None:
    """What a provider asks for that; None where a price of it is not known, or the amount.

    ``succeeded``: items. Where there are some, and none said what its calls used, they were not free but not counted.
    """
    prices = prices_of(alias)
    if prices is None or (succeeded > 0 and not used and not simulated):
        return None
    amount, unpaid = prices.cost(used), prices.cost(simulated)
    if amount is None or unpaid is None:
        return None
    return Cost(amount, unpaid, prices.currency, prices.as_of)


def count_used(batch: Batch, provider: Provider, used: Mapping[str, int]) -> None:
    """Count what a call used that belongs to no item, such as one of ``finish``; right after its answer."""
    day = int(time.time()) // DAY_SECONDS
    counted = Counter(
        {(batch.pk, measure_of(unit, provider.uses_sandbox), day): n for unit, n in countable(used).items()}
    )
    with transaction.atomic(), connection.cursor() as cursor:
        add_to_histograms(cursor, counted)

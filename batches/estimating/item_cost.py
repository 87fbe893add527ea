"""What one item of a batch with a budget may cost at most, until some of its items have shown what they cost."""

from __future__ import annotations

from decimal import Decimal

from batches.estimating.sampling import Sample, sample, sample_of
from batches.models import Batch
from batches.operations.base import get_operation
from batches.options import NewBatch, NewItem
from batches.problems import InvalidInput, Problem
from batches.states import ECONOMY
from providers.prices import cost_at, prices_of
from providers.registry import get_provider

LOOKED_AT = 20
"""Items."""


def item_cost_of_new(owner_id: int, new: NewBatch) -> Decimal:
    """Of a batch that is about to be submitted. Raises :class:`InvalidInput` where its provider has no prices."""
    _refuse_without_prices(new.provider)
    found = sample(owner_id, new, get_provider(new.provider), most=LOOKED_AT)
    return _cost(new.provider, found, economy=new.mode.name == ECONOMY)


def item_cost_of(batch: Batch) -> Decimal:
    """Of a batch that runs already. Raises :class:`InvalidInput` where its provider has no prices."""
    _refuse_without_prices(batch.provider)
    items = [NewItem(item.key, item.input) for item in batch.items.order_by("position")[:LOOKED_AT]]
    operation = get_operation(batch.operation)
    found = sample_of(operation, get_provider(batch.provider), batch.owner_id, batch.parameters, items)
    return _cost(batch.provider, found, economy=batch.mode == ECONOMY and batch.fast_since is None)


def _cost(alias: str, found: Sample, *, economy: bool) -> Decimal:
    return cost_at(alias, found.most.used(highest=True, economy=economy)) or Decimal(0)


def _refuse_without_prices(alias: str) -> None:
    """A budget that nobody can hold helps nobody."""
    if prices_of(alias) is None:
        who = f"{alias} has no prices here" if alias else "no provider is asked"
        raise InvalidInput([Problem("maxCost", f"There is nothing to hold a budget by: {who}.", "no_prices")])

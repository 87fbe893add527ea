"""What one item of a batch with a budget may cost at most, until some of its items have shown what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from batches.models import Batch
from batches.money.estimating.sampling import Sample, sample, sample_of
from batches.operations.base import get_operation
from batches.options import NewBatch, NewItem
from batches.problems import InvalidInput, Problem
from batches.provider_accounts.accounts import fallbacks_of
from batches.states import ECONOMY, WhenUnavailable
from providers.prices import cost_at, prices_of
from providers.registry import get_provider

LOOKED_AT = 20
"""Items."""


def item_cost_of_new(owner_id: int, new: NewBatch) -> Decimal:
    """Of a batch that is to be submitted. Raises :class:`InvalidInput` where somebody it may ask has no prices."""
    askable = _askable(new.provider, new.options.when_unavailable, new.options.fallbacks)
    found = sample(owner_id, new, get_provider(new.provider), most=LOOKED_AT)
    return _cost(askable, found, economy=new.mode.name == ECONOMY)


def item_cost_of(batch: Batch) -> Decimal:
    """Of a batch that runs already. Raises :class:`InvalidInput` where somebody it may ask has no prices."""
    askable = _askable(batch.provider, batch.when_unavailable, batch.fallbacks)
    items = [NewItem(item.key, item.input) for item in batch.items.order_by("position")[:LOOKED_AT]]
    operation = get_operation(batch.operation)
    found = sample_of(operation, get_provider(batch.provider), batch.owner_id, batch.parameters, items)
    return _cost(askable, found, economy=batch.mode == ECONOMY and batch.fast_since is None)


def _cost(aliases: Sequence[str], found: Sample, *, economy: bool) -> Decimal:
    """At the dearest of those that may be asked."""
    used = found.most.used(highest=True, economy=economy)
    return max(cost_at(alias, used) or Decimal(0) for alias in aliases)


def _askable(alias: str, when_unavailable: str, fallbacks: Sequence[str]) -> tuple[str, ...]:
    """The provider, and those that may take its place. A budget that nobody can hold helps nobody: all have prices."""
    may_switch = when_unavailable == WhenUnavailable.SWITCH
    askable = (alias, *fallbacks_of(alias, fallbacks)) if may_switch else (alias,)
    for each in askable:
        if prices_of(each) is None:
            who = f"{each} has no prices here" if each else "no provider is asked"
            which = f"the fallback {who}" if each != alias else who
            raise InvalidInput([Problem("maxCost", f"There is nothing to hold a budget by: {which}.", "no_prices")])
    return askable

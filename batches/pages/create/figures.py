"""What a batch would be, in the words and numbers of the panel beside the form."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from batches.money.estimating.estimate import Estimate, InMode
from batches.templatetags.humane import duration, money

DECIDED_BY = {
    "rate_limit": "as fast as its limits allow",
    "concurrency": "by how many calls may run at once",
    "capacity": "by how many calls the workers can make at once",
    "calls": "all calls at once",
    "provider": "whenever the provider finds time, within a day",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """Cost and time of an estimate as people read them; empty where nothing is known.

    ``over_budget``: the budget may not pay for all of it.
    """

    cost: str
    time: str
    decided_by: str
    simulated: bool
    other_mode: str = ""
    over_budget: bool = False


def figures_of(found: Estimate) -> Figures:
    """In the mode that was chosen, and what it would cost in the other one."""
    chosen = found.chosen
    other = ""
    if found.economy is not None:
        name, mode = ("fast mode", found.fast) if chosen is found.economy else ("economy mode", found.economy)
        other = f"{_cost(mode)} in {name}" if _cost(mode) else ""
    return Figures(
        cost=_cost(chosen),
        time=_span(chosen.duration.low, chosen.duration.high),
        decided_by=DECIDED_BY.get(chosen.duration.decided_by, ""),
        simulated=bool(found.new.provider) and found.provider.uses_sandbox,
        other_mode=other,
        over_budget=found.is_within_budget is False,
    )


def _cost(mode: InMode) -> str:
    if mode.price is None:
        return ""
    low, high = mode.price.low, mode.price.high
    if low == high:
        return money(low)
    return f"{money(low)} to {money(high)}" if money(low) != money(high) else money(Decimal(high))


def _span(low: float, high: float) -> str:
    shortest, longest = duration(max(1, round(low))), duration(max(1, round(high)))
    return shortest if shortest == longest else f"{shortest} to {longest}"

"""Who gets how many of the free slots: equal shares per owner, then per batch. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Demand:
    """A batch that could use up to ``wanted`` slots now."""

    batch_id: int
    owner_id: int
    wanted: int


def fair_shares(slots: int, demands: Iterable[Demand], last_served: Mapping[int, float]) -> dict[int, int]:
    """Slots per batch id: every owner the same, within an owner every batch the same, none more than it wants.

    What does not divide goes to those served longest ago (``last_served``: batch id -> instant), so that a lane of a
    few permits a second still reaches everybody in turn.
    """
    by_owner: dict[int, list[Demand]] = {}
    for demand in demands:
        if demand.wanted > 0:
            by_owner.setdefault(demand.owner_id, []).append(demand)
    owner_served = {
        owner: max(last_served.get(demand.batch_id, 0.0) for demand in batches) for owner, batches in by_owner.items()
    }
    per_owner = _fill(
        slots, {owner: sum(demand.wanted for demand in batches) for owner, batches in by_owner.items()}, owner_served
    )
    shares: dict[int, int] = {}
    for owner, batches in by_owner.items():
        shares |= _fill(per_owner.get(owner, 0), {demand.batch_id: demand.wanted for demand in batches}, last_served)
    return {batch_id: share for batch_id, share in shares.items() if share > 0}


def _fill(slots: int, wanted: Mapping[int, int], last_served: Mapping[int, float]) -> dict[int, int]:
    """Pour the slots in evenly; whoever is full leaves the rest to the others."""
    shares = dict.fromkeys(wanted, 0)
    hungry = sorted((key for key in wanted if wanted[key] > 0), key=lambda key: last_served.get(key, 0.0))
    while slots > 0 and hungry:
        each = max(1, slots // len(hungry))
        for key in hungry:
            given = min(each, wanted[key] - shares[key], slots)
            shares[key] += given
            slots -= given
        hungry = [key for key in hungry if shares[key] < wanted[key]]
    return shares

"""The estimate of a batch that is not there: what it would do, take and cost, and which of its items would be refused.

It reads the body as a create does, and looks at the items as a worker would; it stores nothing, also not the images of
data URLs, and calls nobody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from batches.files import kept_in_memory
from batches.money.estimating.durations import ECONOMY as ECONOMY_DURATION
from batches.money.estimating.durations import Duration, fast_duration
from batches.money.estimating.history import History, history_of
from batches.money.estimating.sampling import Sample, items_in, sample
from batches.money.estimating.workload import Workload
from batches.operations.base import get_operation
from batches.operations.messages import sms
from batches.options import NewBatch
from batches.problems import InvalidInput, Problem
from batches.states import ECONOMY
from batches.text_messages.opt_outs import opted_out_among
from providers.base import NOBODY, Provider, answers_batches
from providers.prices import prices_of
from providers.registry import get_provider

ITEM_LISTS = ("recipients", "images", "prompts", "conversations", "fileIds")
_ITEM = re.compile(rf"({'|'.join(ITEM_LISTS)})\.([0-9]+)(?:\.|$)")
MORE = "more_problems"

Build = Callable[[int, Mapping[str, Any]], NewBatch]


@dataclass(frozen=True, slots=True)
class Price:
    """What a batch costs in one mode: what providers ask, at either end."""

    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True)
class InMode:
    """What a batch would cost in one mode, and how long it would take. ``price``: None where something has none."""

    price: Price | None
    duration: Duration


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is known of a batch before it is. ``economy``: None where there is no economy mode for it."""

    new: NewBatch
    channel: str
    provider: Provider
    items: int
    work: Workload
    looked: Sample
    seen: History
    fast: InMode
    economy: InMode | None
    refused: Sequence[Problem]
    refused_items: int

    @property
    def chosen(self) -> InMode:
        """In the mode that was asked for."""
        return self.economy if self.economy is not None and self.new.mode.name == ECONOMY else self.fast

    @property
    def is_within_budget(self) -> bool | None:
        """Whether ``maxCost`` surely pays for all of it; None where there is none, or no price."""
        most, price = self.new.options.max_cost, self.chosen.price
        return None if most is None or price is None else price.high <= most


def estimate(owner_id: int, payload: Mapping[str, Any], build: Build) -> Estimate:
    """What the body that ``build`` reads would do. Raises :class:`InvalidInput` as a create does, but for single items:
    these are left out and told."""
    with kept_in_memory():
        reading = _Reading(payload)
        new = _read(owner_id, reading, build)
        provider = get_provider(new.provider) if new.provider else NOBODY
        looked = sample(owner_id, new, provider) if new.provider else Sample(0, 0, Workload(), Workload())
    channel = get_operation(new.operation).channel
    seen = history_of(owner_id, new.operation, new.provider, simulated=provider.uses_sandbox)
    items = items_in(new)
    work = seen.corrects(looked.of_all(items))
    fast = InMode(_price(new.provider, work), fast_duration(new, channel, provider, work, seen))
    economy = None
    if get_operation(new.operation).asks_models and answers_batches(provider):
        economy = InMode(_price(new.provider, work, economy=True), ECONOMY_DURATION)
    refused, refused_items = reading.refused, len(reading.left_out)
    return Estimate(new, channel, provider, items, work, looked, seen, fast, economy, refused, refused_items)


def _price(alias: str, work: Workload, *, economy: bool = False) -> Price | None:
    prices = prices_of(alias)
    if prices is None:
        return None
    low = prices.cost(work.used(highest=False, economy=economy))
    high = prices.cost(work.used(highest=True, economy=economy))
    return None if low is None or high is None else Price(low, high)


@dataclass(slots=True)
class _Reading:
    """A body being read, without the items that would be refused. ``places``: of those left, where they stand in it."""

    payload: Mapping[str, Any]
    refused: list[Problem] = field(default_factory=list)
    places: dict[str, list[int]] = field(default_factory=dict)
    left_out: set[tuple[str, int]] = field(default_factory=set)

    def place(self, name: str, index: int) -> int:
        """Where an item stands in the body as it was given."""
        return self.places.setdefault(name, list(range(len(self.payload[name]))))[index]

    def refuse(self, name: str, index: int, problem: Problem) -> None:
        """Note what is wrong with an item."""
        place = self.place(name, index)
        self.left_out.add((name, place))
        self.refused.append(replace(problem, path=problem.path.replace(f"{name}.{index}", f"{name}.{place}", 1)))

    def leave_out(self, name: str, indexes: Set[int]) -> None:
        """Go on without these items. Raises :class:`InvalidInput` where none is left."""
        left = [value for index, value in enumerate(self.payload[name]) if index not in indexes]
        self.places[name] = [place for index, place in enumerate(self.places[name]) if index not in indexes]
        self.payload = {**self.payload, name: left}
        if not left:
            raise InvalidInput(self.refused)


def _read(owner_id: int, reading: _Reading, build: Build) -> NewBatch:
    """The batch without the items that would be refused. Raises :class:`InvalidInput` for anything else."""
    while True:
        try:
            new = build(owner_id, reading.payload)
        except InvalidInput as wrong:
            found = [(problem, _ITEM.match(problem.path)) for problem in wrong.problems if problem.code != MORE]
            of_items = [(problem, match[1], int(match[2])) for problem, match in found if match]
            if len(of_items) < len(found) or not of_items:
                raise
            for problem, name, index in of_items:
                reading.refuse(name, index, problem)
            for name in {name for _, name, _ in of_items}:
                reading.leave_out(name, {index for _, each, index in of_items if each == name})
        else:
            return _without_opted_out(owner_id, reading, new) if new.operation == sms.NAME else new


def _without_opted_out(owner_id: int, reading: _Reading, new: NewBatch) -> NewBatch:
    """Who wants no messages gets none, and they cost nothing."""
    opted_out = opted_out_among(owner_id, (item.input["to"] for item in new.items))
    gone = {index for index, item in enumerate(new.items) if item.input["to"] in opted_out}
    for index in gone:
        reading.refuse("recipients", index, Problem(f"recipients.{index}", "Has opted out.", "opted_out"))
    return replace(new, items=[item for index, item in enumerate(new.items) if index not in gone])

"""What of a list cannot be done, and why; the rest of it may still go."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from batches.problems import Problem

SHOWN = 200


@dataclass(frozen=True, slots=True)
class Refusal:
    """One problem of one entry. ``place``: which entry, as whoever wrote the list sees it."""

    place: str
    message: str
    column: str = ""
    order: int = 0


@dataclass(slots=True)
class Refusals:
    """All of them. ``count``: entries, each once."""

    found: list[Refusal] = field(default_factory=list)
    count: int = 0

    @property
    def shown(self) -> list[Refusal]:
        """The first of them, in the order of the list."""
        return sorted(self.found, key=lambda each: each.order)[:SHOWN]

    @property
    def not_shown(self) -> int:
        """How many more."""
        return max(0, len(self.found) - SHOWN)

    @property
    def has_columns(self) -> bool:
        """Whether the list is a table."""
        return any(each.column for each in self.found)

    def take(self, problems: Iterable[Problem], read: Callable[[Problem], Refusal | None]) -> list[Problem]:
        """Note those that ``read`` knows the entry of; returns the others."""
        others, places = [], set()
        for problem in problems:
            refusal = read(problem)
            if refusal is None:
                others.append(problem)
            else:
                self.found.append(refusal)
                places.add(refusal.place)
        self.count += len(places)
        return others

"""Where the last claim of each batch ended, so that the next one does not walk over everything claimed before it.

While another session holds an old snapshot (a long export, a dump), Postgres may remove no dead row: a claim that began
at a batch's first entry would visit every item claimed since then, 0.3 ms for a thousand of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic

BOTTOM = (datetime.min.replace(tzinfo=UTC), 0)
"""Before every item."""
LOOK_BELOW_SECONDS = (5.0, 15.0)
"""A floor is left after so long, at random so that not all batches are walked through at once."""


@dataclass(frozen=True, slots=True)
class Floor:
    """The place of the last item taken in a batch's order (due_at, id); forgotten at ``until`` (monotonic seconds)."""

    place: tuple[datetime, int]
    until: float


class Floors:
    """The floors of the running batches.

    Items may turn up below a floor, such as those whose retry is committed a moment late. They are found when a claim
    gets fewer items than it wanted, or when the floor is left after some seconds; until then the batch has others.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._floors: dict[int, Floor] = {}

    def get(self, batch_id: int) -> tuple[datetime, int]:
        """The place above which to look."""
        floor = self._floors.get(batch_id)
        if floor is not None and self._clock() >= floor.until:
            del self._floors[batch_id]
            floor = None
        return BOTTOM if floor is None else floor.place

    def took(self, batch_id: int, last: tuple[datetime, int]) -> None:
        """A claim got all it wanted, and this was the last item of it. The floor keeps its first end."""
        floor = self._floors.get(batch_id)
        until = floor.until if floor is not None else self._clock() + random.uniform(*LOOK_BELOW_SECONDS)  # noqa: S311
        self._floors[batch_id] = Floor(last, until)

    def leave(self, batch_id: int) -> bool:
        """Begin at the bottom again; whether there was a floor."""
        return self._floors.pop(batch_id, None) is not None

    def clear(self) -> None:
        """Items were given back somewhere: begin at the bottom everywhere."""
        self._floors.clear()

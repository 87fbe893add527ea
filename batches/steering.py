"""What a client may change of a batch while it runs, and which of its items run again: read from its words."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from batches.operations.batch_options import LARGEST_CONCURRENCY, LARGEST_COST, LARGEST_RATE
from batches.operations.payload import Fields, Problems
from batches.states import Priority

RATE_LIMIT, CONCURRENCY, PRIORITY, MAX_COST = "rateLimit", "concurrency", "priority", "maxCost"
MOST_POSITIONS = 1_000
LARGEST_POSITION = 2**31 - 1


def read_changes(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The changes for :func:`batches.services.change`; ``null`` takes a limit away.

    Raises :class:`InvalidInput` with every problem, also where nothing is to be changed.
    """
    problems = Problems()
    fields = Fields(payload, problems)
    changes: dict[str, Any] = {}
    rate = fields.positive_number(RATE_LIMIT, maximum=LARGEST_RATE)
    concurrency = fields.integer(CONCURRENCY, "batchSize", minimum=1, maximum=LARGEST_CONCURRENCY)
    priority = fields.choice(PRIORITY, choices=Priority.values, default="")
    budget = fields.amount(MAX_COST, maximum=LARGEST_COST)
    fields.refuse_unknown()
    if RATE_LIMIT in payload:
        changes["rate_limit"] = rate
    if CONCURRENCY in payload or "batchSize" in payload:
        changes["concurrency"] = concurrency
    if MAX_COST in payload:
        changes["max_cost"] = budget
    if priority:
        changes["priority"] = priority
    elif PRIORITY in payload and payload[PRIORITY] is None:
        problems.add(PRIORITY, f"Must be one of {', '.join(Priority.values)}.", "invalid_choice")
    if not payload:
        names = f"{RATE_LIMIT}, {CONCURRENCY}, {PRIORITY} or {MAX_COST}"
        problems.add("", f"Name what is to change: {names}.", "required")
    problems.raise_if_any()
    return changes


def read_budget(payload: Mapping[str, Any]) -> Decimal | None:
    """The budget with which a batch goes on, where another is given. Raises :class:`InvalidInput`."""
    problems = Problems()
    fields = Fields(payload, problems)
    budget = fields.amount(MAX_COST, maximum=LARGEST_COST)
    fields.refuse_unknown()
    problems.raise_if_any()
    return budget


def read_positions(payload: Mapping[str, Any]) -> list[int] | None:
    """Which of the failed items are to run again, by position; None for all of them. Raises :class:`InvalidInput`."""
    problems = Problems()
    fields = Fields(payload, problems)
    path, value = fields.find("positions")
    fields.refuse_unknown()
    if value is not None and not (isinstance(value, list) and all(_is_position(each) for each in value)):
        problems.add(path, "Must be a list of whole numbers.", "invalid_type")
    elif value is not None and not 0 < len(value) <= MOST_POSITIONS:
        problems.add(path, f"Must hold between 1 and {MOST_POSITIONS} positions.", "out_of_range")
    problems.raise_if_any()
    positions: list[int] | None = value
    return positions


def _is_position(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_POSITION

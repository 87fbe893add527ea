"""Faults by their share: what is drawn of them, and how settings are checked that hold such shares."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Mapping
from typing import Any

Check = Callable[[Any], str | None]
"""Why a value is refused; None where it is good."""


def draw_of(shares: Mapping[str, float]) -> str | None:
    """One of the faults, each as often as its share says; or none."""
    ticket = random.random()  # noqa: S311
    for fault, share in shares.items():
        ticket -= share
        if ticket < 0:
            return fault
    return None


def is_number(value: Any) -> bool:
    """Whether it is a finite number, and not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def problem_of_shares(value: Any, known: Collection[str]) -> str | None:
    """Why this is no object of fault: share."""
    if not isinstance(value, Mapping) or not all(is_number(share) and 0 <= share <= 1 for share in value.values()):
        return "must be an object of fault: rate from 0 to 1"
    if unknown := [fault for fault in value if fault not in known]:
        return f"unknown fault {unknown[0]!r}; known are {', '.join(known)}"
    return "the rates must not sum to more than 1" if sum(value.values()) > 1 + 1e-9 else None


def problem_of_settings(wanted: Any, checks: Mapping[str, Check]) -> str | None:
    """Why settings are refused, by the check of each."""
    if not isinstance(wanted, Mapping):
        return "must be an object"
    for name, value in wanted.items():
        check = checks.get(name)
        if check is None:
            return f"unknown setting {name!r}; known are {', '.join(checks)}"
        if problem := check(value):
            return f"{name}: {problem}"
    return None

"""What the sandbox does to batches, and the checks that keep a wrong setting out."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Any

LINE_FAULTS = ("failed", "refused", "expired", "missing", "twice", "unknown", "broken")
"""A line that fails (500) or is refused (400), is not run in time, is forgotten, comes twice, comes with a stranger's
beside it, or is cut off in its middle."""
CREATE_FAULTS = ("silent", "cut", "invalid", "no_room")
"""A create that works and is never answered, or works and hangs up; a batch that is refused as a whole when it is
looked at more closely; one for which there is no room."""


class BatchSettings:
    """The current settings. ``create_faults`` are used up, one for each create."""

    def __init__(self) -> None:
        self.seconds: float = 3.0
        self.line_faults: dict[str, float] = {}
        self.create_faults: list[str] = []
        self.download_bytes_per_second: float | None = None
        self.download_cuts: int = 0

    def as_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    def change(self, wanted: Mapping[str, Any]) -> None:
        """Take over values that were checked."""
        for name, value in wanted.items():
            setattr(self, name, list(value) if name == "create_faults" else value)

    def next_create_fault(self) -> str | None:
        """What goes wrong with this create."""
        return self.create_faults.pop(0) if self.create_faults else None

    def cuts_download(self) -> bool:
        """Whether this download breaks off."""
        cut = self.download_cuts > 0
        self.download_cuts -= cut
        return cut

    def draw(self) -> str | None:
        """What goes wrong with this line."""
        ticket = random.random()  # noqa: S311
        for fault, rate in self.line_faults.items():
            ticket -= rate
            if ticket < 0:
                return fault
        return None


def problem_of(wanted: Any) -> str | None:
    """Why these settings are refused."""
    if not isinstance(wanted, Mapping):
        return "must be an object"
    for name, value in wanted.items():
        check = CHECKS.get(name)
        if check is None:
            return f"unknown setting {name!r}; known are {', '.join(CHECKS)}"
        if problem := check(value):
            return f"{name}: {problem}"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _seconds(value: Any) -> str | None:
    return None if _is_number(value) and 0 <= value <= 86_400 else "must be a number from 0 to 86400"


def _line_faults(value: Any) -> str | None:
    if not isinstance(value, Mapping) or not all(_is_number(rate) and 0 <= rate <= 1 for rate in value.values()):
        return "must be an object of fault: rate from 0 to 1"
    if unknown := [fault for fault in value if fault not in LINE_FAULTS]:
        return f"unknown fault {unknown[0]!r}; known are {', '.join(LINE_FAULTS)}"
    return "the rates must not sum to more than 1" if sum(value.values()) > 1 + 1e-9 else None


def _create_faults(value: Any) -> str | None:
    known = isinstance(value, list) and all(fault in CREATE_FAULTS for fault in value)
    return None if known else f"must be a list of {', '.join(CREATE_FAULTS)}"


def _speed(value: Any) -> str | None:
    return None if value is None or (_is_number(value) and value > 0) else "must be a number above 0, or null"


def _count(value: Any) -> str | None:
    known = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return None if known else "must be a whole number of at least 0"


CHECKS: Mapping[str, Callable[[Any], str | None]] = {
    "seconds": _seconds,
    "line_faults": _line_faults,
    "create_faults": _create_faults,
    "download_bytes_per_second": _speed,
    "download_cuts": _count,
}

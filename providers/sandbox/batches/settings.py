"""What the sandbox does to batches, and the checks that keep a wrong setting out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.sandbox.shares import Check, draw_of, is_number, problem_of_settings, problem_of_shares

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
        return draw_of(self.line_faults)


def problem_of(wanted: Any) -> str | None:
    """Why these settings are refused."""
    return problem_of_settings(wanted, CHECKS)


def _seconds(value: Any) -> str | None:
    return None if is_number(value) and 0 <= value <= 86_400 else "must be a number from 0 to 86400"


def _line_faults(value: Any) -> str | None:
    return problem_of_shares(value, LINE_FAULTS)


def _create_faults(value: Any) -> str | None:
    known = isinstance(value, list) and all(fault in CREATE_FAULTS for fault in value)
    return None if known else f"must be a list of {', '.join(CREATE_FAULTS)}"


def _speed(value: Any) -> str | None:
    return None if value is None or (is_number(value) and value > 0) else "must be a number above 0, or null"


def _count(value: Any) -> str | None:
    known = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return None if known else "must be a whole number of at least 0"


CHECKS: Mapping[str, Check] = {
    "seconds": _seconds,
    "line_faults": _line_faults,
    "create_faults": _create_faults,
    "download_bytes_per_second": _speed,
    "download_cuts": _count,
}

"""A clock in the hands of a test."""

from __future__ import annotations


class Clock:
    """Monotonic seconds, moved by the test alone."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

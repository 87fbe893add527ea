"""Bad input and refused changes, as every front door reports them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the input. ``path`` names it as the client wrote it: ``recipients.3.variables.name``."""

    path: str
    message: str
    code: str


class InvalidInput(Exception):
    """The input cannot be accepted; nothing was stored. Carries every problem found, not just the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(f"{len(problems)} problem(s): {problems[0].path}: {problems[0].message}")
        self.problems = tuple(problems)


class Conflict(Exception):
    """The batch is in a status from which this change is not allowed; nothing was changed."""

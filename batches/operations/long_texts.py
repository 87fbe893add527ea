"""Texts longer than a model should read at once: split into parts, asked about one by one, the answers put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

LONGEST_PART = 48_000
"""Characters, about 12,000 tokens."""
MOST_LEVELS = 4
BREAKS = ("\n\n", "\n", ". ", " ")


def split(text: str, longest: int = LONGEST_PART) -> list[str]:
    """The text in parts of at most ``longest`` characters, cut where a paragraph, a line, a sentence or a word ends.

    A part is at least half as long as it may be, but for the last one; together they are the text, blanks at the cuts
    aside.

    >>> split("One two. Three four. Five.", 12)
    ['One two.', 'Three four.', 'Five.']
    """
    parts: list[str] = []
    start = 0
    while len(text) - start > longest:
        cut = _cut(text, start, start + longest)
        parts.append(text[start:cut].strip())
        start = cut
    parts.append(text[start:].strip())
    return [part for part in parts if part] or [""]


def _cut(text: str, start: int, end: int) -> int:
    for mark in BREAKS:
        found = text.rfind(mark, start + (end - start) // 2, end)
        if found >= 0:
            return found + len(mark)
    return end


@dataclass(slots=True)
class Reduction:
    """Where the work on a long text stands: the answers so far, level by level.

    Level 0 asks about the parts of the text, level 1 about the parts of the answers of level 0 put together, and so on
    until one answer is left. Without ``combines`` the answers of level 0, one after the other, are the result.
    """

    text: str
    combines: bool
    answers: list[list[str]] = field(default_factory=lambda: [[]])
    longest: int = LONGEST_PART

    @classmethod
    def resumed(cls, text: str, *, combines: bool, state: Mapping[str, Any] | None) -> Self:
        """From what :meth:`state` gave, or from the start."""
        return (
            cls(text, combines) if state is None else cls(text, combines, [list(level) for level in state["answers"]])
        )

    def state(self) -> dict[str, Any]:
        """What has to be kept between two calls, beside the text."""
        return {"answers": self.answers}

    @property
    def level(self) -> int:
        """From 0; above it answers are read instead of the text."""
        return len(self.answers) - 1

    @property
    def parts(self) -> list[str]:
        """What is asked about on this level."""
        source = self.text if self.level == 0 else "\n\n".join(self.answers[-2])
        return split(source, self.longest)

    @property
    def part(self) -> int:
        """The number of the next part, from 0."""
        return len(self.answers[-1])

    @property
    def is_stuck(self) -> bool:
        """Whether the answers do not get shorter from level to level: a model that repeats what it is given."""
        return self.level >= MOST_LEVELS

    def add(self, answer: str) -> str | None:
        """Take the answer to the next part; returns the result once there is one."""
        self.answers[-1].append(answer)
        if len(self.answers[-1]) < len(self.parts):
            return None
        if len(self.answers[-1]) == 1 or not self.combines:
            return "\n\n".join(self.answers[-1])
        self.answers.append([])
        return None


def framed(text: str, *, place: str = "") -> str:
    """The text as a part of a question, marked as what it is: data, whatever it says."""
    inside = text.replace("<document", "< document").replace("</document", "< /document")
    return f"{place}<document>\n{inside}\n</document>"


def place_of(part: int, parts: Sequence[str]) -> str:
    """A line that says which part of a text this is."""
    return "" if len(parts) == 1 else f"This is part {part + 1} of {len(parts)}.\n"

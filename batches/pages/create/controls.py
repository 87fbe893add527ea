"""The fields of a form: what was typed, what is wrong with it, and how it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batches.operations.payload import is_storable
from batches.problems import Problem

MISSING = frozenset({"required", "empty"})
"""Codes of problems with what was not typed yet: nobody is scolded for these while they type."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the options of a list."""

    value: str
    label: str


@dataclass(slots=True)
class Control:
    """A field as its template draws it. ``kind``: text, area, number, moment, time, choice, tick, ticks or files."""

    name: str
    label: str
    kind: str = "text"
    hint: str = ""
    choices: Sequence[Choice] = ()
    placeholder: str = ""
    default: str = ""
    longest: int | None = None
    lines: int = 3
    is_code: bool = False
    is_wide: bool = False
    value: str = ""
    problem: str = ""

    @property
    def described_by(self) -> str:
        """The ids of what is said about it."""
        return f"hint-{self.name} problem-{self.name}" if self.hint else f"problem-{self.name}"

    @property
    def chosen(self) -> list[str]:
        """Of several boxes the ticked ones."""
        return self.value.split("\n")


@dataclass(slots=True)
class Form:
    """Controls with what was typed into them. ``general``: problems that belong to no field."""

    controls: Mapping[str, Control]
    general: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, controls: Iterable[Control], typed: Mapping[str, str] | None) -> Form:
        """``typed`` is what was sent; None for an empty form, which shows its defaults."""
        form = cls({control.name: control for control in controls})
        for control in form:
            control.value = control.default if typed is None else text_of(typed.get(control.name, ""))
        return form

    def __iter__(self) -> Iterator[Control]:
        return iter(self.controls.values())

    def __getitem__(self, name: str) -> Control:
        return self.controls[name]

    @property
    def has_problems(self) -> bool:
        """Whether anything is wrong."""
        return bool(self.general) or any(control.problem for control in self)

    def say(self, name: str, message: str) -> None:
        """Put a problem beside its field, or above all of them where there is no such field."""
        control = self.controls.get(name)
        if control is None:
            self.general.append(message)
        elif message not in control.problem:
            control.problem = f"{control.problem} {message}".strip()

    def tell(self, problems: Iterable[Problem], fields: Mapping[str, str], *, typing: bool = False) -> None:
        """Put each problem beside the field that its path came from: ``fields`` by the first name of a path.

        ``typing``: whoever fills the form in is not done yet, so what is missing is not said.
        """
        for problem in problems:
            if typing and problem.code in MISSING:
                continue
            path = problem.path.removeprefix("options.")
            name = fields.get(path) or fields.get(path.partition(".")[0], "")
            message = problem.message
            if name and path != path.partition(".")[0]:
                message = f"{path.partition('.')[2]}: {message}"
            self.say(name, message if name else f"{path}: {message}".removeprefix(": "))


def text_of(value: str) -> str:
    """What was typed, with the line ends that were meant: browsers send two characters for each.

    What no database can hold is taken out: nobody types it.
    """
    text = value.replace("\r\n", "\n")
    return text if is_storable(text) else text.replace("\x00", "").encode("utf-8", "replace").decode()


def number_of(text: str) -> Any:
    """What was typed, as a number where it is one; what is none is left for the operation to refuse."""
    for kind in (int, float):
        try:
            return kind(text.strip()[:64])
        except ValueError:
            continue
    return text

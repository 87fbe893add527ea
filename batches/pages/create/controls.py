"""The fields of a form: what was typed, what is wrong with it, and how it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from batches.operations.payload import is_storable
from batches.problems import Problem

MISSING = frozenset({"required", "empty"})
"""Codes of problems with what was not typed yet: nobody is scolded for these while they type."""
MOST_RANKS = 3


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the options of a list."""

    value: str
    label: str


WHAT, WHICH, HOW = "what", "which", "how"
"""The parts of a form: what is done, on which records, and how it runs."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A field is asked for, and counts, only while another field holds one of these values."""

    control: str
    values: frozenset[str]

    @property
    def among(self) -> str:
        """As the page's script reads them."""
        return " ".join(sorted(self.values))


@dataclass(slots=True)
class Control:
    """A field as its template draws it.

    ``kind``: text, area, number, moment, time, choice, tick, ticks (any of the choices), ranks (some of them, the best
    first) or files. ``is_rare``: it stands under "More options".
    """

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
    is_rare: bool = False
    part: str = WHAT
    when: Condition | None = None
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

    @property
    def ranks(self) -> list[str]:
        """Of several lists, each of which names the next best, what they say; at most three are asked for."""
        return [*filter(None, self.chosen), *[""] * MOST_RANKS][: min(MOST_RANKS, len(self.choices))]

    @property
    def is_touched(self) -> bool:
        """Whether somebody should see it, also among rare ones."""
        return bool(self.problem) or self.value.strip() != self.default.strip()


@dataclass(frozen=True, slots=True)
class Part:
    """The controls of a part of a form, without and with those that few people need."""

    usual: Sequence[Control]
    rare: Sequence[Control]

    @property
    def is_open(self) -> bool:
        """Whether the rare ones show."""
        return any(control.is_touched for control in self.rare)

    def __bool__(self) -> bool:
        return bool(self.usual or self.rare)


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
            control.value = control.default if typed is None else text_of(_said(typed, control.name))
        return form

    def __iter__(self) -> Iterator[Control]:
        return iter(self.controls.values())

    def __getitem__(self, name: str) -> Control:
        return self.controls[name]

    @property
    def what(self) -> Part:
        """What is done."""
        return self._part(WHAT)

    @property
    def which(self) -> Part:
        """On which records."""
        return self._part(WHICH)

    @property
    def how(self) -> Part:
        """How it runs."""
        return self._part(HOW)

    def _part(self, name: str) -> Part:
        own = [control for control in self if control.part == name]
        return Part([each for each in own if not each.is_rare], [each for each in own if each.is_rare])

    def is_asked(self, control: Control) -> bool:
        """Whether it counts: whether what it depends on holds, which has to count itself."""
        if control.when is None:
            return True
        other = self.controls.get(control.when.control)
        return other is not None and other.value in control.when.values and self.is_asked(other)

    def answer(self, name: str) -> str:
        """What was said in a field, without the space around it; empty where it does not count or is not there."""
        control = self.controls.get(name)
        return control.value.strip() if control is not None and self.is_asked(control) else ""

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
            first, _, rest = path.partition(".")
            if own := fields.get(path):
                self.say(own, problem.message)
            elif name := fields.get(first):
                self.say(name, f"{rest}: {problem.message}" if rest else problem.message)
            else:
                self.say("", f"{path}: {problem.message}".removeprefix(": "))


def _said(typed: Mapping[str, str], name: str) -> str:
    """Of several boxes of one name each on a line of its own."""
    return "\n".join(typed.getlist(name)) if isinstance(typed, QueryDict) else typed.get(name, "")


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

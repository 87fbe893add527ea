"""The recipients of an SMS batch: numbers, variables, and how they fit the template."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import phonenumbers
from django.utils import timezone

from batches.operations.messages.quiet_hours import UNKNOWN_ZONE, QuietHours, zones_of
from batches.operations.payload import Problems, is_storable, short_name, unknown_fields
from batches.options import NewItem
from batches.templating import Template

LONGEST_MESSAGE = 1_600
RECIPIENT_FIELDS = frozenset({"phoneNumber", "variables"})
NOT_A_NUMBER = "Must be a valid number in international format, starting with +."
MOST_NAMED = 100
"""So many indexes or names are spelled out in a warning; of more, their number."""

_INTERNATIONAL = re.compile(r"\+[0-9][0-9 ().\-]{4,30}")
_E164 = phonenumbers.PhoneNumberFormat.E164


def normalised_number(number: str) -> str | None:
    """The number in E.164, or None where it is no valid number in international format."""
    if not _INTERNATIONAL.fullmatch(number):
        return None
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return None
    # Valid implies possible; asking for both would cost a third more for each of the numbers.
    return phonenumbers.format_number(parsed, _E164) if phonenumbers.is_valid_number(parsed) else None


class Recipients:
    """Reads the list in one pass, then says what is odd about it as a whole."""

    def __init__(self, template: Template | None, problems: Problems, quiet: QuietHours | None = None) -> None:
        self._quiet = quiet
        self._has_day: dict[str, bool] = {}
        self._zoneless: list[int] = []
        self._opted_out: list[int] = []
        self._template = template
        self._names = sorted(template.names) if template else []
        self._problems = problems
        self._places: dict[str, list[int]] = {}
        self._given: list[frozenset[str]] = []
        self.items: list[NewItem] = []

    def read(self, recipients: Sequence[Any]) -> None:
        """Note each recipient, or what is wrong with it."""
        for index, recipient in enumerate(recipients):
            if self._problems.is_full:
                return
            if isinstance(recipient, dict):
                self._read_recipient(index, recipient)
            else:
                self._problem(index, "", "Must be an object.", "invalid_type")

    def _read_recipient(self, index: int, recipient: dict[str, Any]) -> None:
        if not recipient.keys() <= RECIPIENT_FIELDS:
            self._problems.extend(unknown_fields(recipient, RECIPIENT_FIELDS, f"recipients.{index}."))
        number = self._read_number(index, recipient.get("phoneNumber"))
        variables = self._read_variables(index, recipient.get("variables"))
        self._given.append(frozenset(variables))
        missing = [name for name in self._names if name not in variables]
        for name in missing:
            self._problem(index, f".variables.{name}", f"The template needs the variable '{name}'.", "missing_variable")
        used = {name: variables[name] for name in self._names if name in variables}
        if not missing:
            self._check_message(index, used)
        places = self._places.setdefault(number, [])
        places.append(index)
        key = number if len(places) == 1 else f"{number}#{len(places)}"
        zones = {"zones": self._zones(index, number)} if self._quiet and number else {}
        self.items.append(NewItem(key, {"to": number, "variables": used, **zones}))

    def _zones(self, index: int, number: str) -> str:
        """The time zones of a number, which must leave an hour in which it may be texted."""
        zones = zones_of(number)
        if zones == UNKNOWN_ZONE:
            self._zoneless.append(index)
        if zones not in self._has_day and self._quiet is not None:
            self._has_day[zones] = self._quiet.over_at(zones, timezone.now()) is not None
        if not self._has_day[zones]:
            message = "It may be in time zones so far apart that quietHours leave no time for it."
            self._problem(index, ".phoneNumber", message, "always_quiet")
        return zones

    @property
    def numbers(self) -> Iterable[str]:
        """The numbers read, each once."""
        return self._places.keys()

    def note_opted_out(self, numbers: Iterable[str]) -> None:
        """These want no messages of the owner."""
        self._opted_out = sorted(index for number in numbers for index in self._places[number])

    def _read_number(self, index: int, number: Any) -> str:
        if number is None:
            self._problem(index, ".phoneNumber", "Is required.", "required")
        elif not isinstance(number, str):
            self._problem(index, ".phoneNumber", "Must be a string.", "invalid_type")
        elif normalised := normalised_number(number.strip()):
            return normalised
        else:
            self._problem(index, ".phoneNumber", NOT_A_NUMBER, "invalid_phone_number")
        return ""

    def _read_variables(self, index: int, variables: Any) -> dict[str, str]:
        if variables is None:
            return {}
        if not isinstance(variables, dict):
            self._problem(index, ".variables", "Must be an object of strings.", "invalid_type")
            return {}
        for name, value in variables.items():
            if not isinstance(value, str):
                self._problem(index, f".variables.{short_name(name)}", "Must be a string.", "invalid_type")
            elif not is_storable(value):
                message = "Must not hold NUL characters or lone surrogates."
                self._problem(index, f".variables.{short_name(name)}", message, "invalid_text")
        return variables

    def _check_message(self, index: int, used: dict[str, str]) -> None:
        template = self._template
        if template is None or not all(isinstance(value, str) for value in used.values()):
            return
        message = template.render(used)
        if len(message) > LONGEST_MESSAGE:
            text = f"The message has {len(message)} characters; at most {LONGEST_MESSAGE} are allowed."
            self._problem(index, "", text, "message_too_long")
        elif not message.strip():
            self._problem(index, "", "The message is empty with these variables.", "empty_message")

    def _problem(self, index: int, field: str, message: str, code: str) -> None:
        self._problems.add(f"recipients.{index}{field}", message, code)

    def warnings(self) -> list[str]:
        """What is odd but allowed: who has opted out, unused variables, differing sets of them, repeated numbers."""
        return [*self._silenced(), *self._unused(), *self._differing(), *self._repeated()]

    def _silenced(self) -> list[str]:
        lines = []
        if self._opted_out:
            where = _named_indexes(self._opted_out)
            who = "1 recipient has" if len(self._opted_out) == 1 else f"{len(self._opted_out)} recipients have"
            lines.append(f"{who} opted out and will get no message: recipients {where}.")
        if self._zoneless:
            where = _named_indexes(self._zoneless)
            lines.append(f"No time zone is known of recipients {where}: for their quiet hours it is UTC.")
        return lines

    def _unused(self) -> list[str]:
        names: Counter[str] = Counter()
        for given, count in Counter(self._given).items():
            for name in given.difference(self._names):
                names[name] += count
        lines = [
            f"Variable '{short_name(name)}' is not used by the template and was dropped (recipients: {count})."
            for name, count in sorted(names.items())
        ]
        return _first_of(lines, "unused variables")

    def _differing(self) -> list[str]:
        """Document 002's consistency check: the set that most recipients have is taken as the intended one."""
        sets = Counter(self._given)
        if len(sets) < 2:
            return []
        usual = sets.most_common(1)[0][0]
        lines = []
        for index, given in enumerate(self._given):
            if given != usual:
                lacking, extra = _named(usual - given), _named(given - usual)
                difference = "; ".join(filter(None, [lacking and f"lacks {lacking}", extra and f"also has {extra}"]))
                lines.append(f"recipients.{index}: variables differ from most recipients': {difference}.")
        return _first_of(lines, "recipients with differing variables")

    def _repeated(self) -> list[str]:
        lines = [
            f"The number of recipients.{places[0]} is given again at {_named_indexes(places[1:])};"
            " each of them gets a message."
            for places in self._places.values()
            if len(places) > 1
        ]
        return _first_of(lines, "repeated numbers")


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"'{short_name(name)}'" for name in sorted(names)[:MOST_NAMED])


def _named_indexes(indexes: Sequence[int]) -> str:
    named = ", ".join(str(index) for index in indexes[:MOST_NAMED])
    return named if len(indexes) <= MOST_NAMED else f"{named} and {len(indexes) - MOST_NAMED} more"


def _first_of(lines: list[str], what: str) -> list[str]:
    if len(lines) <= MOST_NAMED:
        return lines
    return [*lines[:MOST_NAMED], f"And {len(lines) - MOST_NAMED} more {what}."]

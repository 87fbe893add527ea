"""What people choose above a list, read from the address: what makes no sense is said beside its field and not used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from django.db.models import Q

from batches.choosing import ItemChoice
from batches.operations import operation_names
from batches.operations.payload import is_storable
from batches.querysets import BatchQuerySet
from batches.states import BatchStatus, ItemStatus
from providers.base import ErrorCategory

LONGEST_TEXT = 200
LONGEST_CODE = 64
YEARS = range(2000, 3000)


@dataclass(frozen=True, slots=True)
class BatchFilter:
    """Which batches. Dates are whole days of UTC, both included."""

    status: str = ""
    operation: str = ""
    text: str = ""
    since: str = ""
    until: str = ""
    problems: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, query: Mapping[str, str]) -> BatchFilter:
        """From an address."""
        problems: dict[str, str] = {}
        return cls(
            status=_choice(query, "status", BatchStatus.values, problems),
            operation=_choice(query, "operation", operation_names(), problems),
            text=_text(query, problems),
            since=_text_of_date(query, "since", problems),
            until=_text_of_date(query, "until", problems),
            problems=problems,
        )

    @property
    def address(self) -> str:
        """The filter as the query of an address; empty where it lets everything pass."""
        return _address(status=self.status, operation=self.operation, q=self.text, since=self.since, until=self.until)

    def choose(self, batches: BatchQuerySet) -> BatchQuerySet:
        """Those of the batches that it lets pass."""
        if self.status:
            batches = batches.filter(status=self.status)
        if self.operation:
            batches = batches.filter(operation=self.operation)
        if self.text:
            named = Q(name__icontains=self.text) | Q(subject__icontains=self.text)
            batches = batches.filter(named | Q(public_id__icontains=self.text))
        if "since" not in self.problems and self.since:
            batches = batches.filter(created_at__gte=_midnight(self.since))
        if "until" not in self.problems and self.until:
            batches = batches.filter(created_at__lt=_midnight(self.until) + timedelta(days=1))
        return batches


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Which items of a batch."""

    choice: ItemChoice
    problems: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, query: Mapping[str, str]) -> ItemFilter:
        """From an address."""
        problems: dict[str, str] = {}
        code = query.get("code", "").strip()
        choice = ItemChoice(
            status=_choice(query, "status", ItemStatus.values, problems),
            category=_choice(query, "category", [one.value for one in ErrorCategory], problems),
            code=code if is_storable(code) and len(code) <= LONGEST_CODE else "",
            text=_text(query, problems),
        )
        return cls(choice, problems)

    @property
    def address(self) -> str:
        """The filter as the query of an address; empty where it lets everything pass."""
        chosen = self.choice
        return _address(status=chosen.status, category=chosen.category, code=chosen.code, q=chosen.text)


def _address(**chosen: str) -> str:
    return urlencode({name: value for name, value in chosen.items() if value})


def _choice(query: Mapping[str, str], name: str, choices: list[str], problems: dict[str, str]) -> str:
    value = query.get(name, "")
    if not value or value in choices:
        return value
    problems[name] = "There is no such choice."
    return ""


def _text(query: Mapping[str, str], problems: dict[str, str]) -> str:
    text = query.get("q", "").strip()
    if len(text) > LONGEST_TEXT:
        problems["q"] = f"At most {LONGEST_TEXT} characters are searched for."
    elif not is_storable(text):
        problems["q"] = "No name holds such characters."
        return ""
    return text[:LONGEST_TEXT]


def _text_of_date(query: Mapping[str, str], name: str, problems: dict[str, str]) -> str:
    text = query.get(name, "").strip()[:32]
    if text:
        try:
            known = date.fromisoformat(text).year in YEARS
        except ValueError:
            known = False
        if not known:
            problems[name] = "Write a day as 2026-01-31."
    return text


def _midnight(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time(), UTC)

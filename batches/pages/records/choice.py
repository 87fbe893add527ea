"""Which records are wanted, from the address; what makes no sense is said beside its field and not used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from batches.operations.payload import is_storable
from batches.pages.create.body_fields import as_words
from records.filters import filter_problems

LONGEST_QUERY = 200


@dataclass(frozen=True, slots=True)
class RecordChoice:
    """What was chosen above the list."""

    text: str = ""
    kind: str = ""
    status: str = ""
    tags: str = ""
    problems: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, query: Mapping[str, str]) -> RecordChoice:
        """From an address."""
        typed = {name: _text(query.get(name, "")) for name in ("q", "kind", "status", "tags")}
        problems: dict[str, str] = {}
        if len(typed["q"]) > LONGEST_QUERY:
            problems["q"] = f"At most {LONGEST_QUERY} characters are searched for."
            typed["q"] = typed["q"][:LONGEST_QUERY]
        for name, value in _filters(typed).items():
            if found := filter_problems({name: value}):
                problems[name] = found[0].message
        return cls(typed["q"], typed["kind"], typed["status"], typed["tags"], problems)

    @property
    def filters(self) -> dict[str, Any]:
        """In the words of :mod:`records.filters`."""
        typed = {"kind": self.kind, "status": self.status, "tags": self.tags}
        return {name: value for name, value in _filters(typed).items() if name not in self.problems}

    @property
    def address(self) -> str:
        """As the query of an address; empty where everything is wanted."""
        chosen = {"q": self.text, "kind": self.kind, "status": self.status, "tags": self.tags}
        return urlencode({name: value for name, value in chosen.items() if value})

    @property
    def form_address(self) -> str:
        """The filters, as a form for work on records takes them over."""
        chosen = {"filter_kind": self.kind, "filter_status": self.status, "filter_tags": self.tags}
        return urlencode({name: value for name, value in chosen.items() if value})


def _filters(typed: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {name: typed[name] for name in ("kind", "status") if typed[name]}
    if tags := as_words(typed["tags"]):
        found["tags"] = tags
    return found


def _text(value: str) -> str:
    """What no database can hold is looked for by nobody."""
    text = value.strip()
    return text if is_storable(text) else ""

"""What finishing a batch made of all its items, for people: counts, lists and texts of whatever its operation says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.text import capfirst

from batches.templatetags.humane import grouped

MOST_ROWS = 20
MOST_COLUMNS = 6
LONGEST_VALUE = 300
LONGEST_TEXT = 5_000
_FILES = "files"
"""These are shown as links."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of the outcome as a table. ``more``: rows that are not shown."""

    title: str
    heads: list[str]
    rows: list[list[str]]
    more: int


@dataclass(frozen=True, slots=True)
class Made:
    """An outcome. ``facts`` are labels and values, ``texts`` titles and what is written under them."""

    facts: list[tuple[str, str]]
    texts: list[tuple[str, str]]
    listings: list[Listing]


def made(outcome: Any) -> Made | None:
    """Whatever an operation says, as far as a page has room for it; None where it says nothing."""
    if not isinstance(outcome, Mapping):
        return None
    read = Made([], [], [])
    _read(read, outcome)
    return read


def _read(read: Made, values: Mapping[str, Any], *, within: str = "") -> None:
    for name, value in values.items():
        label = f"{within}: {words(name).lower()}" if within else words(name)
        if name == _FILES or value is None or value in ("", [], {}):
            continue
        if isinstance(value, Mapping) and not within:
            _read(read, value, within=label)
        elif isinstance(value, list) and all(isinstance(row, Mapping) for row in value):
            read.listings.append(_listing(label, value))
        elif isinstance(value, str) and len(value) > LONGEST_VALUE:
            read.texts.append((label, value[:LONGEST_TEXT]))
        else:
            read.facts.append((label, _text(value)))


def _listing(title: str, rows: list[Mapping[str, Any]]) -> Listing:
    names = list(dict.fromkeys(name for row in rows[:MOST_ROWS] for name in row))[:MOST_COLUMNS]
    return Listing(
        title=title,
        heads=[words(name) for name in names],
        rows=[[_text(row.get(name)) for name in names] for row in rows[:MOST_ROWS]],
        more=max(0, len(rows) - MOST_ROWS),
    )


def words(name: str) -> str:
    """``mostCommon`` as "Most common"."""
    return str(capfirst(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").lower()))


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return grouped(value)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        value = ", ".join(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"

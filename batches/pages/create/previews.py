"""What a dry run said, as tables and numbers: whatever an operation answers, it can be read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_COLUMNS = 7
LONGEST_CELL = 160
COUNTS = {
    "matched": "Match",
    "examined": "Looked at",
    "wouldChange": "Would change",
    "wouldFail": "Would fail",
    "checkedRows": "Rows looked at",
    "failedRows": "Rows with problems",
    "oldest": "Oldest",
    "newest": "Newest",
}
TOTALS = {
    "cleanup": "Would be deleted",
    "import": "Rows",
    "process_files": "Files",
    "generate_images": "Images",
    "analyze_conversations": "Conversations",
    "report": "Tables",
}
"""What is counted; of all others records are."""
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::\d\d(?:\.\d+)?)?Z")
_LISTS = ("items", "examples", "problems")
_TITLES = {"items": "The first of them", "examples": "Before and after", "problems": "Problems"}


@dataclass(frozen=True, slots=True)
class Sheet:
    """A small table."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(slots=True)
class Preview:
    """A dry run's answer."""

    facts: list[tuple[str, str]] = field(default_factory=list)
    sheets: list[Sheet] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    columns: Mapping[str, str | None] = field(default_factory=dict)
    is_empty: bool = False
    """Whether there would be nothing to do."""


def preview_of(operation: str, answer: Mapping[str, Any]) -> Preview:
    """From what the operation's ``preview`` returned."""
    found = Preview(is_empty=0 in (answer.get("total"), answer.get("matched")))
    labels = {"total": TOTALS.get(operation, "Records"), **COUNTS}
    for name, value in answer.items():
        if name in _LISTS:
            if value:
                found.sheets.append(_sheet(_TITLES[name], value))
        elif name == "warnings":
            found.warnings = [str(each) for each in value]
        elif name == "columns" and isinstance(value, Mapping):
            found.columns = value
        elif isinstance(value, int | str | float) and not isinstance(value, bool):
            found.facts.append((labels.get(name, _spelled(name)), _cell(value)))
    return found


def _sheet(title: str, rows: Sequence[Any]) -> Sheet:
    shown = [row if isinstance(row, Mapping) else {"": row} for row in rows]
    names = dict.fromkeys(name for row in shown for name, value in row.items() if value not in (None, "", [], {}))
    columns = sorted([*names][:MOST_COLUMNS], key=_rank)
    return Sheet(
        title, [_spelled(name) for name in columns], [[_cell(row.get(name)) for name in columns] for row in shown]
    )


def _rank(column: str) -> int:
    """What it is called says most, a made-up id least."""
    return {"title": 0, "id": 2}.get(column, 1)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, str) and (instant := _INSTANT.fullmatch(value)):
        return f"{instant[1]} {instant[2]} UTC"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}…"


def _spelled(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").capitalize()

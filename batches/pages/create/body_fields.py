"""How the fields of an operation's body are asked for: a control where we know a good one, else a box for JSON.

What an operation accepts, and the sentence about each field, is its own ``accepts``: a new operation has a form without
a line here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batches.operations.base import Operation
from batches.operations.photos import generate_images
from batches.operations.records import annotation_writing, report_files, validate
from batches.operations.records.export_records import USUAL
from batches.pages.create.controls import Choice, Control, number_of
from batches.tables.csv_rows import DELIMITERS, ENCODINGS
from batches.tables.reading import FORMATS

Read = Callable[[str], Any]


class NotThat(ValueError):
    """What was typed cannot be what the field is for; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A field of a body: its label, how it is asked for, and what the typed text becomes."""

    label: str
    kind: str = "text"
    read: Read = str
    choices: Sequence[Choice] = ()
    default: str = ""
    placeholder: str = ""
    lines: int = 3
    is_code: bool = False
    is_rare: bool = False
    hint: str = ""
    """In the place of the operation's own sentence, which is for who writes JSON."""

    def control(self, name: str, sentence: str) -> Control:
        """Its control."""
        hint = self.hint or sentence
        return Control(
            name,
            self.label,
            self.kind,
            hint=hint,
            choices=self.choices,
            default=self.default,
            placeholder=self.placeholder,
            lines=self.lines,
            is_code=self.is_code,
            is_wide=self.kind in {"area", "files"},
            is_rare=self.is_rare,
        )


def as_json(text: str) -> Any:
    """A JSON value. Raises :class:`NotThat`."""
    try:
        return json.loads(text)
    except RecursionError:
        raise NotThat("Is nested too deep.") from None
    except ValueError as error:
        where = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise NotThat(f"Is not JSON{where}.") from None


def as_lines(text: str) -> list[str]:
    """A list, one entry a line."""
    return [line.strip() for line in text.split("\n") if line.strip()]


def as_words(text: str) -> list[str]:
    """A list, with commas or line ends between."""
    return [word.strip() for word in re.split(r"[,\n]", text) if word.strip()]


def as_yes(text: str) -> bool:
    """A ticked box."""
    return text == "1"


def as_no(text: str) -> bool:
    """A choice between yes and no."""
    return text == "yes"


def _choices(values: Sequence[str], *, first: str = "") -> list[Choice]:
    return [*([Choice("", first)] if first else []), *(Choice(each, each) for each in values)]


_YES_NO = [Choice("", "Yes"), Choice("no", "No")]
_TABLES = """[
  {"title": "By kind", "groupBy": ["kind"], "measures": ["count"]}
]"""
_SCHEMA = """{
  "type": "object",
  "required": ["title"]
}"""
_CHANGES = '[{"action": "rename", "field": "catgory", "to": "category"}]'

COMMON: Mapping[str, Entry] = {
    "prompt": Entry("What to ask", "area", lines=4, placeholder="Empty: the usual question."),
    "systemPrompt": Entry("Who the model is to be", "area", is_rare=True),
    "instruction": Entry("What to do with each file", placeholder="summarise"),
    "question": Entry("What you want to know"),
    "fileId": Entry("The file", "files", hint="CSV, XLSX, JSON or JSON lines. The first row names the columns."),
    "fileIds": Entry("The files", "files", read=as_lines, hint="Texts, PDF, DOCX and images, one or many."),
    "conversationsFile": Entry("A file with conversations", "files"),
    "prompts": Entry("What to show", "area", read=as_lines, lines=4, placeholder="One image a line"),
    "variations": Entry("Variations of each", "number", read=number_of, placeholder="1"),
    "olderThanDays": Entry("Older than, in days", "number", read=number_of),
    "delimiter": Entry("Delimiter", "choice", choices=_choices([*DELIMITERS][4:], first="found out"), is_rare=True),
    "encoding": Entry("Encoding", "choice", choices=_choices(ENCODINGS, first="found out"), is_rare=True),
    "sheet": Entry("Sheet", is_rare=True),
    "createdAfter": Entry("Created from", "moment"),
    "createdBefore": Entry("Created before", "moment"),
}
OWN: Mapping[tuple[str, str], Entry] = {
    ("annotate", "write"): Entry(
        "What is written back",
        "ticks",
        read=as_lines,
        choices=_choices(annotation_writing.WRITTEN),
        default="\n".join(annotation_writing.WRITTEN),
        hint="What your records get of the answer.",
    ),
    ("export", "format"): Entry("Format", "choice", choices=_choices(FORMATS), default="csv"),
    ("export", "columns"): Entry("Columns", read=as_words, placeholder=", ".join(USUAL[:5]) + ", …"),
    ("import", "format"): Entry("Format", "choice", choices=_choices(FORMATS, first="found out"), is_rare=True),
    ("cleanup", "age"): Entry(
        "Counted since",
        "choice",
        choices=[Choice("updated", "it was changed last"), Choice("created", "it was made")],
        default="updated",
    ),
    ("cleanup", "all"): Entry(
        "Delete all my records", "tick", read=as_yes, hint="Only where neither a condition nor an age is given."
    ),
    ("transform", "changes"): Entry(
        "More changes, as JSON", "area", read=as_json, is_code=True, placeholder=_CHANGES, is_rare=True
    ),
    ("validate", "schema"): Entry("JSON Schema", "area", read=as_json, lines=8, is_code=True, default=_SCHEMA),
    ("validate", "target"): Entry("What is looked at", "choice", choices=_choices(validate.TARGETS), default="record"),
    ("validate", "markRecords"): Entry("Mark the records", "tick", read=as_yes),
    ("validate", "failuresFile"): Entry("A file of the failures", "choice", read=as_no, choices=_YES_NO),
    ("report", "over"): Entry("Over", "choice", choices=_choices(["records", "batches"]), default="records"),
    ("report", "tables"): Entry("Tables", "area", read=as_json, lines=6, is_code=True, default=_TABLES),
    ("report", "formats"): Entry(
        "Files",
        "ticks",
        read=as_lines,
        choices=_choices(report_files.FORMATS),
        default="\n".join(report_files.FORMATS),
    ),
    ("analyze_conversations", "analyze"): Entry("Ask a model", "choice", read=as_no, choices=_YES_NO),
    ("analyze_conversations", "across"): Entry("Also across all of them", "choice", read=as_no, choices=_YES_NO),
    ("generate_images", "size"): Entry("Size", "choice", choices=_choices(generate_images.SIZES), default="auto"),
    ("generate_images", "quality"): Entry(
        "Quality", "choice", choices=_choices(generate_images.QUALITIES), default="auto"
    ),
    ("generate_images", "background"): Entry(
        "Background", "choice", choices=_choices(generate_images.BACKGROUNDS), default="auto", is_rare=True
    ),
    ("generate_images", "outputFormat"): Entry(
        "File format", "choice", choices=_choices(generate_images.FORMATS), default="png", is_rare=True
    ),
}
ASKED_ELSEWHERE = frozenset({"filters", "provider", "model", "providerId", "mode"})
"""Fields that have controls of their own."""


def entries_of(operation: Operation) -> Iterator[tuple[str, Entry, str]]:
    """Name, entry and sentence of each field of an operation's own."""
    for name, sentence in operation.accepts.items():
        if name in ASKED_ELSEWHERE or (operation.name == "import" and name == "columns"):
            continue
        label = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize()
        unknown = Entry(label, "area", read=as_json, is_code=True, is_rare=True, placeholder="JSON")
        yield name, OWN.get((operation.name, name)) or COMMON.get(name) or unknown, sentence

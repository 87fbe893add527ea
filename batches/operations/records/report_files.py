"""A report as files: all of it as JSON and as a page, and each table as CSV."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.files.base import ContentFile
from django.template.loader import render_to_string
from django.utils import timezone

from batches.models import Batch, StoredFile
from batches.operations.records.chunk_results import store_csv
from batches.result_files import store_result

FORMATS = ("json", "csv", "html")
PAGE = "reports/report.html"
STYLE = "reports/report.css"

Tables = Sequence[Mapping[str, Any] | None]


def store_report(batch: Batch, titles: Sequence[str], tables: Tables) -> list[dict[str, str]]:
    """Make the files that were asked for; returns their ids and names. A table that was not made is None."""
    files: list[StoredFile] = []
    formats = batch.parameters["formats"]
    if "json" in formats:
        files.append(_store_json(batch, titles, tables))
    if "csv" in formats:
        files.extend(_store_tables(batch, tables))
    if "html" in formats:
        files.append(_store_page(batch, titles, tables))
    return [{"fileId": file.public_id, "name": file.name} for file in files]


def _store_json(batch: Batch, titles: Sequence[str], tables: Tables) -> StoredFile:
    content = json.dumps(
        {
            "name": batch.name,
            "description": batch.description,
            "tables": [table or {"title": title, "rows": None} for title, table in zip(titles, tables, strict=True)],
        },
        ensure_ascii=False,
        indent=2,
    )
    return store_result(batch, "report.json", "application/json", ContentFile(content.encode(), name="report.json"))


def _store_tables(batch: Batch, tables: Tables) -> list[StoredFile]:
    """One file where there is one table, else numbered ones."""
    names = ["report.csv"] if len(tables) == 1 else [f"report-{number}.csv" for number in range(1, len(tables) + 1)]
    return [
        store_csv(batch, name, table["columns"], table["rows"])
        for name, table in zip(names, tables, strict=True)
        if table is not None
    ]


def _store_page(batch: Batch, titles: Sequence[str], tables: Tables) -> StoredFile:
    """A page that runs nothing and loads nothing, wherever it is opened: its policy allows its own style alone."""
    style = render_to_string(STYLE)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page = render_to_string(
        PAGE,
        {
            "batch": batch,
            "made_at": timezone.now(),
            "style": style,
            "policy": f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
            "tables": [_shown(title, table) for title, table in zip(titles, tables, strict=True)],
        },
    )
    return store_result(
        batch, "report.html", "text/html; charset=utf-8", ContentFile(page.encode(), name="report.html")
    )


def _shown(title: str, table: Mapping[str, Any] | None) -> dict[str, Any]:
    """A table as the page wants it: its first measure also as a bar."""
    if table is None:
        return {"title": title, "made": False}
    groups = len(table["groupBy"])
    largest = max((_size(row[groups]) for row in table["rows"]), default=0)
    return {
        "title": title,
        "made": True,
        "groups": [_words(name) for name in table["groupBy"]],
        "measures": [_words(name) for name in table["columns"][groups:]],
        "rows": [{"names": row[:groups], "values": row[groups:], "size": _size(row[groups])} for row in table["rows"]],
        "largest": largest,
        "total": table["total"],
        "cut": table["cut"],
        "at": table["at"],
    }


def _size(value: object) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else 0.0


def _words(name: str) -> str:
    return name.replace("_", " ").replace(":", " of ")

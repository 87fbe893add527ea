"""Reports (document 004): counts and aggregates over records or past batches, as JSON, CSV and a page.

An item is a table: one query, whose bounded result is the item's result, so that ``/results`` is the report as JSON.
When all are made, they become files of the batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.conf import settings
from django.db import OperationalError
from psycopg.errors import QueryCanceled

from batches.models import Batch
from batches.operations.base import Attempt, Operation
from batches.operations.batch_options import read_description, read_name, read_options
from batches.operations.payload import Fields, Problems, text_fault, unknown_fields
from batches.operations.records.matching_records import matching, read_filters, without_database_later
from batches.operations.records.report_files import FORMATS, store_report
from batches.operations.records.report_of_batches import CHOSEN_BY, table_of_batches
from batches.operations.records.report_of_records import table_of_records
from batches.operations.records.report_tables import BATCHES, RECORDS, TableRequest, read_tables
from batches.options import NewBatch, NewItem
from batches.outcomes import Fault, Outcome, Retry, Succeeded
from batches.states import Channel
from providers.base import ErrorCategory
from records.time_limit import TimeLimit

NAME = "report"
MOST_CHOICES = 100
LONGEST_CHOICE = 255

_TOO_SLOW = Retry(Fault(ErrorCategory.TIMEOUT, "query_too_slow", "The table was not made within the call's timeout."))


class Report(Operation):
    """A table each."""

    name: ClassVar[str] = NAME
    channel: ClassVar[Channel] = Channel.DATA
    summary: ClassVar[str] = "Counts and averages over records or past batches, as JSON, CSV and a page."
    accepts: ClassVar[Mapping[str, str]] = {
        "over": f"{RECORDS} (the default) or {BATCHES}.",
        "filters": f"Which: of records fields and names of the metadata, of batches {', '.join(CHOSEN_BY)}.",
        "createdAfter": "Only what was created then or later (ISO 8601).",
        "createdBefore": "Only what was created before.",
        "tables": "What to show: title, groupBy, measures, limit of each table.",
        "formats": f"Which files to make, of {', '.join(FORMATS)}. Without it, all of them.",
    }
    uses_database: ClassVar[bool] = True
    finishes: ClassVar[bool] = True

    def build(self, owner_id: int, payload: Mapping[str, Any]) -> NewBatch:
        """What over, and which tables."""
        problems = Problems()
        fields = Fields(payload, problems)
        over = fields.choice("over", choices=(RECORDS, BATCHES), default=RECORDS)
        path, tables = fields.find("tables")
        wanted = read_tables(tables, path, over, problems)
        parameters = {
            "filters": read_filters(fields) if over == RECORDS else _read_batch_filters(fields),
            "after": _read_instant(fields, "createdAfter"),
            "before": _read_instant(fields, "createdBefore"),
            "formats": _read_formats(fields),
        }
        name, description = read_name(fields), read_description(fields)
        options = read_options(fields, concurrency=settings.BATCH_DEFAULT_SIZE, retries=settings.BATCH_MAX_RETRIES)
        fields.refuse_unknown()
        problems.raise_if_any()
        items = [NewItem(f"table-{number}", table.shape) for number, table in enumerate(wanted, start=1)]
        return NewBatch(
            operation=NAME,
            provider="",
            items=items,
            parameters=parameters,
            options=options,
            name=name or f"Report on {over}",
            description=description,
            warnings=fields.warnings,
        )

    @without_database_later
    def run(self, attempt: Attempt) -> Outcome:
        """Make the table, within the call's timeout."""
        request, chosen = TableRequest.of(attempt.input), attempt.parameters
        try:
            with TimeLimit(attempt.timeout_seconds).transaction():
                if request.over == BATCHES:
                    choice = {**chosen["filters"], "after": chosen["after"], "before": chosen["before"]}
                    return Succeeded(table_of_batches(request, attempt.owner_id, choice))
                records = matching(attempt.owner_id, chosen["filters"])
                if chosen["after"]:
                    records = records.filter(created_at__gte=chosen["after"])
                if chosen["before"]:
                    records = records.filter(created_at__lt=chosen["before"])
                return Succeeded(table_of_records(request, records))
        except OperationalError as error:
            if isinstance(error.__cause__, QueryCanceled):
                return _TOO_SLOW
            raise

    def finish(self, batch: Batch) -> Mapping[str, Any]:
        """The files."""
        items = list(batch.items.order_by("position"))
        tables = [item.result if item.status == "succeeded" else None for item in items]
        titles = [item.input["title"] for item in items]
        return {
            "tables": [
                {"title": title, "made": table is not None, "rows": len(table["rows"]) if table else 0}
                for title, table in zip(titles, tables, strict=True)
            ],
            "files": store_report(batch, titles, tables),
        }


def _read_formats(fields: Fields) -> list[str]:
    path, value = fields.find("formats")
    if value is None:
        return list(FORMATS)
    if not isinstance(value, list) or not all(isinstance(one, str) and one in FORMATS for one in value):
        fields.problems.add(path, f"Must be a list of some of {', '.join(FORMATS)}.", "invalid_choice")
        return []
    return [one for one in FORMATS if one in value]


def _read_instant(fields: Fields, name: str) -> str | None:
    path, value = fields.find(name)
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (TypeError, ValueError, OverflowError):
        message = "Must be an ISO 8601 date or time, such as 2026-01-31T09:00:00Z."
        fields.problems.add(path, message, "invalid_time")
        return None


def _read_batch_filters(fields: Fields) -> dict[str, list[str]]:
    """A word or a list of words per column."""
    path, value = fields.find("filters")
    if value is None:
        return {}
    if not isinstance(value, dict):
        fields.problems.add(path, "Must be an object.", "invalid_type")
        return {}
    fields.problems.extend(unknown_fields(value, CHOSEN_BY, f"{path}."))
    chosen = {name: one if isinstance(one, list) else [one] for name, one in value.items()}
    for name, choices in chosen.items():
        if len(choices) > MOST_CHOICES:
            fields.problems.add(f"{path}.{name}", f"At most {MOST_CHOICES} values.", "too_many")
        for choice in choices[:MOST_CHOICES]:
            if fault := text_fault(choice, maximum=LONGEST_CHOICE):
                fields.problems.add(f"{path}.{name}", *fault)
                break
    return chosen

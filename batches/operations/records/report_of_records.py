"""Tables over records: Postgres groups and adds up, however many there are, and returns a bounded table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from django.db.models import (
    Aggregate,
    Avg,
    Case,
    CharField,
    Count,
    DecimalField,
    F,
    Func,
    Max,
    Min,
    QuerySet,
    Sum,
    TextField,
    Value,
    When,
)
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Left, Length, TruncDay, TruncMonth, TruncWeek
from django.db.models.lookups import Exact

from batches.operations.records.report_tables import LONGEST_VALUE, TIMES, TableRequest
from records.querysets import RecordQuerySet

_TRUNCATIONS: Mapping[str, Any] = {"day": TruncDay, "week": TruncWeek, "month": TruncMonth}
_AGGREGATES: Mapping[str, type[Aggregate]] = {"average": Avg, "sum": Sum, "minimum": Min, "maximum": Max}
_PLAIN_FIELDS = frozenset({"kind", "status", "memory_type", "project_ref"})
_QUALITY_RANGES = ((0.2, "0.0-0.2"), (0.4, "0.2-0.4"), (0.6, "0.4-0.6"), (0.8, "0.6-0.8"))


def table_of_records(request: TableRequest, records: RecordQuerySet) -> dict[str, Any]:
    """Group and measure these records."""
    groups = {f"group_{number}": _grouping(name) for number, name in enumerate(request.group_by)}
    measures = {f"measure_{number}": _measure(name) for number, name in enumerate(request.measures)}
    found: QuerySet[Any, Any] = records.order_by()
    total = found.aggregate(**measures)
    rows: list[tuple[Any, ...]] = []
    if groups:
        counted = found.values(**groups).annotate(**measures, records=Count("pk"))
        # Times in their order; other groups the largest first.
        by_time = [name for name, field in zip(groups, request.group_by, strict=True) if field in TIMES]
        order = [*by_time, "-records", *(F(name).asc(nulls_last=True) for name in groups)]
        rows = list(counted.order_by(*order).values_list(*groups, *measures)[: request.limit + 1])
    return request.table(rows, [total[name] for name in measures])


def _grouping(name: str) -> Any:
    if name in TIMES:
        return _TRUNCATIONS[name]("created_at", tzinfo=UTC)
    if name in _PLAIN_FIELDS:
        return F(name)
    if name == "tags":  # a record counts for each of its tags, and one without any for none
        return Func(F("tags"), function="unnest", output_field=TextField())
    if name == "quality_range":
        ranges = [When(quality__lt=limit, then=Value(words)) for limit, words in _QUALITY_RANGES]
        return Case(When(quality=None, then=None), *ranges, default=Value("0.8-1.0"), output_field=CharField())
    return Left(KeyTextTransform(name.removeprefix("metadata."), "metadata"), LONGEST_VALUE)


def _measure(name: str) -> Any:
    if name == "count":
        return Count("pk")
    function, _, number = name.partition(":")
    return _AGGREGATES[function](_number(number))


def _number(name: str) -> Any:
    if name in ("quality", "access_count"):
        return F(name)
    if name == "relevance_score":
        return F("relevance")
    if name == "content_length":
        return Length("content")
    # What is no number in the metadata is left out.
    key = name.removeprefix("metadata.")
    kind = Func(KeyTransform(key, "metadata"), function="jsonb_typeof", output_field=TextField())
    number = Func(KeyTextTransform(key, "metadata"), template="(%(expressions)s)::numeric", output_field=DecimalField())
    return Case(When(Exact(kind, Value("number")), then=number), output_field=DecimalField())

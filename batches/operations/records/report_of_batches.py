"""Tables over past batches, from their own counters and histograms: no item is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection

from batches.histogram import bucket_middle
from batches.operations.records.report_tables import BATCH_COUNTS, BATCH_FIELDS, TIMES, TableRequest

CHOSEN_BY = ("operation", "status", "provider", "priority")
"""The columns that batches can be chosen by."""

Condition = tuple[str, list[Any]]
Names = tuple[Any, ...]

_GROUPS = {name: f"batch.{name}" for name in BATCH_FIELDS} | {
    name: f"date_trunc('{name}', batch.created_at AT TIME ZONE 'UTC')::date" for name in TIMES
}
_MEASURES = {
    "count": "COUNT(*)",
    "items": "SUM(batch.total)",
    "succeeded": "SUM(batch.succeeded)",
    "failed": "SUM(batch.failed + batch.unknown)",
    "cancelled": "SUM(batch.cancelled)",
    "success_rate": "SUM(batch.succeeded)::float8 / NULLIF(SUM(batch.succeeded + batch.failed + batch.unknown), 0)",
    "average_seconds": "AVG(EXTRACT(EPOCH FROM batch.completed_at - batch.started_at))::float8",
}
_PERCENTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}


def table_of_batches(request: TableRequest, owner_id: int, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Group and measure the owner's batches: ``chosen`` by lists of values per column, and ``after`` and ``before``."""
    condition = _condition(owner_id, chosen)
    rows = _rows(request, request.group_by, condition) if request.group_by else []
    total = _rows(request, (), condition) or [[0 if name in BATCH_COUNTS else None for name in request.measures]]
    return request.table(rows, total[0])


def _condition(owner_id: int, chosen: Mapping[str, Any]) -> Condition:
    parts = ["batch.owner_id = %s AND batch.deleted_at IS NULL"]
    parameters: list[Any] = [owner_id]
    for name, sign in (("after", ">="), ("before", "<")):
        if chosen.get(name):
            parts.append(f"batch.created_at {sign} %s::timestamptz")
            parameters.append(chosen[name])
    for column in CHOSEN_BY:
        if column in chosen:
            parts.append(f"batch.{column} = ANY(%s)")
            parameters.append(chosen[column])
    return " AND ".join(parts), parameters


def _rows(request: TableRequest, group_by: Sequence[str], condition: Condition) -> list[list[Any]]:
    """A row per group: its names and its measures. Everything together is a group without names."""
    # A constant in front: so there is always something to group by.
    groups = ", ".join(["1 AS g", *(f"{_GROUPS[name]} AS g{number}" for number, name in enumerate(group_by))])
    names = ", ".join(["g", *(f"g{number}" for number in range(len(group_by)))])
    where, parameters = condition
    plain = [measure for measure in request.measures if measure in _MEASURES]
    measures = ", ".join(["COUNT(*) AS batches", *(_MEASURES[measure] for measure in plain)])
    times = [f"g{number}" for number, name in enumerate(group_by) if name in TIMES]
    statement = (
        f"SELECT {groups}, {measures} FROM batches_batch AS batch WHERE {where}"  # noqa: S608 - constants of this module
        f" GROUP BY {names} ORDER BY {', '.join([*times, 'batches DESC', names])} LIMIT %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*parameters, request.limit + 1])
        found = cursor.fetchall()
        durations = _durations(groups, names, condition) if len(plain) < len(request.measures) else {}
    width = 1 + len(group_by)
    return [
        [
            *row[1:width],
            *_measured(request, dict(zip(plain, row[width + 1 :], strict=True)), durations.get(row[:width])),
        ]
        for row in found
    ]


def _measured(request: TableRequest, plain: Mapping[str, Any], durations: Mapping[str, float] | None) -> list[Any]:
    return [plain[name] if name in plain else (durations or {}).get(name) for name in request.measures]


def _durations(groups: str, names: str, condition: Condition) -> dict[Names, dict[str, float]]:
    """Percentiles of the calls' durations by group, in milliseconds: the histograms of its batches added up."""
    where, parameters = condition
    wanted = ", ".join(f"MIN(bucket) FILTER (WHERE seen >= CEIL({share} * number))" for share in _PERCENTILES.values())
    statement = f"""
        WITH counted AS (
            SELECT {groups}, histogram.bucket, SUM(histogram.count) AS count
              FROM batches_batch AS batch
              JOIN batches_batchhistogram AS histogram
                ON histogram.batch_id = batch.id AND histogram.measure = 'duration'
             WHERE {where} GROUP BY {names}, histogram.bucket
        ), summed AS (
            SELECT {names}, bucket, SUM(count) OVER (PARTITION BY {names} ORDER BY bucket) AS seen,
                   SUM(count) OVER (PARTITION BY {names}) AS number
              FROM counted
        )
        SELECT {names}, {wanted} FROM summed GROUP BY {names}
    """  # noqa: S608 - constants of this module; every value is a parameter
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows = cursor.fetchall()
    number = len(_PERCENTILES)
    return {
        row[:-number]: {name: bucket_middle(bucket) for name, bucket in zip(_PERCENTILES, row[-number:], strict=True)}
        for row in rows
    }

"""What the memory routes are sent. They take fields they do not know: the client sends some of its own service's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.utils.dateparse import parse_date, parse_datetime
from rest_framework.request import Request

from batches.operations.payload import Fields, Problems, text_fault
from batches.problems import InvalidInput, Problem
from records.api.batch_request import LONGEST_ID, LONGEST_QUERY, MOST_RESULTS, read_threshold
from records.filters import filter_problems
from records.models import MemoryStatus, MemoryType
from records.search import SearchRequest

DEFAULT_LIMIT = 20
DEFAULT_THRESHOLD = 0.7
"""What the client leaves to the server, although its own types name it."""
MOST_ROWS = 100
LAST_PAGE = 1_000_000
MOST_DELETED = 100
LISTS = ("memory_type", "status", "tags")
"""Filters of a list that take several values with commas between them."""
CHOICES = {"memory_type": MemoryType.values, "status": MemoryStatus.values}
MODES = ("hybrid", "text", "vector")
SORTS = {
    "created_at": "created_at",
    "updated_at": "updated_at",
    "title": "title",
    "access_count": "access_count",
    "last_accessed": "last_accessed",
    "relevance_score": "relevance",
}


@dataclass(frozen=True, slots=True)
class ListRequest:
    """A page of a list. Without ``sort`` it is in the order of creation."""

    page: int
    limit: int
    filters: dict[str, Any]
    order_by: tuple[str, ...]


def read_list(given: Mapping[str, Any]) -> ListRequest:
    """Query parameters, or a body with the same names. Raises :class:`InvalidInput`."""
    problems = Problems()
    page = _whole(given, "page", 1, range(1, LAST_PAGE + 1), problems)
    limit = _whole(given, "limit", DEFAULT_LIMIT, range(1, MOST_ROWS + 1), problems)
    filters: dict[str, Any] = {}
    for name in ("topic_id", "project_ref", "memory_type", "status", "tags"):
        value = _words(given.get(name)) if name in LISTS else given.get(name)
        if value not in (None, "", []):
            problems.extend(_named_problems(name, value, name))
            filters[name] = value
    fields = Fields({name: given.get(name) or None for name in ("sort", "order")}, problems)
    sort = fields.choice("sort", choices=SORTS, default="")
    sign = "" if fields.choice("order", choices=("asc", "desc"), default="desc") == "asc" else "-"
    problems.raise_if_any()
    order_by = (f"{sign}{SORTS[sort]}", f"{sign}pk") if sort else (f"{sign}pk",)
    return ListRequest(page, limit, filters, order_by)


def _named_problems(name: str, value: object, path: str) -> list[Problem]:
    """What is wrong with a filter, under the name that the client gave it."""
    found = [
        Problem(one.path.replace(f"filters.{name}", path, 1), one.message, one.code)
        for one in filter_problems({name: value})
    ]
    allowed = CHOICES.get(name)
    if not found and allowed and not set(value if isinstance(value, list) else [value]) <= set(allowed):
        found.append(Problem(path, f"Must be one of {', '.join(allowed)}.", "invalid_choice"))
    return found


def _words(value: object) -> object:
    """``a,b`` or a list."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


def _whole(given: Mapping[str, Any], name: str, default: int, allowed: range, problems: Problems) -> int:
    value = given.get(name)
    if value is None or value == "":
        return default
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value in allowed:
        return value
    problems.add(name, f"Must be a whole number between {allowed[0]} and {allowed[-1]}.", "out_of_range")
    return default


def read_search(body: Mapping[str, Any]) -> tuple[SearchRequest, str]:
    """Both searches of the client, which share a route; and the mode it asked for. Raises :class:`InvalidInput`."""
    problems = Problems()
    query = body.get("query")
    if fault := text_fault(query, maximum=LONGEST_QUERY):
        problems.add("query", *fault)
    fields = Fields({name: value for name, value in body.items() if name != "options"}, problems)
    limit = fields.integer("limit", minimum=1, maximum=MOST_RESULTS) or DEFAULT_LIMIT
    mode = fields.choice("search_mode", choices=MODES, default=MODES[0])
    with_passages = fields.boolean("include_chunks", default=False)
    threshold = read_threshold(body.get("threshold"), "threshold", problems)
    further = body.get("filters")
    if further is not None and not isinstance(further, Mapping):
        problems.add("filters", "Must be an object.", "invalid_type")
        further = None
    filters = _filters(body, further or {}, problems)
    start, end = _date_range((further or {}).get("date_range"), problems)
    problems.raise_if_any()
    request = SearchRequest(
        query=str(query),
        limit=limit,
        filters=filters,
        threshold=DEFAULT_THRESHOLD if threshold is None else threshold,
        with_passages=with_passages,
        created_from=start,
        created_before=end,
    )
    return request, mode


def _filters(body: Mapping[str, Any], further: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """The client's names for what :mod:`records.filters` calls otherwise."""
    found: dict[str, Any] = {}
    sources = (
        ("memory_type", "memory_types", body),
        ("memory_type", "type", body),
        ("tags", "tags", body),
        ("topic_id", "topic_id", body),
        ("project_ref", "project_ref", body),
        ("status", "status", body),
        ("tags", "tags", further),
        ("topic_id", "topic_id", further),
        ("project_ref", "project_id", further),
    )
    for name, given_name, source in sources:
        value = source.get(given_name)
        if value is None or value == []:
            continue
        prefix = "" if source is body else "filters."
        problems.extend(_named_problems(name, value, f"{prefix}{given_name}"))
        found[name] = value
    return found


def _date_range(value: object, problems: Problems) -> tuple[datetime | None, datetime | None]:
    if value is None:
        return None, None
    if not isinstance(value, Mapping):
        problems.add("filters.date_range", "Must be an object.", "invalid_type")
        return None, None
    start = read_instant(value.get("from"), "filters.date_range.from", problems)
    return start, read_instant(value.get("to"), "filters.date_range.to", problems, end=True)


def read_instant(value: object, path: str, problems: Problems, *, end: bool = False) -> datetime | None:
    """An ISO 8601 date or instant. A date as an end includes its day. Without a zone it is UTC."""
    if value is None or value == "":
        return None
    moment: datetime | None = None
    if isinstance(value, str) and len(value) <= 64:
        moment = _moment(value, end=end)
    if moment is None:
        problems.add(path, "Must be an ISO 8601 date or date and time.", "invalid_time")
    return moment


def _moment(text: str, *, end: bool) -> datetime | None:
    try:
        if len(text) <= 10 and (day := parse_date(text)):
            return _midnight(day) + timedelta(days=1 if end else 0)
        if moment := parse_datetime(text):
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def read_deletion(body: Mapping[str, Any]) -> list[str]:
    """The ids of a bulk delete, each once. Raises :class:`InvalidInput`."""
    problems = Problems()
    ids = body.get("memory_ids")
    if not isinstance(ids, list) or not ids:
        raise InvalidInput([Problem("memory_ids", "Must be a list of ids.", "required")])
    if len(ids) > MOST_DELETED:
        raise InvalidInput([Problem("memory_ids", f"At most {MOST_DELETED} ids.", "too_many")])
    for index, one in enumerate(ids):
        if fault := text_fault(one, maximum=LONGEST_ID):
            problems.add(f"memory_ids.{index}", *fault)
    problems.raise_if_any()
    return list(dict.fromkeys(ids))


def credential_of(request: Request) -> str:
    """Names the API key that was used, or the browser's user."""
    return f"key:{request.auth.pk}" if request.auth is not None else "session"

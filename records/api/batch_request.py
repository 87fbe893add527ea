"""Document 003's request: a list of operations, each judged by itself, and options for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from batches.operations.payload import Fields, Problems, text_fault
from batches.problems import InvalidInput, Problem
from records.api.errors import INVALID_BATCH, BatchRefused
from records.execution.operations import Create, Delete, Operation, Read, Refused, Search, Update
from records.execution.run import DEFAULT_TIMEOUT_MS, Options
from records.fields import FIELDS, read_values, unknown_fields
from records.filters import filter_problems
from records.outcomes import Failure
from records.search import DEFAULT_RESULTS, SearchRequest

MOST_OPERATIONS = 100
LONGEST_TIMEOUT_MS = 60_000
MOST_RETRIES = 10
LONGEST_ID = 64
LONGEST_QUERY = 1_000
MOST_RESULTS = 100

BATCH_FIELDS = frozenset({"operations", "options"})
OPTIONS = frozenset({"continue_on_error", "max_retries", "timeout", "parallel", "validate_only"})
SEARCH_OPTIONS = frozenset({"limit", "filters", "threshold"})


def read_batch(body: Mapping[str, Any]) -> tuple[list[Operation], Options]:
    """Raises :class:`BatchRefused` or :class:`InvalidInput` if the request as a whole makes no sense.

    An operation that makes none comes back as :class:`Refused`: it fails by itself.
    """
    operations = body.get("operations")
    if not isinstance(operations, list):
        details = {"field": "operations", "reason": "operations_array_required"}
        raise BatchRefused(400, "INVALID_BATCH_REQUEST", INVALID_BATCH, details)
    if len(operations) > MOST_OPERATIONS:
        counts = {"max_operations": MOST_OPERATIONS, "provided_operations": len(operations)}
        raise BatchRefused(413, "BATCH_TOO_LARGE", "Batch size exceeds maximum limit", counts)
    problems = Problems()
    unknown_fields(body, problems, known=BATCH_FIELDS)
    if not operations:
        problems.add("operations", "Must hold at least one operation.", "operations_empty")
    options = _options(body, problems)
    problems.raise_if_any()
    return [_operation(one) for one in operations], options


def _options(body: Mapping[str, Any], problems: Problems) -> Options:
    given = body.get("options")
    if given is None:
        return Options()
    if not isinstance(given, Mapping):
        problems.add("options", "Must be an object.", "invalid_type")
        return Options()
    unknown_fields(given, problems, known=OPTIONS, path="options")
    fields = Fields({"options": given}, problems)
    timeout = fields.positive_number("timeout", maximum=LONGEST_TIMEOUT_MS)
    return Options(
        continue_on_error=fields.boolean("continue_on_error", default=False),
        max_retries=fields.integer("max_retries", minimum=0, maximum=MOST_RETRIES) or 0,
        timeout_ms=DEFAULT_TIMEOUT_MS if timeout is None else max(1, int(timeout)),
        parallel=fields.boolean("parallel", default=True),
        validate_only=fields.boolean("validate_only", default=False),
    )


def _operation(given: object) -> Operation:
    if not isinstance(given, Mapping):
        return Refused(None, Failure.of((Problem("", "Must be an object.", "invalid_type"),)))
    type_ = given.get("type")
    if not isinstance(type_, str) or type_ not in READERS:
        message = f"Must be one of {', '.join(READERS)}."
        return Refused(None, Failure.of((Problem("type", message, "invalid_operation_type"),)))
    problems = Problems()
    known, read = READERS[type_]
    unknown_fields(given, problems, known=known)
    operation = read(given, problems)
    return _unless_refused(operation, problems)


def _unless_refused(operation: Operation, problems: Problems) -> Operation:
    try:
        problems.raise_if_any()
    except InvalidInput as refused:
        return Refused(operation.type, Failure.of(refused.problems))
    return operation


def _create(given: Mapping[str, Any], problems: Problems) -> Operation:
    return Create(_data(given, problems, creating=True))


def _read(given: Mapping[str, Any], problems: Problems) -> Operation:
    return Read(_id(given, problems))


def _update(given: Mapping[str, Any], problems: Problems) -> Operation:
    values = _data(given, problems, creating=False)
    if given.get("data") == {}:
        problems.add("data", "Names nothing to change.", "required")
    return Update(_id(given, problems), values)


def _delete(given: Mapping[str, Any], problems: Problems) -> Operation:
    return Delete(_id(given, problems))


def _search(given: Mapping[str, Any], problems: Problems) -> Operation:
    query = given.get("query")
    if fault := text_fault(query, maximum=LONGEST_QUERY):
        problems.add("query", *fault)
    options = given.get("options")
    options = {} if options is None else options
    if not isinstance(options, Mapping):
        problems.add("options", "Must be an object.", "invalid_type")
        return Search(SearchRequest(""))
    unknown_fields(options, problems, known=SEARCH_OPTIONS, path="options")
    fields = Fields({"options": options}, problems)
    limit = fields.integer("limit", minimum=1, maximum=MOST_RESULTS)
    threshold = read_threshold(options.get("threshold"), "options.threshold", problems)
    filters = options.get("filters")
    filters = {} if filters is None else filters
    problems.extend(filter_problems(filters, "options.filters"))
    return Search(SearchRequest(str(query), limit or DEFAULT_RESULTS, filters, threshold or 0.0))


def read_threshold(value: object, path: str, problems: Problems) -> float | None:
    """A number from 0 to 1; None where it is absent."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        problems.add(path, "Must be a number.", "invalid_type")
    elif not 0 <= value <= 1:
        problems.add(path, "Must be between 0 and 1.", "out_of_range")
    else:
        return float(value)
    return None


def _id(given: Mapping[str, Any], problems: Problems) -> str:
    value = given.get("id")
    if fault := text_fault(value, maximum=LONGEST_ID):
        problems.add("id", *fault)
    return str(value)


def _data(given: Mapping[str, Any], problems: Problems, *, creating: bool) -> dict[str, Any]:
    """Problems of the data are named as document 003 names them: ``content``, not ``data.content``."""
    data = given.get("data")
    if not isinstance(data, Mapping):
        problems.add("data", "Must be an object.", "invalid_type" if "data" in given else "required")
        return {}
    unknown_fields(data, problems, known=FIELDS)
    return read_values(data, problems, creating=creating)


Reader = Callable[[Mapping[str, Any], Problems], Operation]
READERS: dict[str, tuple[frozenset[str], Reader]] = {
    "create": (frozenset({"type", "data"}), _create),
    "read": (frozenset({"type", "id"}), _read),
    "update": (frozenset({"type", "id", "data"}), _update),
    "delete": (frozenset({"type", "id"}), _delete),
    "search": (frozenset({"type", "query", "options"}), _search),
}
"""The operations of document 003: the fields each may have, and who reads them."""

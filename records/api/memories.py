"""``/api/v1/memory`` and ``/api/v1/memories``: one memory at a time, lists, and the search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from django.db.models import F
from rest_framework.request import Request
from rest_framework.response import Response

from batches import idempotency
from batches.api.base import user_id
from batches.idempotency import Reply
from batches.operations.payload import Problems
from batches.problems import InvalidInput, Problem
from records import statistics
from records.api.base import MemoryView, do
from records.api.memory_request import ListRequest, credential_of, read_deletion, read_list, read_search
from records.execution.operations import Create, Delete, Operation, Read, Update
from records.execution.run import DEFAULT_TIMEOUT_MS, Options, run
from records.execution.segment import Caller
from records.fields import Values, read_values
from records.models import Method, Record
from records.outcomes import Status
from records.repeats import Repeatable, create_once
from records.search import search
from records.shapes import entry_shape, found_entry_shape
from records.time_limit import TimeLimit


def body_of(request: Request) -> Mapping[str, Any]:
    """The parser lets nothing but objects pass."""
    return cast(Mapping[str, Any], request.data)


def caller_of(request: Request, method: Method = Method.DIRECT) -> Caller:
    """Who asks about one memory."""
    return Caller(user_id(request), method)


class MemoriesView(MemoryView):
    """All memories."""

    def get(self, request: Request) -> Response:
        """A page of them, newest first."""
        return Response(list_shape(user_id(request), read_list(request.query_params)))

    def post(self, request: Request) -> Response:
        """A new one: 201. Repeated by the client, it is the same one; see :mod:`records.repeats`."""
        body = body_of(request)
        values = _values(body, creating=True)
        key = request.headers.get("Idempotency-Key")
        if key is not None:
            return _once(request, key, body, values)
        owner_id = user_id(request)
        repeatable = Repeatable.of(
            owner_id=owner_id, credential=credential_of(request), path="/api/v1/memory", body=body
        )
        memory = create_once(
            repeatable,
            lambda: _create(caller_of(request), values),
            lambda created: created.public_id,
            lambda public_id: _as_created(owner_id, public_id),
        )
        return Response(entry_shape(memory), 201)


class MemoryListView(MemoryView):
    """The list, for clients that POST what they are looking for."""

    only_reads: ClassVar[bool] = True

    def get(self, request: Request) -> Response:
        """As :class:`MemoriesView`."""
        return Response(list_shape(user_id(request), read_list(request.query_params)))

    def post(self, request: Request) -> Response:
        """The same, from a body."""
        return Response(list_shape(user_id(request), read_list(body_of(request))))


class OneMemoryView(MemoryView):
    """One memory."""

    def get(self, request: Request, memory_id: str) -> Response:
        """All of it; counts as an access."""
        return Response(do(caller_of(request), Read(memory_id)).result)

    def put(self, request: Request, memory_id: str) -> Response:
        """Replace the given fields; the client calls it an update and sends only some."""
        values = _values(body_of(request), creating=False)
        memory = do(caller_of(request), Update(memory_id, values)).memory
        return Response(entry_shape(cast(Record, memory)))

    def patch(self, request: Request, memory_id: str) -> Response:
        """The same."""
        return self.put(request, memory_id)

    def delete(self, request: Request, memory_id: str) -> Response:
        """Gone for good: 204."""
        do(caller_of(request), Delete(memory_id))
        return Response(status=204)


class SearchView(MemoryView):
    """Both searches of the client: what one of them does not know, it does not read."""

    only_reads: ClassVar[bool] = True

    def post(self, request: Request) -> Response:
        """The best matches, best first."""
        wanted, _ = read_search(body_of(request))
        found = search(user_id(request), wanted, limit=TimeLimit(DEFAULT_TIMEOUT_MS / 1000))
        milliseconds = round(found.duration_ms, 1)
        return Response(
            {
                "results": [found_entry_shape(hit, with_passages=wanted.with_passages) for hit in found.hits],
                "total_results": found.total,
                "search_time_ms": milliseconds,
                "total": found.total,
                "query": wanted.query,
                "search_mode": "text",  # what was done, whatever was asked for: there are no vectors here
                "threshold": wanted.threshold,
                "execution_time_ms": milliseconds,
            }
        )


class BulkDeleteView(MemoryView):
    """Up to a hundred at once."""

    def post(self, request: Request) -> Response:
        """How many were deleted, and which ids were none of the owner's."""
        operations: list[Operation] = [Delete(one) for one in read_deletion(body_of(request))]
        outcomes = run(caller_of(request, Method.API), operations, Options(continue_on_error=True, max_retries=1))
        failed = [
            cast(Delete, operation).id
            for operation, outcome in zip(operations, outcomes, strict=True)
            if outcome.status != Status.SUCCESS
        ]
        return Response({"deleted_count": len(operations) - len(failed), "failed_ids": failed})


class MemoryStatsView(MemoryView):
    """How many there are."""

    def get(self, request: Request) -> Response:
        """By type, and which matter most."""
        return Response(statistics.memory_stats(user_id(request)))


def _values(body: Mapping[str, Any], *, creating: bool) -> Values:
    problems = Problems()
    values = read_values(body, problems, creating=creating)
    problems.raise_if_any()
    if not values:
        raise InvalidInput([Problem("", "Names nothing to change.", "required")])
    return values


def _create(caller: Caller, values: Values) -> Record:
    return cast(Record, do(caller, Create(values)).memory)


def _as_created(owner_id: int, public_id: str) -> Record | None:
    """The memory if it is there and nobody has changed it since."""
    memories = Record.objects.owned_by(owner_id).memories().select_related("topic")
    return memories.filter(public_id=public_id, updated_at=F("created_at")).first()


def _once(request: Request, key: str, body: Mapping[str, Any], values: Values) -> Response:
    once = idempotency.Request.of(owner_id=user_id(request), key=key, path=request.path, body=body)
    reply = idempotency.earlier_reply(once) or idempotency.reply_once(
        once, lambda: Reply(201, entry_shape(_create(caller_of(request), values)))
    )
    headers = {"Idempotent-Replayed": "true"} if reply.replayed else None
    return Response(reply.body, reply.status_code, headers=headers)


def list_shape(owner_id: int, wanted: ListRequest) -> dict[str, Any]:
    """A page and where it lies; what was marked as deleted is listed only if it is asked for."""
    memories = Record.objects.owned_by(owner_id).memories().matching(wanted.filters)
    if "status" not in wanted.filters:
        memories = memories.exclude(status="deleted")
    total = memories.count()
    first = (wanted.page - 1) * wanted.limit
    rows = memories.select_related("topic").order_by(*wanted.order_by)[first : first + wanted.limit]
    pages = -(-total // wanted.limit)
    pagination = {"page": wanted.page, "limit": wanted.limit, "total": total, "pages": pages}
    return {"data": [entry_shape(row) for row in rows], "pagination": pagination}

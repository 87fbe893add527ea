"""``POST /api/v1/batch``: document 003."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle

from batches import idempotency
from batches.api.base import user_id
from batches.api.throttling import KeyThrottle
from batches.idempotency import Reply
from batches.problems import InvalidInput, Problem
from records.api.base import ErrorHandler, MemoryView
from records.api.batch_request import READERS, read_batch
from records.api.errors import batch_exception_handler
from records.api.parsers import MemoryBatchParser
from records.execution.operations import Operation, named_ids
from records.execution.run import Options, run
from records.execution.segment import Caller
from records.execution.statements import lock_memories
from records.outcomes import Outcome, Status

BATCH_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")


class MemoryBatchThrottle(KeyThrottle):
    """So many batches a minute and key: ``MEMORY_BATCHES_PER_MINUTE``."""

    name = "memory-batches"

    def limit(self) -> int:
        """From the setting."""
        return int(settings.MEMORY_BATCHES_PER_MINUTE)


class MemoryBatchView(MemoryView):
    """Up to 100 operations on memories, answered when they are done."""

    parser_classes: tuple[type[BaseParser], ...] = (MemoryBatchParser,)
    throttle_classes: tuple[type[BaseThrottle], ...] = (MemoryBatchThrottle,)

    def get_exception_handler(self) -> ErrorHandler:
        """In document 003's envelope."""
        return batch_exception_handler

    def post(self, request: Request) -> Response:
        """200 if every operation succeeded, else 207."""
        started = time.monotonic()
        body = cast(Mapping[str, Any], request.data)
        caller = Caller(user_id(request), batch_id=_batch_id(request))
        operations, options = read_batch(body)
        key = request.headers.get("Idempotency-Key")
        if key is None:
            reply = _execute(caller, operations, options, started)
        else:
            once = idempotency.Request.of(owner_id=caller.owner_id, key=key, path=request.path, body=body)
            reply = idempotency.earlier_reply(once) or idempotency.reply_once(
                once, lambda: _execute_at_once(caller, operations, options, started)
            )
        headers = {"Idempotent-Replayed": "true"} if reply.replayed else None
        return Response(reply.body, reply.status_code, headers=headers)


def _batch_id(request: HttpRequest | Request) -> str:
    given = request.headers.get("X-Batch-Id")
    if given is None:
        return f"batch_{secrets.token_hex(8)}"
    if not BATCH_ID.fullmatch(given):
        message = "Must have 1 to 64 letters, digits, dots, colons, hyphens or underscores."
        raise InvalidInput([Problem("X-Batch-Id", message, "invalid_batch_id")])
    return given


def _execute_at_once(caller: Caller, operations: list[Operation], options: Options, started: float) -> Reply:
    """Within the transaction that keeps the reply: all memories are locked first and in order, so that two such
    requests never wait for each other.
    """
    if not options.validate_only:
        lock_memories(caller.owner_id, named_ids(operations))
    return _execute(caller, operations, options, started)


def _execute(caller: Caller, operations: list[Operation], options: Options, started: float) -> Reply:
    outcomes = run(caller, operations, options)
    milliseconds = round((time.monotonic() - started) * 1000)
    data = batch_shape(caller.batch_id, operations, outcomes, milliseconds)
    all_succeeded = data["processed"] == data["total"]
    return Reply(200 if all_succeeded else 207, {"success": True, "data": data})


def batch_shape(
    batch_id: str, operations: list[Operation], outcomes: list[Outcome], milliseconds: int
) -> dict[str, Any]:
    """Document 003's ``data``; ``summary`` counts what succeeded."""
    summary = {f"{type_}es" if type_ == "search" else f"{type_}s": 0 for type_ in READERS}
    counts = dict.fromkeys(Status, 0)
    shapes = []
    for index, (operation, outcome) in enumerate(zip(operations, outcomes, strict=True)):
        counts[outcome.status] += 1
        if outcome.status == Status.SUCCESS:
            summary["searches" if operation.type == "search" else f"{operation.type}s"] += 1
        shapes.append(operation_shape(index, operation, outcome))
    return {
        "batch_id": batch_id,
        "processed": counts[Status.SUCCESS],
        "failed": counts[Status.FAILED],
        "skipped": counts[Status.SKIPPED],
        "total": len(operations),
        "execution_time": milliseconds,
        "operations": shapes,
        "summary": summary,
    }


def operation_shape(index: int, operation: Operation, outcome: Outcome) -> dict[str, Any]:
    """One of document 003's ``operations``."""
    shape: dict[str, Any] = {"index": index, "type": operation.type, "status": outcome.status.value}
    if failure := outcome.failure:
        error = {"code": failure.code.value, "message": failure.message, "details": failure.details}
        return {**shape, "error": error}
    return {**shape, "result": outcome.result}

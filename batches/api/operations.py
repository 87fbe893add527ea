"""Document 004: creating batches of any operation by its name, and which operations there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from batches.api.base import ApiView, CreateBatchView, body_of, user_id
from batches.api.shapes import batch_shape
from batches.files import discard_files
from batches.models import Batch
from batches.operations import Operation, get_operation, operation_names
from batches.operations.modes import ACCEPTS
from batches.options import NewBatch
from batches.problems import InvalidInput, Problem
from batches.states import FAST, MODES

DRY_RUN = "dryRun"


class CreateView(CreateBatchView):
    """``POST /api/batch/create``: ``operation`` names what to do, and the operation reads the rest of the body."""

    def post(self, request: Request) -> Response:
        """Store a batch and answer 202; with ``"dryRun": true`` say what it would be and store nothing."""
        if _is_dry_run(body_of(request)):
            return Response({"success": True, DRY_RUN: True, "preview": self._preview(request)})
        return super().post(request)

    def _preview(self, request: Request) -> Mapping[str, Any]:
        owner_id = user_id(request)
        new = self.build(owner_id, body_of(request))
        try:
            return get_operation(new.operation).preview(owner_id, new)
        finally:
            discard_files(owner_id, new.stored_files)

    def build(self, owner_id: int, payload: Mapping[str, Any]) -> NewBatch:
        """Let the operation read the body. The batch is stored as pending, as the document's answer says."""
        new = _operation_of(payload).build(owner_id, _without_ours(payload))
        return replace(new, options=replace(new.options, starts_at_once=False))

    def answer(self, batch: Batch) -> dict[str, Any]:
        """The batch, and what was odd about the request."""
        answer: dict[str, Any] = {"success": True, "batch": batch_shape(batch)}
        return answer | ({"warnings": batch.warnings} if batch.warnings else {})


class OperationsView(ApiView):
    """``GET /api/operations``."""

    def get(self, request: Request) -> Response:
        """What batches can do here, and which fields of a body each operation has of its own."""
        operations = [get_operation(name) for name in operation_names()]
        return Response({"success": True, "operations": [operation_shape(operation) for operation in operations]})


def operation_shape(operation: Operation) -> dict[str, Any]:
    """What a client learns of an operation."""
    return {
        "name": operation.name,
        "channel": operation.channel,
        "description": operation.summary,
        "fields": {**operation.accepts, **(ACCEPTS if operation.asks_models else {})},
        "makesFiles": operation.finishes,
        "modes": list(MODES) if operation.asks_models else [FAST],
    }


def _operation_of(payload: Mapping[str, Any]) -> Operation:
    name = payload.get("operation")
    if name is None:
        raise InvalidInput([Problem("operation", "Is required.", "required")])
    if not isinstance(name, str):
        raise InvalidInput([Problem("operation", "Must be a string.", "invalid_type")])
    if name not in operation_names():
        message = f"Must be one of {', '.join(operation_names())}."
        raise InvalidInput([Problem("operation", message, "unknown_operation")])
    return get_operation(name)


def _is_dry_run(payload: Mapping[str, Any]) -> bool:
    options = payload.get("options")
    places = {DRY_RUN: payload.get(DRY_RUN)}
    if isinstance(options, Mapping):
        places[f"options.{DRY_RUN}"] = options.get(DRY_RUN)
    for path, value in places.items():
        if value is not None and not isinstance(value, bool):
            raise InvalidInput([Problem(path, "Must be true or false.", "invalid_type")])
    return any(places.values())


def _without_ours(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The body as the operation reads it."""
    rest = {name: value for name, value in payload.items() if name not in {"operation", DRY_RUN}}
    if isinstance(rest.get("options"), Mapping):
        rest["options"] = {name: value for name, value in rest["options"].items() if name != DRY_RUN}
    return rest

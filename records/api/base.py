"""What all endpoints of the memory service share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import APIException
from rest_framework.response import Response

from batches.api.authentication import BearerAuthentication
from batches.api.base import ApiView
from batches.problems import InvalidInput, Problem
from records.api.authentication import ApiKeyHeaderAuthentication
from records.api.errors import memory_exception_handler
from records.execution.operations import Operation
from records.execution.run import Options, run
from records.execution.segment import Caller
from records.outcomes import Code, Outcome, Status

ErrorHandler = Callable[[Exception, dict[str, Any]], Response]


class NoMemory(APIException):
    """There is no such memory of this owner."""

    status_code = 404
    default_detail = "Memory not found"
    default_code = "not_found"


class NotDone(APIException):
    """The database did not do it."""

    status_code = 503
    default_detail = "The service is not available right now."
    default_code = "unavailable"


class MemoryView(ApiView):
    """JSON in and out, without an envelope."""

    authentication_classes: tuple[type[BaseAuthentication], ...] = (
        BearerAuthentication,
        ApiKeyHeaderAuthentication,
        SessionAuthentication,
    )

    def get_exception_handler(self) -> ErrorHandler:
        """In the words of the memory service."""
        return memory_exception_handler


def do(caller: Caller, operation: Operation) -> Outcome:
    """One operation, with one more try after a fault that passes. Raises what its failure means to a client."""
    (outcome,) = run(caller, [operation], Options(max_retries=1))
    failure = outcome.failure
    if outcome.status == Status.SUCCESS or failure is None:
        return outcome
    if failure.code == Code.NOT_FOUND:
        raise NoMemory
    if failure.code == Code.VALIDATION_ERROR:
        field = failure.details.get("field", "")
        raise InvalidInput([Problem(field, failure.message, failure.details.get("reason", "invalid"))])
    raise NotDone

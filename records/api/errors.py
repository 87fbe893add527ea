"""Errors in the words of the memory service: document 003's envelope for its batch, plain ones for everything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from rest_framework.exceptions import APIException
from rest_framework.response import Response

from batches.api import errors as errors_of_the_rest
from batches.api.errors import exception_handler
from batches.problems import InvalidInput

BATCH_CODES = {
    400: "INVALID_BATCH_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "RATE_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "SERVICE_UNAVAILABLE",
}
MEMORY_CODES = {
    400: "VALIDATION_ERROR",
    401: "AUTH_ERROR",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    408: "TIMEOUT_ERROR",
    409: "CONFLICT",
    429: "RATE_LIMIT_ERROR",
    500: "SERVER_ERROR",
    503: "SERVER_ERROR",
}
"""As the service's JavaScript client names them."""
INVALID_BATCH = "Invalid batch request"
MEMORY_PREFIX = "/api/v1/"


class BatchRefused(APIException):
    """The batch as a whole is not acceptable, for a reason that document 003 shows."""

    def __init__(self, status_code: int, code: str, message: str, details: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.code = code
        self.message = message
        self.details = dict(details)


def batch_exception_handler(exception: Exception, context: Mapping[str, Any]) -> Response:
    """``{"success": false, "error": {"code", "message", "details"}}``."""
    response = exception_handler(exception, context)
    if isinstance(exception, BatchRefused):
        code, message, details = exception.code, exception.message, exception.details
    else:
        code = BATCH_CODES.get(response.status_code, "BAD_REQUEST")
        message, details = _batch_message(exception, response)
    response.data = {"success": False, "error": {"code": code, "message": message, "details": details}}
    return response


def _batch_message(exception: Exception, response: Response) -> tuple[str, dict[str, Any]]:
    errors = response.data["details"]["errors"]
    details: dict[str, Any] = {"field": errors[0]["path"] or None, "reason": errors[0]["code"]}
    if isinstance(exception, InvalidInput):
        return INVALID_BATCH, {**details, "errors": errors}
    if retry_after := response.headers.get("Retry-After"):
        details = {"reason": "rate_limited", "retry_after": int(retry_after)}
    return response.data["error"], details


def memory_exception_handler(exception: Exception, context: Mapping[str, Any]) -> Response:
    """``{"error", "message", "code", "details"}`` with a text as the error, which is what the client shows."""
    response = exception_handler(exception, context)
    errors = response.data["details"]["errors"]
    message = response.data["error"]
    if isinstance(exception, InvalidInput):
        message = "; ".join(f"{one['path']}: {one['message']}" if one["path"] else one["message"] for one in errors[:5])
    response.data = memory_error(message, response.status_code, errors)
    return response


def memory_error(message: str, status_code: int, errors: list[dict[str, Any]]) -> dict[str, Any]:
    """What the memory service's client reads."""
    code = MEMORY_CODES.get(status_code, "API_ERROR")
    return {"error": message, "message": message, "code": code, "details": errors}


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """``handler404`` of the whole site: an id that cannot be one has no route, and is none of the service's."""
    if request.path.startswith(MEMORY_PREFIX):
        errors = [{"path": "", "message": "Not found.", "code": "not_found"}]
        return JsonResponse(memory_error("Not found.", 404, errors), status=404)
    return errors_of_the_rest.not_found(request, exception)

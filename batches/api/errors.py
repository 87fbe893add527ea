"""Every error as JSON in document 004's shape: never an HTML page, never a stack trace, never the input's values."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation, TooManyFilesSent
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, UnreadablePostError
from django.views import defaults
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import set_rollback

from batches.logs.requests import view_of
from batches.problems import Conflict, InvalidInput, Problem

logger = logging.getLogger(__name__)

API_PREFIX = "/api"


class BodyTooLarge(exceptions.APIException):
    """The body has more bytes than are read."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The request body is too large."
    default_code = "body_too_large"


class Unavailable(exceptions.APIException):
    """The database does not answer."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The service is not available right now."
    default_code = "unavailable"


def error_body(error: str, problems: Sequence[Problem]) -> dict[str, Any]:
    """Document 004's error format."""
    errors = [{"path": one.path, "message": one.message, "code": one.code} for one in problems]
    return {"success": False, "error": error, "details": {"errors": errors}}


def simple_body(message: str, code: str) -> dict[str, Any]:
    """An error that is about the request as a whole."""
    return error_body(message, [Problem("", message, code)])


def exception_handler(exception: Exception, context: Mapping[str, Any]) -> Response:
    """What REST framework answers for whatever a view raised."""
    set_rollback()
    if isinstance(exception, InvalidInput):
        count = len(exception.problems)
        error = f"The request is not valid: {count} problem{'' if count == 1 else 's'}."
        return Response(error_body(error, exception.problems), status.HTTP_400_BAD_REQUEST)
    if isinstance(exception, Conflict):
        return Response(simple_body(str(exception), "conflict"), status.HTTP_409_CONFLICT)
    known = _as_api_exception(exception)
    if known is None:
        _log(exception, context)
        return Response(simple_body("Internal error", "internal"), status.HTTP_500_INTERNAL_SERVER_ERROR)
    return Response(simple_body(_words(known, context), _code_of(known)), known.status_code, headers=_headers(known))


def _words(exception: exceptions.APIException, context: Mapping[str, Any]) -> str:
    """What it says, and of the two mistakes that everybody makes first what to do about them."""
    if isinstance(exception, exceptions.NotAuthenticated):
        return "No API key was sent: it belongs into the header Authorization, after the word Bearer."
    if isinstance(exception, exceptions.UnsupportedMediaType):
        taken = " or ".join(parser.media_type for parser in context["view"].parser_classes)
        return f"The body must be {taken}, and the header Content-Type has to say so."
    return str(exception.detail)


def _as_api_exception(exception: Exception) -> exceptions.APIException | None:
    if isinstance(exception, exceptions.APIException):
        return exception
    if isinstance(exception, Http404):
        return exceptions.NotFound()
    if isinstance(exception, PermissionDenied):
        return exceptions.PermissionDenied()
    if isinstance(exception, RequestDataTooBig):
        return BodyTooLarge()
    if isinstance(exception, TooManyFilesSent):
        return exceptions.ParseError(f"At most {settings.DATA_UPLOAD_MAX_NUMBER_FILES} files in one request.")
    if isinstance(exception, SuspiciousOperation | UnreadablePostError):
        return exceptions.ParseError("The request is not acceptable.")
    if isinstance(exception, DataError | psycopg.DataError):  # COPY raises the driver's own
        return exceptions.ParseError("The request holds a value that cannot be stored.")
    if isinstance(exception, RecursionError):
        return exceptions.ParseError("The request is nested too deeply.")
    if isinstance(exception, OperationalError | InterfaceError | psycopg.OperationalError):
        logger.error("The database does not answer: %s", type(exception).__name__)
        return Unavailable()
    return None


def _code_of(exception: exceptions.APIException) -> str:
    """The code it was raised with; a message of several parts has none of its own."""
    code = exception.get_codes()
    return code if isinstance(code, str) else exception.default_code


def _headers(exception: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if challenge := getattr(exception, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if (wait := getattr(exception, "wait", None)) is not None:
        headers["Retry-After"] = str(int(wait) + 1)
    return headers


def _log(exception: Exception, context: Mapping[str, Any]) -> None:
    """Where it happened, without the exception's message: that may quote the input."""
    request = context.get("request")
    frames = "".join(traceback.format_tb(exception.__traceback__))
    logger.error("%s in %s\n%s", type(exception).__name__, view_of(request), frames)


def _is_api(request: HttpRequest) -> bool:
    """Whether a program asks, who wants no page: under ``/api``, or just that."""
    return request.path == API_PREFIX or request.path.startswith(f"{API_PREFIX}/")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """``handler400``."""
    if _is_api(request):
        return _json(simple_body("The request is not acceptable.", "bad_request"), 400)
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """``handler403``."""
    if _is_api(request):
        return _json(simple_body("You may not do this.", "permission_denied"), 403)
    return defaults.permission_denied(request, exception)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """``handler404``."""
    if _is_api(request):
        return _json(simple_body("Not found.", "not_found"), 404)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """``handler500``."""
    if _is_api(request):
        return _json(simple_body("Internal error", "internal"), 500)
    return defaults.server_error(request)


def _json(body: dict[str, Any], status_code: int) -> HttpResponse:
    return JsonResponse(body, status=status_code)

"""Request bodies: one JSON object, read strictly and never past the limit."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, MultiPartParser

from batches.api.errors import BodyTooLarge
from batches.operations.payload import document_problems
from batches.problems import InvalidInput, Problem

# Only an escape can bring a NUL or a lone surrogate into valid UTF-8 JSON: without one there is nothing to look for.
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_DEEPEST = 500


class StrictJSONParser(BaseParser):
    """JSON as RFC 8259 has it: no duplicate names, no NaN, and an object at the top."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The object. Raises ``ParseError``, :class:`InvalidInput` or :class:`BodyTooLarge`."""
        return read_object(_read_limited(stream, parser_context))


class LimitedMultiPartParser(MultiPartParser):
    """Uploads, refused by their announced length before a byte is read."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """The form and its files."""
        _check_announced_length(parser_context)
        return super().parse(stream, media_type, parser_context)


def _check_announced_length(parser_context: Mapping[str, Any] | None) -> None:
    request = (parser_context or {}).get("request")
    announced = str(request.META.get("CONTENT_LENGTH") or "") if request is not None else ""
    if announced.isdecimal() and int(announced) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise BodyTooLarge


def _read_limited(stream: IO[Any], parser_context: Mapping[str, Any] | None) -> bytes:
    _check_announced_length(parser_context)
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    content: bytes = stream.read(limit + 1)  # a chunked body announces no length
    if len(content) > limit:
        raise BodyTooLarge
    return content


def read_object(content: bytes) -> dict[str, Any]:
    """Decode a body. Raises ``ParseError`` for what is no JSON, :class:`InvalidInput` for what it must not hold."""
    try:
        document = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except RecursionError:
        raise ParseError("The JSON is nested too deeply.") from None
    except ValueError:
        raise ParseError("The body is not valid JSON in UTF-8.") from None
    if not isinstance(document, dict):
        raise ParseError("The body must be a JSON object.")
    if _SUSPECT.search(content) and (problems := list(document_problems(document, "", maximum_depth=_DEEPEST))):
        raise InvalidInput(problems)
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise InvalidInput([Problem("", "An object in the body has the same name twice.", "duplicate_name")])
    return document


def _refuse_constant(name: str) -> float:
    raise InvalidInput([Problem("", f"{name} is not a JSON number.", "invalid_number")])


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise InvalidInput([Problem("", "A number in the body is too large.", "invalid_number")])
    return number

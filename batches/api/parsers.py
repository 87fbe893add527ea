"""Request bodies: one JSON object, read strictly and never past the limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, MultiPartParser

from batches.api.errors import BodyTooLarge
from batches.operations.documents import NotAnObject, read_object


class StrictJSONParser(BaseParser):
    """JSON as RFC 8259 has it: no duplicate names, no NaN, and an object at the top."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The object. Raises ``ParseError``, :class:`InvalidInput` or :class:`BodyTooLarge`."""
        return read_body(_read_limited(stream, parser_context))


class LimitedMultiPartParser(MultiPartParser):
    """Uploads, refused by their announced length before a byte is read."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """The form and its files."""
        _check_announced_length(parser_context, settings.MAX_UPLOAD_BYTES)
        return super().parse(stream, media_type, parser_context)


def _check_announced_length(parser_context: Mapping[str, Any] | None, limit: int) -> None:
    request = (parser_context or {}).get("request")
    announced = str(request.META.get("CONTENT_LENGTH") or "") if request is not None else ""
    if announced.isdecimal() and int(announced) > limit:
        raise BodyTooLarge


def _read_limited(stream: IO[Any], parser_context: Mapping[str, Any] | None) -> bytes:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    _check_announced_length(parser_context, limit)
    content: bytes = stream.read(limit + 1)  # a chunked body announces no length
    if len(content) > limit:
        raise BodyTooLarge
    return content


def read_body(content: bytes) -> dict[str, Any]:
    """Decode a body. Raises ``ParseError`` or, for what a document must not hold, :class:`InvalidInput`."""
    try:
        return read_object(content)
    except NotAnObject as error:
        raise ParseError(str(error)) from None

"""The body of a memory batch: JSON of at most 10 MB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from batches.api.errors import BodyTooLarge
from batches.api.parsers import StrictJSONParser, read_body

MOST_BYTES = 10 * 1024 * 1024


class MemoryBatchParser(StrictJSONParser):
    """Reads no more than it may."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The object. Raises ``ParseError``, :class:`InvalidInput` or :class:`BodyTooLarge`."""
        content: bytes = stream.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise BodyTooLarge
        return read_body(content)

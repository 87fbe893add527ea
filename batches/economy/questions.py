"""Which question an answer belongs to: told by the id of its line, so nothing has to be kept while it is away."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, NamedTuple

from providers.base import ChatRequest, Image

DIGEST_CHARACTERS = 16
_LINE_ID = re.compile(r"(bs[0-9a-f]{20})-([1-9][0-9]{0,18})-([0-9a-f]{16})\Z")


class LineId(NamedTuple):
    """A line's ``custom_id``, at most 59 characters: the marker of its batch, its item, the digest of its question."""

    marker: str
    item_id: int
    digest: str

    def __str__(self) -> str:
        return f"{self.marker}-{self.item_id}-{self.digest}"


def line_id(text: str) -> LineId | None:
    """What a provider calls a line, read; None for what we never wrote.

    >>> line_id("bs00112233445566778899-42-0123456789abcdef").item_id
    42
    """
    found = _LINE_ID.match(text)
    return None if found is None else LineId(found[1], int(found[2]), found[3])


def digest_of(request: ChatRequest) -> str:
    """By which a question is recognised: all that decides the answer, not who asks or how long they wait.

    >>> digest_of(ChatRequest(prompt="Why?", reference="a", timeout_seconds=1)) == digest_of(
    ...     ChatRequest(prompt="Why?", reference="b", timeout_seconds=2))
    True
    """
    facts: list[Any] = [
        request.prompt,
        request.system_prompt,
        [_facts_of(image) for image in request.images],
        request.schema,
        request.schema_name,
        request.model,
        request.max_output_tokens,
    ]
    text = json.dumps(facts, sort_keys=True, default=dict)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARACTERS]


def _facts_of(image: Image) -> list[str | None]:
    data = None if image.data is None else hashlib.sha256(image.data).hexdigest()
    return [image.url, image.media_type, data]

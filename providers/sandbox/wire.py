"""What the sandbox passes around: a request received, the call read out of it, the answer to give."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

JSON_HEADER = (b"content-type", b"application/json")


@dataclass(slots=True)
class Request:
    """One HTTP request; ``path`` is without the alias in front. ``upload``: the body, where it was put on disk."""

    method: str
    path: str
    headers: dict[bytes, bytes]
    body: bytes
    alias: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    upload: Path | None = None
    refusal: Any = None
    """What was decided about it before anybody looked at it."""

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


@dataclass(slots=True)
class Answer:
    """One HTTP answer; ``files``, where there are any, one after the other in place of the body.

    ``fault``: ``silent`` or ``cut``, what is done instead of answering.
    """

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    files: tuple[Path, ...] = ()
    fault: str | None = None

    @classmethod
    def of(cls, status: int, content: Any, *headers: tuple[bytes, bytes]) -> Answer:
        return cls(status, json.dumps(content).encode(), (JSON_HEADER, *headers))

    @classmethod
    def of_files(cls, *files: Path) -> Answer:
        return cls(200, b"", ((b"content-type", b"application/octet-stream"),), files)


@dataclass(slots=True)
class Call:
    """What a request asks for.

    ``refusal``: the answer when the real provider would not have taken it. ``acts``: whether it does anything
    beyond looking something up.
    """

    reference: str | None = None
    to: str | None = None
    image: str | None = None
    refusal: Answer | None = None
    acts: bool = True
    work: Any = None


class Dialect(Protocol):
    """One provider's way of speaking."""

    name: str

    def read(self, request: Request) -> Call:
        """Understand a request; never raises."""
        ...

    async def act(self, call: Call) -> Answer:
        """Do what the provider would do, once."""
        ...

    def error(self, status: int, *, permanent: bool = False, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
        """An error in the provider's shape."""
        ...

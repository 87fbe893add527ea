"""What the API answers, as objects; ``raw`` is always the answer as it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Self, TypedDict

FINAL = frozenset({"completed", "failed", "cancelled"})


class BatchOptions(TypedDict, total=False):
    """How a batch runs; what is left out has the server's default."""

    name: str
    description: str
    concurrency: int
    """Most calls at once."""
    rate_limit: float
    """Most calls a minute."""
    retries: int
    retry_window_seconds: int
    backoff: int
    """Milliseconds before the first retry; doubled each time."""
    timeout: int
    """Milliseconds one call may take."""
    priority: Literal["high", "normal", "low"]
    schedule_time: datetime | str
    auto_start: bool
    notify_on_complete: bool


def camel_options(options: BatchOptions) -> dict[str, Any]:
    """The options as the API spells them."""
    return {_camel(name): _plain(value) for name, value in options.items()}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _plain(value: object) -> object:
    return value.astimezone().isoformat() if isinstance(value, datetime) else value


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as it stood when the server answered. ``progress`` is in percent; ``failed`` includes unknown items."""

    id: str
    operation: str
    status: str
    progress: float = 0
    total: int = 0
    processed: int = 0
    failed: int = 0
    outcome: Mapping[str, Any] | None = None
    """What the operation made of all items, where it makes something."""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_final(self) -> bool:
        """Whether nothing will happen to it any more, unless its failed items are retried."""
        return self.status in FINAL

    @classmethod
    def of(cls, shape: Mapping[str, Any]) -> Self:
        """From document 004's ``batch``."""
        return cls(
            id=shape["id"],
            operation=shape["operation"],
            status=shape["status"],
            progress=shape.get("progress") or 0,
            total=shape.get("total_items") or 0,
            processed=shape.get("processed_items") or 0,
            failed=shape.get("failed_items") or 0,
            outcome=shape.get("outcome"),
            raw=shape,
        )


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An uploaded file, named by ``id`` in creates."""

    id: str
    name: str
    media_type: str
    size: int
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

"""Going through a provider's list of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from providers.base import ErrorCategory

if TYPE_CHECKING:
    from providers.ai.batches.adapter import BatchAdapter

MOST_PAGES = 500
"""Of a list: beyond it nobody may say that something is not there."""


class Page(NamedTuple):
    """One page. ``following``: what to ask for the next one with; None at the end."""

    batches: list[Any]
    following: str | None


def batches_listed(
    adapter: BatchAdapter, page: Callable[[str | None], Page], created_after: datetime
) -> Iterator[dict[str, Any]]:
    """All batches that may have been created after a moment. Raises :class:`ProviderError`.

    A list that is seen to run from the newest to the oldest is not read beyond it.
    """
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        try:
            batches, following = page(cursor)
            listed = [batch for batch in batches if isinstance(batch, dict)]
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            raise adapter.line_error("invalid_response", "sent a body that is no list", ErrorCategory.SERVER) from None
        yield from listed
        if following is None or _beyond(listed, created_after):
            return
        if following == cursor:
            break
        cursor = following
    raise adapter.line_error("endless_list", "lists its batches without end", ErrorCategory.SERVER)


def created_at(batch: dict[str, Any]) -> datetime | None:
    """When a batch was created: seconds since 1970 or RFC 3339; None where it does not say."""
    value = next((batch[name] for name in ("created_at", "create_time", "createTime") if batch.get(name)), None)
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        read = datetime.fromisoformat(value) if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None
    return read.replace(tzinfo=UTC) if read is not None and read.tzinfo is None else read


def _beyond(listed: list[dict[str, Any]], moment: datetime) -> bool:
    times = [created_at(batch) for batch in listed]
    known = [each for each in times if each is not None]
    if len(known) < len(times) or len(known) < 2:
        return False
    return known == sorted(known, reverse=True) and known[0] > known[-1] and known[-1] < moment

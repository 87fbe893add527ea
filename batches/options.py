"""What a front door hands to ``submit_batch``: already validated, nothing of it stored yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings

from batches.states import ECONOMY, FAST, Priority, WhenUnavailable


def default_retry_window() -> int:
    """Seconds during which a transient fault is retried, from the setting."""
    return int(settings.BATCH_RETRY_WINDOW_SECONDS)


def default_timeout() -> int:
    """Milliseconds one call may take, from the setting."""
    return int(settings.BATCH_TIMEOUT_MS)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """How a batch runs. ``None`` means no limit of our own.

    ``concurrency``: most items leased at once. ``rate_limit``: most calls a minute. ``max_retries``: failed calls
    repeated at most so often (429 answers do not count). ``retry_window_seconds``: retries end so long after the
    item's first attempt. ``backoff_ms``: first delay, doubled each time. ``timeout_ms``: hard deadline of one call.
    ``when_unavailable``: what items do while their provider takes no calls; ``fallbacks``: aliases that may replace it.
    ``max_cost``: no call begins once so much was spent, in the currency of the prices.
    """

    concurrency: int | None = None
    rate_limit: float | None = None
    max_retries: int | None = None
    retry_window_seconds: int = field(default_factory=default_retry_window)
    backoff_ms: int | None = None
    timeout_ms: int = field(default_factory=default_timeout)
    priority: str = Priority.NORMAL
    scheduled_at: datetime | None = None
    auto_start: bool = True
    starts_at_once: bool = True
    """False: it is stored as pending, and the dispatcher starts it within a moment (document 004's answer says so)."""
    notify_on_complete: bool = False
    when_unavailable: str = WhenUnavailable.WAIT
    fallbacks: tuple[str, ...] = ()
    max_cost: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """How a batch asks its model: each question at once, or all of them by its provider's own batch API.

    ``retries``: how questions that failed in economy mode are asked again. ``deadline``: what is not answered when it
    nears is asked fast.
    """

    name: str = FAST
    retries: str = ECONOMY
    deadline: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewItem:
    """One item to be stored. ``key`` is the client's own id of it, unique within the batch."""

    key: str
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Source:
    """A stored file of JSON lines that was checked to its end: ``number`` items."""

    file_id: int
    number: int


@dataclass(frozen=True, slots=True)
class Paged:
    """Items that the operation hands over page by page: the records of a query, the rows of a table.

    ``start`` is the cursor of the first page, a small JSON object that ``Operation.next_items`` understands. ``number``
    items are expected; the batch's total is corrected to what there really were when the last page is in.
    """

    start: Mapping[str, Any]
    number: int


@dataclass(frozen=True, slots=True)
class ItemPage:
    """A page of a :class:`Paged` source. ``next`` is the cursor of the page after it, None after the last one."""

    items: Sequence[NewItem]
    next: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """A validated submission: ``provider`` is an alias of the registry."""

    operation: str
    provider: str
    items: Sequence[NewItem]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    options: BatchOptions = field(default_factory=BatchOptions)
    name: str = ""
    description: str = ""
    subject: str = ""
    mode: Mode = field(default_factory=Mode)
    warnings: Sequence[str] = ()
    stored_files: Sequence[str] = ()
    """Ids of files that were stored for this batch alone, to be removed if it is not submitted."""
    source: Source | Paged | None = None
    """Items that are loaded after the submit, in committed chunks; then ``items`` is empty."""

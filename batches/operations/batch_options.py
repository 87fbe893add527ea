"""What every create accepts beside its items: options, name, description, provider."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.conf import settings

from batches.operations.payload import Fields, Problems
from batches.operations.unavailability import check_fallbacks, read_fallbacks, read_when_unavailable
from batches.options import BatchOptions, default_retry_window, default_timeout
from batches.states import Priority
from providers.registry import Kind, UnknownProvider, resolve

NAME_LENGTH = 200
DESCRIPTION_LENGTH = 5_000
LARGEST_CONCURRENCY = 1_000_000
LARGEST_RATE = 1_000_000_000.0
LARGEST_COST = Decimal(1_000_000_000)
LARGEST_RETRIES = 1_000_000
LONGEST_RETRY_WINDOW_SECONDS = 30 * 86_400
LONGEST_BACKOFF_MS = 3_600_000
LONGEST_TIMEOUT_MS = 600_000


def read_options(fields: Fields, *, concurrency: int | None = None, retries: int | None = None) -> BatchOptions:
    """The general options, accepted at the top level and under ``options``, in the words of every document.

    ``concurrency`` and ``retries`` are the operation's defaults: document 004's operations have
    ``settings.BATCH_DEFAULT_SIZE`` and ``settings.BATCH_MAX_RETRIES``, photos and messages no limit of ours.
    """
    given_concurrency = fields.integer("concurrency", "batchSize", minimum=1, maximum=LARGEST_CONCURRENCY)
    given_retries = fields.integer("retries", "retryAttempts", minimum=0, maximum=LARGEST_RETRIES)
    return BatchOptions(
        concurrency=concurrency if given_concurrency is None else given_concurrency,
        rate_limit=fields.positive_number("rateLimit", maximum=LARGEST_RATE),
        max_retries=retries if given_retries is None else given_retries,
        retry_window_seconds=fields.integer("retryWindowSeconds", minimum=1, maximum=LONGEST_RETRY_WINDOW_SECONDS)
        or default_retry_window(),
        backoff_ms=fields.integer("backoff", minimum=1, maximum=LONGEST_BACKOFF_MS),
        timeout_ms=fields.integer("timeout", minimum=1, maximum=LONGEST_TIMEOUT_MS) or default_timeout(),
        priority=fields.choice("priority", choices=Priority.values, default=Priority.NORMAL),
        scheduled_at=fields.future("scheduleTime", "scheduledAt"),
        auto_start=fields.boolean("autoStart", default=True),
        notify_on_complete=fields.boolean("notifyOnComplete", default=False),
        max_cost=fields.amount("maxCost", maximum=LARGEST_COST),
        when_unavailable=read_when_unavailable(fields),
        fallbacks=read_fallbacks(fields),
    )


def read_name(fields: Fields) -> str:
    """What the client calls the batch."""
    return fields.text("name", maximum=NAME_LENGTH)


def read_description(fields: Fields) -> str:
    """What the client says about the batch."""
    return fields.text("description", maximum=DESCRIPTION_LENGTH)


def read_provider(fields: Fields, *names: str, kind: Kind, default: str) -> str:
    """The alias of the provider that was asked for: an alias itself, or the model of one. Its fallbacks are checked."""
    path, _ = fields.find(*names)
    name = fields.text(*names, maximum=64, default=default)
    try:
        alias = resolve(name, kind).alias
        check_fallbacks(fields, alias, kind)
        return alias
    except UnknownProvider as error:
        message = f"No {kind} provider has this name or model. Known: {', '.join(error.known) or 'none'}."
        fields.problems.add(path, message, "unknown_provider")
        return default


def read_list(value: Any, path: str, problems: Problems) -> Sequence[Any]:
    """A list of items: not empty, and not longer than is allowed in one request."""
    largest = int(settings.BATCH_MAX_INLINE_ITEMS)
    if value is None:
        problems.add(path, "Is required.", "required")
    elif not isinstance(value, list | tuple):
        problems.add(path, "Must be a list.", "invalid_type")
    elif not value:
        problems.add(path, "Must not be empty.", "empty")
    elif len(value) > largest:
        problems.add(path, f"Must hold at most {largest} items.", "too_many")
    else:
        return value
    return ()

"""The options of document 000's operations: its defaults, where the client says nothing."""

from __future__ import annotations

from dataclasses import replace

from batches.operations.batch_options import read_options
from batches.operations.payload import Fields
from batches.options import BatchOptions

CONCURRENCY = 3
RATE_LIMIT = 10.0
"""Calls a minute."""
RETRIES = 3
BACKOFF_MS = 1_000
PACED = f"At most {RATE_LIMIT:g} calls a minute are made, one in {60 / RATE_LIMIT:g} seconds: rateLimit changes that."


def read_paced_options(fields: Fields, *, timeout_ms: int) -> BatchOptions:
    """The general options, with three calls at once, ten a minute, three retries and a second's first backoff.

    ``timeout_ms``: the operation's own default. Who wants no rate limit names a high one.
    """
    options = read_options(fields, concurrency=CONCURRENCY, retries=RETRIES)
    if fields.find("timeout")[1] is None:
        options = replace(options, timeout_ms=timeout_ms)
    if options.rate_limit is None:
        fields.warnings.append(PACED)
    return replace(
        options,
        rate_limit=RATE_LIMIT if options.rate_limit is None else options.rate_limit,
        backoff_ms=BACKOFF_MS if options.backoff_ms is None else options.backoff_ms,
    )

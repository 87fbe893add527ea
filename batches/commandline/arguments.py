"""The options that every command which runs a batch takes, as the front doors' payload spells them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from batches.states import Priority

FIELDS = {
    "name": "name",
    "priority": "priority",
    "concurrency": "concurrency",
    "rate_limit": "rateLimit",
    "retries": "retries",
    "retry_window": "retryWindowSeconds",
    "backoff": "backoff",
    "timeout": "timeout",
    "schedule": "scheduleTime",
    "max_cost": "maxCost",
}
"""Name of the parsed option -> field of the payload."""


def add_batch_arguments(parser: CommandParser) -> None:
    """How a batch runs, whose it is, and where its results go."""
    parser.add_argument("--user", metavar="NAME", help="whose batch it is (default: demo, or the only user)")
    parser.add_argument("--provider", metavar="ALIAS", help="provider alias or model (default: from the settings)")
    parser.add_argument("--name", metavar="TEXT", help="what to call the batch")
    parser.add_argument("--priority", choices=Priority.values, help="default: normal")
    parser.add_argument("--schedule", metavar="ISO", help="start then, e.g. 2030-01-31T09:00:00Z, and do not wait")
    parser.add_argument("--concurrency", type=int, metavar="N", help="at most so many calls at once")
    parser.add_argument("--rate-limit", type=float, metavar="N", help="at most so many calls a minute")
    parser.add_argument("--retries", type=int, metavar="N", help="repeat a failed call at most so often")
    parser.add_argument("--retry-window", type=int, metavar="SECONDS", help="end retries so long after the first try")
    parser.add_argument("--backoff", type=int, metavar="MS", help="delay before the first retry; doubled each time")
    parser.add_argument("--timeout", type=int, metavar="MS", help="how long one call may take")
    parser.add_argument("--max-cost", metavar="AMOUNT", help="begin no call once so much was spent")
    parser.add_argument("--csv", type=Path, metavar="OUT", help="write all results to this file")
    parser.add_argument("--no-wait", action="store_true", help="submit, print the batch's id, and end")


def batch_fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """The payload's fields for the options that were given."""
    return {field: options[option] for option, field in FIELDS.items() if options.get(option) is not None}

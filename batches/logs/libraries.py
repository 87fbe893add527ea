"""Lines of libraries that would tell what belongs to users, put right before they are written."""

from __future__ import annotations

import logging

from batches.logs.requests import view_of
from batches.logs.tracebacks import kind_of


class DiscreetLibraries(logging.Filter):
    """For the handler, since a logger's own filter does not see the lines of those below it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let the line pass, changed where it has to be; Django's word on an answer that only says again what ours does
        is dropped."""
        if record.name == "celery.app.trace":
            _without_error(record)
        elif record.name.startswith("django.") and hasattr(record, "request"):
            _without_address(record)
        return record.name != "django.request" or record.exc_info is not None


def _without_error(record: logging.LogRecord) -> None:
    """Celery's word on a task that failed quotes the error."""
    if isinstance(record.args, dict) and "exc" in record.args:
        error = record.exc_info[1] if record.exc_info else None
        record.args = {**record.args, "exc": kind_of(error) if error is not None else "an error"}


def _without_address(record: logging.LogRecord) -> None:
    """Django's word on a request that failed quotes its address, in which anything may stand."""
    request = record.__dict__.pop("request")  # which repeats the address, with its query
    if isinstance(record.args, tuple):
        path = getattr(request, "path", None)
        record.args = tuple(view_of(request) if argument == path else argument for argument in record.args)

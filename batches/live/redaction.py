"""The web server logs the address of every request and socket; ours carry tokens in the query, which it must not."""

from __future__ import annotations

import logging


class QueryStringFilter(logging.Filter):
    """Cuts the query off every logged address."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always let the record pass, shortened."""
        if isinstance(record.args, tuple):
            record.args = tuple(_without_query(argument) for argument in record.args)
        return True


def _without_query(argument: object) -> object:
    if isinstance(argument, str) and argument.startswith("/"):
        return argument.partition("?")[0]
    return argument


def hide_query_strings() -> None:
    """Make uvicorn's loggers keep queries to themselves."""
    for name in ("uvicorn.access", "uvicorn.error"):
        target = logging.getLogger(name)
        if not any(isinstance(existing, QueryStringFilter) for existing in target.filters):
            target.addFilter(QueryStringFilter())

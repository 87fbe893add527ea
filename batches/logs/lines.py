"""The two shapes of a line: text for people at a terminal, a JSON object for what collects logs."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings
from pythonjsonlogger.json import JsonFormatter

from batches.logs.fields import NAMES, fields_of
from batches.logs.tracebacks import without_words

FIRST = ("time", "level", "logger", "message", "process", "pid")


class TextLines(logging.Formatter):
    """``2026-11-22 10:00:00,000 INFO batches.tasks: Purged 3 deleted batches [request=...]``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        """The line, with what it is about at its end."""
        about = " ".join(f"{name}={value}" for name, value in fields_of(record).items())
        return super().formatMessage(record) + (f" [{about}]" if about else "")

    def formatException(self, exc_info: Any) -> str:  # noqa: N802
        """Where it happened; with the exception's words only in a developer's own hands."""
        return super().formatException(exc_info) if settings.DEBUG else without_words(exc_info[1])


class JsonLines(JsonFormatter):
    """One object per line: when, how grave, whose, the words, the process, what it is about, where it happened."""

    def __init__(self) -> None:
        super().__init__(["message"], timestamp="time", static_fields={"process": settings.PROCESS_NAME})

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """The library's fields, and ours."""
        super().add_fields(log_data, record, message_dict)
        log_data |= {"level": record.levelname, "logger": record.name, "pid": record.process, **fields_of(record)}

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """In one order, and without what libraries hang on their records: requests, arguments of tasks."""
        return {name: log_data[name] for name in (*FIRST, *NAMES, "exc_info", "stack_info") if name in log_data}

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Where it happened, without the exception's words."""
        return without_words(ei[1])

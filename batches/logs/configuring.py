"""What Django calls with LOGGING when a process starts."""

from __future__ import annotations

import logging
import logging.config
from typing import Any

from django.conf import settings


def configure(configuration: dict[str, Any]) -> None:
    """The standard library's configuration; where lines are JSON, Python's warnings are lines as well."""
    logging.config.dictConfig(configuration)
    if settings.LOG_FORMAT == "json":
        logging.captureWarnings(True)

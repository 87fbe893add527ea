"""Typed reading of environment variables: an odd value stops the process with a clear message."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured

Entry = TypeVar("Entry")

SHARED_ENVIRONMENT = "environment.json"
"""In the data folder of a running bin/up: how to reach its servers."""


def join_running_stack(folder: Path) -> None:
    """Take what is not set from the running ``bin/up`` of this data folder, so that ``manage.py`` works beside it."""
    shared = Path(os.environ.get("BATCHSITE_DATA") or folder) / SHARED_ENVIRONMENT
    if os.environ.get("DATABASE_URL") or not shared.exists():
        return
    for name, value in json.loads(shared.read_text()).items():
        os.environ.setdefault(name, value)


def text(name: str, default: str = "") -> str:
    """The variable's text; ``default`` when unset or empty."""
    return os.environ.get(name) or default


def boolean(name: str, default: bool) -> bool:
    """true/false, yes/no, on/off, 1/0 in any case."""
    value = text(name).lower()
    if not value:
        return default
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}.")


def integer(name: str, default: int, *, minimum: int = 0) -> int:
    """A whole number of at least ``minimum``."""
    value = text(name)
    if not value:
        return default
    try:
        number = int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.") from None
    if number < minimum:
        raise ImproperlyConfigured(f"{name} must be at least {minimum}, not {number}.")
    return number


def number(name: str, default: float, *, minimum: float = 0.0) -> float:
    """A number of at least ``minimum``."""
    value = text(name)
    if not value:
        return default
    try:
        parsed = float(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a number, not {value!r}.") from None
    if not minimum <= parsed < float("inf"):
        raise ImproperlyConfigured(f"{name} must be a number of at least {minimum}, not {value!r}.")
    return parsed


def decimal(name: str, default: str) -> Decimal:
    """An exact number of at least 0, for money."""
    try:
        parsed = Decimal(text(name, default))
    except InvalidOperation:
        parsed = Decimal("NaN")
    if not parsed.is_finite() or parsed < 0:
        raise ImproperlyConfigured(f"{name} must be a number of at least 0.")
    return parsed


def document(name: str) -> dict[str, Any]:
    """A JSON object; empty when unset."""
    value = text(name)
    if not value:
        return {}
    try:
        parsed = json.loads(value)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise ImproperlyConfigured(f"{name} must be a JSON object.")  # its value may hold a secret
    return parsed


def names(name: str, default: str = "") -> list[str]:
    """A comma separated list, blanks dropped."""
    return [part.strip() for part in text(name, default).split(",") if part.strip()]


def fernet_keys(name: str) -> list[str]:
    """A comma separated list of keys to encrypt with: 32 bytes each, in URL-safe base64."""
    found = names(name)
    for key in found:
        try:
            size = len(base64.urlsafe_b64decode(key))
        except ValueError:
            size = 0
        if size != 32:
            raise ImproperlyConfigured(f"{name} must hold keys of 32 bytes in URL-safe base64, separated by commas.")
    return found


def selection(name: str, known: Mapping[str, Entry]) -> dict[str, Entry]:
    """The entries that the variable lists by name, separated by commas; all when it is unset."""
    wanted = names(name)
    unknown = sorted(set(wanted) - known.keys())
    if unknown:
        raise ImproperlyConfigured(f"{name} names {', '.join(unknown)}; known are {', '.join(known)}.")
    return {key: known[key] for key in wanted} if wanted else dict(known)

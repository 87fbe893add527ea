"""Names of columns, compared without regard to case, spaces and hyphens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def plain_name(name: str) -> str:
    """``Memory-Type`` and ``memory type`` are ``memory_type``."""
    return "_".join(name.strip().casefold().replace("-", " ").split())


def first_filled(row: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """What the row has under the first of the names that holds something: what it is known by."""
    for name in names:
        if text := identity_text(row.get(name)):
            return text
    return None


def identity_text(value: Any) -> str | None:
    """A cell as the name of a row; None for an empty one, and for what is no name."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() or None

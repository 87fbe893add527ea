"""The formats that are checked. What the library knows without further packages is little: these are our own."""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Callable
from datetime import date
from urllib.parse import urlsplit

from jsonschema import FormatChecker

_TIME = r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?"
_OFFSET = r"([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)"
_DATE_TIME = re.compile(rf"(?P<date>\d{{4}}-\d\d-\d\d)[Tt]{_TIME}{_OFFSET}")
_TIME_OF_DAY = re.compile(_TIME + _OFFSET)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_EMAIL = re.compile(r"[^\s@\"(),:;<>\[\\\]]{1,64}@(?P<host>[^\s@]{1,255})")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_DURATION = re.compile(r"P(?!$)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?!$)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?)")


def _is_date(text: str) -> bool:
    return bool(_DATE.fullmatch(text)) and bool(date.fromisoformat(text))


def _is_date_time(text: str) -> bool:
    match = _DATE_TIME.fullmatch(text)
    return bool(match) and bool(date.fromisoformat(match["date"])) if match else False


def _is_host(text: str) -> bool:
    labels = text.removesuffix(".").split(".")
    return 0 < len(text) <= 253 and all(_LABEL.fullmatch(label) for label in labels)


def _is_email(text: str) -> bool:
    match = _EMAIL.fullmatch(text)
    return match is not None and _is_host(match["host"])


def _is_uri(text: str) -> bool:
    parts = urlsplit(text)
    printable = not any(character.isspace() or not character.isprintable() for character in text)
    return printable and bool(_SCHEME.fullmatch(parts.scheme)) and bool(parts.netloc or parts.path)


def _is_pattern(text: str) -> bool:
    return bool(re.compile(text))


def _raises_nothing(parse: Callable[[str], object]) -> Callable[[str], bool]:
    return lambda text: parse(text) is not None


FORMATS: dict[str, Callable[[str], bool]] = {
    "date": _is_date,
    "date-time": _is_date_time,
    "time": lambda text: bool(_TIME_OF_DAY.fullmatch(text)),
    "duration": lambda text: bool(_DURATION.fullmatch(text)),
    "email": _is_email,
    "hostname": _is_host,
    "ipv4": _raises_nothing(ipaddress.IPv4Address),
    "ipv6": _raises_nothing(ipaddress.IPv6Address),
    "uri": _is_uri,
    "uuid": lambda text: bool(_UUID.fullmatch(text)) and bool(uuid.UUID(text)),
    "regex": _is_pattern,
}


def _checker() -> FormatChecker:
    """A format says something about texts; everything else has it."""
    checker = FormatChecker(formats=())

    def add(name: str, check: Callable[[str], bool]) -> None:
        checker.checks(name, raises=(ValueError, re.error))(lambda value: not isinstance(value, str) or check(value))

    for name, check in FORMATS.items():
        add(name, check)
    return checker


CHECKER = _checker()
"""Of these formats and no others."""

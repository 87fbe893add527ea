"""What providers of messages tell us unasked: receipts, and what people answer.

Everything in a callback is a stranger's until its signature was checked, and odd even then: what is read out of it is
short, of plain characters, and never the text of a message.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from providers.http.answers import read_json

MOST_FIELDS = 200
_REFERENCE = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_WORD = re.compile(r"[a-z][a-z_-]{0,31}")
_CODE = re.compile(r"[A-Za-z0-9_-]{1,32}")
_NUMBER = re.compile(r"\+?[1-9][0-9]{5,14}")


def reference_of(value: Any) -> str:
    """A provider's id of a message, fit to be found again by its receipts; empty for what is none."""
    usable = isinstance(value, str | int) and not isinstance(value, bool) and _REFERENCE.fullmatch(str(value))
    return str(value) if usable else ""


class Malformed(Exception):
    """A callback that is none, though its signature may be right."""


class DeliveryState(StrEnum):
    """How far a message came, whatever its provider calls it. The last two are final."""

    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


@dataclass(frozen=True)
class Callback:
    """A provider's request to us. ``url``: as the provider knows it, with its query; header names in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def query(self) -> list[tuple[str, str]]:
        """The fields in the address. Raises :class:`Malformed`."""
        return _pairs(urlsplit(self.url).query)

    @cached_property
    def form(self) -> list[tuple[str, str]]:
        """The fields of a body that is a form; none of another body. Raises :class:`Malformed`."""
        if not self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return []
        return _pairs(self.body.decode("utf-8", "replace"))

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """What it says: of the address, and of a body that is a form or a JSON object. Raises :class:`Malformed`."""
        fields: dict[str, Any] = dict(self.query)
        if self.headers.get("content-type", "").startswith("application/json"):
            try:
                document = read_json(self.body)
            except (ValueError, RecursionError):
                raise Malformed("The body is not JSON.") from None
            if not isinstance(document, dict):
                raise Malformed("The body is not an object.")
            return fields | document
        return fields | dict(self.form)

    def text(self, *names: str) -> str:
        """The first field of these that is there as a text or a number; empty where none is."""
        for name in names:
            value = self.fields.get(name)
            if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                return str(value)
        return ""


def _pairs(encoded: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(encoded, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Malformed("It has too many fields.") from None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A provider's word on a message. ``reference``: our attempt id, where it came back."""

    provider_reference: str
    status: str
    reference: str = ""
    error_code: str = ""

    @classmethod
    def read(cls, *, provider_reference: str, status: str, reference: str, error_code: str) -> Receipt:
        """Keep what has the form of what it should be. Raises :class:`Malformed` where nothing is left to tell."""
        if not reference_of(provider_reference):
            raise Malformed("It names no message.")
        if not _WORD.fullmatch(status.lower()):
            raise Malformed("It has no status.")
        code = error_code if _CODE.fullmatch(error_code) and error_code.strip("0") else ""
        return cls(provider_reference, status.lower(), _attempt_id(reference), code)


def _attempt_id(reference: str) -> str:
    try:
        return str(uuid.UUID(reference)) if len(reference) <= 64 else ""
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True)
class SentBefore:
    """A message that the provider's own list has. ``created_at``: in seconds of the epoch."""

    provider_reference: str
    body: str
    status: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Inbound:
    """What a person sent to us. ``sender``: E.164 with the plus sign. Kept for as long as it takes to read it."""

    sender: str
    text: str

    @classmethod
    def read(cls, *, sender: str, text: str) -> Inbound:
        """Raises :class:`Malformed` for a sender that is no number; somebody's name wants nothing of us."""
        if not _NUMBER.fullmatch(sender):
            raise Malformed("Its sender is no number.")
        return cls(f"+{sender.removeprefix('+')}", text)

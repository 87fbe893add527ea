"""People who write to the numbers of the fake providers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

from providers.sandbox.receipts import Post, Receipts
from providers.sandbox.wire import Answer

FIELDS = {"provider": "", "url": "", "from": "", "to": "+15005550006", "text": "STOP", "secret": "sandbox"}


class Number(Protocol):
    """A provider whose numbers can be written to."""

    def inbound(self, secret: str, url: str, sender: str, to: str, text: str) -> Post:
        """What a person sent, as it is posted."""
        ...


class People:
    """``POST /_sandbox/inbound``: what a person wrote goes to the address of whoever has the number."""

    def __init__(self, receipts: Receipts, numbers: Mapping[str, Number]) -> None:
        self._receipts = receipts
        self._numbers = numbers

    async def forget(self) -> None:
        """Nobody hears of the messages there were any more."""
        await self._receipts.forget()

    async def write(self, body: bytes) -> Answer:
        """Post it, signed; tells how that was answered, 0 where it was not."""
        try:
            given = {**FIELDS, **json.loads(body)}
        except (ValueError, TypeError, RecursionError):
            return Answer.of(400, {"success": False, "error": "The body is no JSON object."})
        fields = {name: str(given[name]) for name in FIELDS}
        number = self._numbers.get(fields["provider"])
        if number is None or not fields["url"] or not fields["from"]:
            known = ", ".join(self._numbers)
            return Answer.of(400, {"success": False, "error": f"Needed: url, from, and provider, one of {known}."})
        post = number.inbound(fields["secret"], fields["url"], fields["from"], fields["to"], fields["text"])
        return Answer.of(200, {"status": await self._receipts.post(post)})

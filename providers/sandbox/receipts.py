"""Delivery receipts, posted back the way Twilio does: signed forms, sent once, failures ignored."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
from urllib.parse import urlencode, urlsplit

AT_ONCE = 64
TIMEOUT_SECONDS = 15


def signature(token: str, url: str, fields: dict[str, str]) -> str:
    """X-Twilio-Signature of a form post: HMAC-SHA1 over the URL and the fields sorted by name."""
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


class Receipts:
    """Posts receipts after their time, a bounded number at once."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def send_later(self, after_seconds: float, url: str, fields: dict[str, str], token: str) -> None:
        asyncio.get_running_loop().call_later(after_seconds, self._start, url, fields, token)

    def _start(self, url: str, fields: dict[str, str], token: str) -> None:
        task = asyncio.ensure_future(self._send(url, fields, token))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, url: str, fields: dict[str, str], token: str) -> None:
        # A caller whose receipt address is wrong, slow or gone must not disturb the sandbox.
        with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError):
            async with self._places, asyncio.timeout(TIMEOUT_SECONDS):
                await _post(url, urlencode(fields).encode(), signature(token, url, fields))


async def _post(url: str, body: bytes, signed: str) -> None:
    address = urlsplit(url)
    secure = address.scheme == "https"
    target = (address.path or "/") + (f"?{address.query}" if address.query else "")
    head = (
        f"POST {target} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"X-Twilio-Signature: {signed}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    port = address.port or (443 if secure else 80)
    reader, writer = await asyncio.open_connection(address.hostname, port, ssl=secure or None)
    try:
        writer.write(head.encode() + body)
        await reader.readline()
    finally:
        writer.close()

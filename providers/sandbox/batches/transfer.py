"""Bodies that are too large for memory: what arrives goes to disk, what leaves comes from there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

from providers.sandbox.batches.settings import BatchSettings
from providers.sandbox.wire import Answer

PIECE = 64 * 1024
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def spool(receive: Receive, target: Path) -> bytes | None:
    """Write a body down; nothing of it stays in memory. None when the client hung up before it was complete."""
    with target.open("wb") as file:
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            file.write(message["body"])
            if not message["more_body"]:
                return b""


async def send_files(send: Send, transport: asyncio.Transport, answer: Answer, settings: BatchSettings) -> None:
    """Send files one after the other, as slowly as configured, or only their first half."""
    size = sum(path.stat().st_size for path in answer.files)
    cut = settings.cuts_download()
    left = size // 2 if cut else size
    headers = [*answer.headers, (b"content-length", b"%d" % size)]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    speed = settings.download_bytes_per_second
    for piece in _pieces(answer.files, PIECE if speed is None else max(1, min(PIECE, int(speed / 10)))):
        if transport.is_closing() or left <= 0:
            break
        await send({"type": "http.response.body", "body": piece[:left], "more_body": True})
        left -= len(piece)
        await asyncio.sleep(0 if speed is None else len(piece) / speed)
    if cut:
        # What was written is still on its way out: only what comes after is missing.
        transport.close()
    else:
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _pieces(files: tuple[Path, ...], length: int) -> Iterator[bytes]:
    for path in files:
        with path.open("rb") as file:
            while piece := file.read(length):
                yield piece

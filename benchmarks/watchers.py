"""Many WebSockets that watch one batch, from a process of its own as browsers would be.

``python -m benchmarks.watchers ADDRESS NUMBER``: prints ``ready`` when all are connected, reads until every socket has
seen the batch complete (or until SIGTERM), and prints what was received as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from dataclasses import asdict, dataclass

from websockets.asyncio.client import ClientConnection, connect

CONNECTING_AT_ONCE = 50


@dataclass(slots=True)
class Received:
    """What all sockets got. ``completed``: sockets that saw the batch's last event; ``cpu_seconds``: what receiving
    cost this process."""

    sockets: int
    frames: int = 0
    bytes: int = 0
    completed: int = 0
    cpu_seconds: float = 0.0


async def watch(address: str, number: int) -> Received:
    """Connect, say so, and receive until the end."""
    received = Received(number)
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def open_one() -> ClientConnection:
        async with gate:
            return await connect(address, ping_interval=None, open_timeout=60)

    async def receive(socket: ClientConnection) -> None:
        async for message in socket:
            received.frames += 1
            received.bytes += len(message)
            if '"batch:completed"' in message:
                received.completed += 1
                return

    sockets = await asyncio.gather(*(open_one() for _ in range(number)))
    print("ready", flush=True)
    spent = time.process_time()
    receivers = asyncio.gather(*(receive(socket) for socket in sockets))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, receivers.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await receivers
    received.cpu_seconds = time.process_time() - spent
    await asyncio.gather(*(socket.close() for socket in sockets), return_exceptions=True)
    return received


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(watch(sys.argv[1], int(sys.argv[2]))))), flush=True)

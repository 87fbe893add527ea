"""The peer: a bare asyncio loop with aiohttp that makes the same calls and keeps nothing.

Run as a process of its own: ``python -m benchmarks.bare_loop URL CALLS IN_FLIGHT``; prints seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator

import aiohttp
import django

django.setup()  # only to ask exactly what the engine asks; nothing of it runs in the loop

from batches.operations.photos.rate_photos import ANSWER_SCHEMA, DEFAULT_PROMPT, DEFAULT_SYSTEM_PROMPT  # noqa: E402


def body(number: int) -> dict[str, object]:
    """What the engine sends for a photo known by URL."""
    return {
        "model": "gpt-5",
        "messages": [
            {"role": "system", "content": DEFAULT_SYSTEM_PROMPT},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": DEFAULT_PROMPT},
                    {"type": "image_url", "image_url": {"url": f"https://example.com/photos/{number}.jpg"}},
                ],
            },
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "photo_rating", "schema": ANSWER_SCHEMA, "strict": True},
        },
    }


async def caller(session: aiohttp.ClientSession, url: str, numbers: Iterator[int]) -> None:
    """One of the calls in flight: take a number, call, read the rating, forget it."""
    for number in numbers:
        async with session.post(url, json=body(number), headers={"Authorization": "Bearer sandbox"}) as response:
            answer = await response.json()
            json.loads(answer["choices"][0]["message"]["content"])


async def run(url: str, calls: int, in_flight: int) -> float:
    """Make the calls; seconds from the first to the last answer."""
    connector = aiohttp.TCPConnector(limit=in_flight)
    numbers = iter(range(calls))
    async with aiohttp.ClientSession(connector=connector) as session:
        started = time.perf_counter()
        await asyncio.gather(*(caller(session, url, numbers) for _ in range(min(in_flight, calls))))
        return time.perf_counter() - started


if __name__ == "__main__":
    print(asyncio.run(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))

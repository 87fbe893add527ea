"""The web process's one Redis subscription: it reconnects for ever and notices a server that has frozen."""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import redis
import redis.asyncio
from django.conf import settings
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from batches.connections import PROGRESS_CHANNEL
from batches.progress import BatchFacts

logger = logging.getLogger(__name__)

QUIET_SECONDS = 5.0
"""After so long without a word the server is pinged; after the same time again without an answer it is given up."""
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.2, 5.0

_FIELDS = tuple(field.name for field in fields(BatchFacts))


class Subscriber:
    """Calls ``on_message(event, at, facts)`` per message and ``on_subscribed()`` after every (re)subscription."""

    def __init__(self, on_message: Callable[[str, float, BatchFacts], None], on_subscribed: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_subscribed = on_subscribed
        self._delay = FIRST_DELAY_SECONDS

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
            except Exception as error:
                # Whatever befell it, the next connection may be good; nobody would restart a listener that ended.
                logger.warning("Live progress lost Redis (%s); watchers are served from the database", _name(error))
            await asyncio.sleep(self._delay * random.uniform(0.5, 1.0))  # noqa: S311 (jitter)
            self._delay = min(self._delay * 2, LONGEST_DELAY_SECONDS)

    async def _listen(self) -> None:
        client = redis.asyncio.from_url(
            settings.REDIS_URL,
            socket_connect_timeout=2,
            socket_timeout=2,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        try:
            async with client.pubsub() as pubsub:
                await pubsub.subscribe(PROGRESS_CHANNEL)
                await self._receive(pubsub)
        finally:
            await client.aclose()

    async def _receive(self, pubsub: redis.asyncio.client.PubSub) -> None:
        pinged = False
        while True:
            message = await pubsub.get_message(timeout=QUIET_SECONDS)
            if message is not None:
                pinged = False
                self._take(message)
            elif pinged:
                raise redis.TimeoutError("The server does not answer.")
            else:
                await pubsub.ping()
                pinged = True

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":  # also after a reconnect inside the client library
            self._delay = FIRST_DELAY_SECONDS
            self._on_subscribed()
        elif message["type"] == "message":
            try:
                event, at, facts = parse(message["data"])
            except (ValueError, KeyError, TypeError) as error:
                logger.warning("A progress message was not understood: %s", _name(error))
            else:
                self._on_message(event, at, facts)


def parse(payload: bytes | str) -> tuple[str, float, BatchFacts]:
    """Event, time and facts of a published message; unknown fields of newer publishers are ignored, and what an older
    one did not say is its default."""
    document = json.loads(payload)
    facts = BatchFacts(**{name: document[name] for name in _FIELDS if name in document})
    return str(document["event"]), float(document["at"]), facts


def _name(error: BaseException) -> str:
    return type(error).__name__

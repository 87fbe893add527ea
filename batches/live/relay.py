"""One relay per web process: it hears Redis, reads the database, and tells each owner's sockets what is new.

Redis makes it quick and the database makes it right: every message may be lost and watchers still see progress and
the final state within seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import weakref
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol, TypeVar

from channels.db import database_sync_to_async  # type: ignore[import-untyped]
from channels.layers import get_channel_layer  # type: ignore[import-untyped]

from batches.live import access, snapshot
from batches.live.access import Grant
from batches.live.board import Board, Reading
from batches.live.frames import batch_data, shoot_data
from batches.live.subscriber import Subscriber
from batches.progress import BatchFacts

Result = TypeVar("Result")

logger = logging.getLogger(__name__)

FAN_OUT_SECONDS = 0.1
READ_SECONDS = 3.0
RECHECK_SECONDS = 15.0
REVOKED, NOT_FOUND = 4401, 4404


class Watcher(Protocol):
    """A socket, as the relay sees it."""

    grant: Grant
    batch_pk: int | None
    channel_name: str

    async def expel(self, code: int, reason: str) -> None:
        """Close it."""


class Relay:
    """Runs while there are watchers; see :func:`current_relay`."""

    def __init__(self) -> None:
        self._board = Board()
        self._watchers: set[Watcher] = set()
        self._owners: frozenset[int] = frozenset()
        self._dirty: dict[int, bool] = {}  # pk -> whether it was created just now
        self._news = asyncio.Event()
        self._read_now = asyncio.Event()
        self._resend = False
        self._tasks: list[asyncio.Task[None]] = []
        self._farewells: set[asyncio.Task[None]] = set()
        self._layer: Any = get_channel_layer()

    async def join(self, watcher: Watcher) -> None:
        """Begin to serve a watcher. Follow it by :meth:`snapshot_for`: what happens in between reaches its group."""
        self._watchers.add(watcher)
        self._owners = frozenset(each.grant.owner_id for each in self._watchers)
        await self._layer.group_add(group_of(watcher.grant.owner_id), watcher.channel_name)
        if not self._tasks:
            self._start()

    async def leave(self, watcher: Watcher) -> None:
        """Stop serving a watcher; the last one stops the relay."""
        self._watchers.discard(watcher)
        self._owners = frozenset(each.grant.owner_id for each in self._watchers)
        await self._layer.group_discard(group_of(watcher.grant.owner_id), watcher.channel_name)
        self._board.forget(owners=self._owners, now=time.time())
        if not self._watchers:
            await self._stop()

    async def snapshot_for(self, watcher: Watcher) -> list[dict[str, Any]]:
        """What a watcher is told on connect: its one batch, or all of its owner's that are not over."""
        pk = watcher.batch_pk
        readings = await self._read(
            (lambda: snapshot.unsettled_of(watcher.grant.owner_id)) if pk is None else (lambda: snapshot.one(pk))
        )
        messages = (self._message(reading.facts.pk, created=False) for reading in readings)
        return [message for message in messages if message is not None]

    def _start(self) -> None:
        subscriber = Subscriber(self._hear, self._refresh)
        loops = [subscriber.run(), self._fan_out(), self._keep_reading(), self._keep_rechecking()]
        self._tasks = [asyncio.create_task(loop) for loop in loops]

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _hear(self, event: str, at: float, facts: BatchFacts) -> None:
        if facts.owner_id in self._owners and self._board.hear(facts, at=at, now=time.time()):
            self._mark(facts.pk, created=event == "created")

    def _refresh(self) -> None:
        """After every subscription: whatever was said meanwhile is lost, so everybody gets a fresh snapshot."""
        self._resend = True
        self._read_now.set()

    def _mark(self, pk: int, *, created: bool = False) -> None:
        self._dirty[pk] = self._dirty.get(pk, False) or created
        self._news.set()

    async def _fan_out(self) -> None:
        """At most ten messages a second per batch; the last one is always sent, since it stays marked until then."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self._guarded(self._tell_groups)
            await asyncio.sleep(FAN_OUT_SECONDS)

    async def _tell_groups(self) -> None:
        dirty, self._dirty = self._dirty, {}
        for pk, created in dirty.items():
            message = self._message(pk, created=created)
            if message is not None:
                await self._layer.group_send(group_of(message["owner_id"]), message)

    def _message(self, pk: int, *, created: bool) -> dict[str, Any] | None:
        sight = self._board.sight(pk, time.time())
        if sight is None:
            return None
        return {
            "type": "batch.seen",
            "pk": pk,
            "owner_id": sight.facts.owner_id,
            "created": created,
            "data": batch_data(sight),
            "shoot": shoot_data(sight),
        }

    async def _keep_reading(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._read_now.wait(), READ_SECONDS)
            self._read_now.clear()
            await self._guarded(self._read_watched)

    async def _read_watched(self) -> None:
        resend, self._resend = self._resend, False
        whole = {each.grant.owner_id for each in self._watchers if each.batch_pk is None}
        single = {each.batch_pk for each in self._watchers if each.batch_pk is not None}
        pks = single | set(self._board.unsettled())
        try:
            await self._read(lambda: snapshot.watched(whole, pks), resend=resend)
        except Exception:
            self._resend = self._resend or resend
            raise
        self._board.forget(owners=self._owners, now=time.time())

    async def _read(self, query: Callable[[], Iterable[Reading]], *, resend: bool = False) -> list[Reading]:
        started = time.time()
        readings = list(await in_database(query))
        for reading in readings:
            if self._board.read(reading, started=started, now=time.time()) or resend:
                self._mark(reading.facts.pk)
        return readings

    async def _keep_rechecking(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            await self._guarded(self._recheck)

    async def _recheck(self) -> None:
        """Expel whose right has ended: key revoked, signed out, deactivated, batch gone."""
        watchers = list(self._watchers)
        grants = {each.grant for each in watchers}
        valid = await in_database(lambda: access.still_valid(grants))
        pairs = {(each.batch_pk, each.grant.owner_id) for each in watchers if each.batch_pk is not None}
        owned = await in_database(lambda: access.owned(pairs))
        for each in watchers:
            if each.grant not in valid:
                self._expel(each, REVOKED, "The right to watch has ended.")
            elif each.batch_pk is not None and (each.batch_pk, each.grant.owner_id) not in owned:
                self._expel(each, NOT_FOUND, "There is no such batch.")
            else:  # the layer forgets members that were added more than a day ago
                await self._layer.group_add(group_of(each.grant.owner_id), each.channel_name)

    def _expel(self, watcher: Watcher, code: int, reason: str) -> None:
        """In a task of its own: the last one to go stops the relay's tasks, of which the caller is one."""
        farewell = asyncio.create_task(watcher.expel(code, reason))
        self._farewells.add(farewell)
        farewell.add_done_callback(self._farewells.discard)

    async def _guarded(self, duty: Callable[[], Awaitable[None]]) -> None:
        try:
            await duty()
        except Exception as error:
            # A duty that is due again in seconds must survive whatever befell it; the database may be away.
            logger.warning("Live progress could not do its duty: %s", type(error).__name__)


async def in_database(query: Callable[[], Result]) -> Result:
    """Run a query in a thread of its own, so that a slow one holds up nobody else's."""
    result: Result = await database_sync_to_async(query, thread_sensitive=False)()
    return result


def group_of(owner_id: int) -> str:
    """The Channels group of an owner's sockets in this process."""
    return f"owner.{owner_id}"


_relays: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Relay] = weakref.WeakKeyDictionary()


def current_relay() -> Relay:
    """The relay of the running event loop: one per web process."""
    loop = asyncio.get_running_loop()
    if loop not in _relays:
        _relays[loop] = Relay()
    return _relays[loop]

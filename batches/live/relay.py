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
from typing import Protocol, TypeVar

from channels.db import database_sync_to_async  # type: ignore[import-untyped]

from batches.live import access, snapshot
from batches.live.access import Grant
from batches.live.board import Board, Reading
from batches.live.frames import News
from batches.live.subscriber import Subscriber
from batches.progress import BatchFacts

Result = TypeVar("Result")

logger = logging.getLogger(__name__)

FAN_OUT_SECONDS = 0.1
TOLD_PER_SECOND = 500
"""So many sockets are told something in a second; the more there are, the longer between two frames of each."""
READ_SECONDS = 3.0
RECHECK_SECONDS = 15.0
REVOKED, NOT_FOUND = 4401, 4404


class Watcher(Protocol):
    """A socket, as the relay sees it."""

    grant: Grant
    batch_pk: int | None

    def see(self, news: News) -> None:
        """Tell it soon what is new; returns at once."""

    async def expel(self, code: int, reason: str) -> None:
        """Close it."""


class Relay:
    """Runs while there are watchers; see :func:`current_relay`."""

    def __init__(self) -> None:
        self._board = Board()
        self._watchers: dict[int, set[Watcher]] = {}  # by owner
        self._dirty: dict[int, bool] = {}  # pk -> whether it was created just now
        self._news = asyncio.Event()
        self._read_now = asyncio.Event()
        self._resend = False
        self._tasks: list[asyncio.Task[None]] = []
        self._farewells: set[asyncio.Task[None]] = set()

    async def join(self, watcher: Watcher) -> None:
        """Begin to serve a watcher. Follow it by :meth:`snapshot_for`: what happens in between it sees as well."""
        self._watchers.setdefault(watcher.grant.owner_id, set()).add(watcher)
        if not self._tasks:
            self._start()

    async def leave(self, watcher: Watcher) -> None:
        """Stop serving a watcher; the last one stops the relay."""
        owner_id = watcher.grant.owner_id
        watchers = self._watchers.get(owner_id, set())
        watchers.discard(watcher)
        if not watchers:
            self._watchers.pop(owner_id, None)
        self._board.forget(owners=self._watchers, now=time.time())
        if not self._watchers:
            await self._stop()

    async def snapshot_for(self, watcher: Watcher) -> list[News]:
        """What a watcher is told on connect: its one batch, or all of its owner's that are not over."""
        pk = watcher.batch_pk
        readings = await self._read(
            (lambda: snapshot.unsettled_of(watcher.grant.owner_id)) if pk is None else (lambda: snapshot.one(pk))
        )
        found = (self._news_of(reading.facts.pk, created=False) for reading in readings)
        return [news for news in found if news is not None]

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
        if facts.owner_id in self._watchers and self._board.hear(facts, at=at, now=time.time()):
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
            told = 0
            try:
                told = self._tell_watchers()
            except Exception as error:
                logger.warning("Live progress could not tell its watchers: %s", type(error).__name__)
            await asyncio.sleep(max(FAN_OUT_SECONDS, told / TOLD_PER_SECOND))

    def _tell_watchers(self) -> int:
        """Straight to the sockets: through the channel layer each one would cost a thread's turn and a scan of all.

        Returns how many sockets were told something.
        """
        dirty, self._dirty = self._dirty, {}
        told = 0
        for pk, created in dirty.items():
            news = self._news_of(pk, created=created)
            if news is None:
                continue
            for watcher in self._watchers.get(news.owner_id, ()):
                if watcher.batch_pk is None or watcher.batch_pk == pk:
                    watcher.see(news)
                    told += 1
        return told

    def _news_of(self, pk: int, *, created: bool) -> News | None:
        sight = self._board.sight(pk, time.time())
        return None if sight is None else News.of(sight, created=created)

    def _everybody(self) -> list[Watcher]:
        return [watcher for watchers in self._watchers.values() for watcher in watchers]

    async def _keep_reading(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._read_now.wait(), READ_SECONDS)
            self._read_now.clear()
            await self._guarded(self._read_watched)

    async def _read_watched(self) -> None:
        resend, self._resend = self._resend, False
        everybody = self._everybody()
        whole = {each.grant.owner_id for each in everybody if each.batch_pk is None}
        single = {each.batch_pk for each in everybody if each.batch_pk is not None}
        pks = single | set(self._board.unsettled())
        try:
            await self._read(lambda: snapshot.watched(whole, pks), resend=resend)
        except Exception:
            self._resend = self._resend or resend
            raise
        self._board.forget(owners=self._watchers, now=time.time())

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
        watchers = self._everybody()
        grants = {each.grant for each in watchers}
        valid = await in_database(lambda: access.still_valid(grants))
        pairs = {(each.batch_pk, each.grant.owner_id) for each in watchers if each.batch_pk is not None}
        owned = await in_database(lambda: access.owned(pairs))
        for each in watchers:
            if each.grant not in valid:
                self._expel(each, REVOKED, "The right to watch has ended.")
            elif each.batch_pk is not None and (each.batch_pk, each.grant.owner_id) not in owned:
                self._expel(each, NOT_FOUND, "There is no such batch.")

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


_relays: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Relay] = weakref.WeakKeyDictionary()


def current_relay() -> Relay:
    """The relay of the running event loop: one per web process."""
    loop = asyncio.get_running_loop()
    if loop not in _relays:
        _relays[loop] = Relay()
    return _relays[loop]

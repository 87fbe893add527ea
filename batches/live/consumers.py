"""``/ws``: the socket of one watcher."""

from __future__ import annotations

import asyncio
import json
import logging
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer  # type: ignore[import-untyped]
from django.db import Error as DatabaseError

from batches.live import access
from batches.live.access import Grant
from batches.live.frames import News
from batches.live.relay import NOT_FOUND, REVOKED, current_relay, in_database

logger = logging.getLogger(__name__)

TOO_BIG, TRY_AGAIN_LATER = 1009, 1013
LONGEST_MESSAGE = 4096
CLOSE_AFTER_SECONDS = 5.0
PONG = '{"type":"pong"}'


class Refused(Exception):
    """The socket is closed with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class NoSuchSocket(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Any other path: closed with a code that a script can read."""

    async def connect(self) -> None:
        """Accept and close."""
        await self.accept()
        await self.close(NOT_FOUND, "There is no socket at this path.")


class ProgressConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Sends a snapshot, then what changes. A refused socket is accepted first and then closed with a code of ours:
    a browser's script sees the code and the reason of a close, but nothing of a refused handshake.

    Only the latest pending frame of each batch is kept, so a client that reads slowly costs no memory: it sees fewer
    steps, and always the last one.
    """

    grant: Grant
    batch_pk: int | None = None
    _joined = False
    _writer: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Accept, find out who it is, and begin."""
        self._pending: dict[int, tuple[News, bool]] = {}  # with whether it was created since it was told last
        self._last_status: dict[int, str] = {}
        self._pongs = 0
        self._wake = asyncio.Event()
        await self.accept()
        try:
            await self._begin()
        except Refused as refused:
            await self.close(refused.code, refused.reason)
        except DatabaseError as error:
            logger.warning("A socket could not be served: %s", type(error).__name__)
            await self.close(TRY_AGAIN_LATER, "The database does not answer; try again.")

    async def _begin(self) -> None:
        query = parse_qs(self.scope["query_string"].decode("ascii", "replace"))
        self.grant = await self._authenticate(query.get("token", [""])[0])
        if public_id := query.get("batch", [""])[0]:
            self.batch_pk = await in_database(lambda: access.find_batch(self.grant.owner_id, public_id))
            if self.batch_pk is None:
                raise Refused(NOT_FOUND, "There is no such batch.")
        relay = current_relay()
        self._joined = True
        await relay.join(self)
        self._writer = asyncio.create_task(self._write())
        for news in await relay.snapshot_for(self):
            self.see(news)

    async def _authenticate(self, token: str) -> Grant:
        """A token speaks for itself; a cookie counts only on our own pages, since browsers send it from any."""
        if token:
            grant = await in_database(lambda: access.grant_of_token(token))
            if grant is None:
                raise Refused(REVOKED, "The token is not valid.")
            return grant
        user, session = self.scope.get("user"), self.scope.get("session")
        if user is None or not user.is_authenticated:
            raise Refused(REVOKED, "Sign in, or give a token.")
        if not access.same_origin(self._header(b"origin"), self._header(b"host")):
            raise Refused(REVOKED, "A session may be used from this site's own pages only.")
        user_id, session_key = user.pk, getattr(session, "session_key", None)
        grant = await in_database(lambda: access.grant_of_session(user_id, session_key))
        if grant is None:
            raise Refused(REVOKED, "Sign in again.")
        return grant

    def _header(self, name: bytes) -> str | None:
        return next((value.decode("latin1") for key, value in self.scope["headers"] if key == name), None)

    def see(self, news: News) -> None:
        """From the relay: a batch that this socket watches changed."""
        _, created = self._pending.get(news.pk, (news, False))
        self._pending[news.pk] = news, created or news.created
        self._wake.set()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """A ping is answered; anything else is none of our business."""
        if len(text_data or bytes_data or "") > LONGEST_MESSAGE:
            await self.close(TOO_BIG, "Messages are small here.")
            return
        if _is_ping(text_data):
            self._pongs = 1
            self._wake.set()

    async def _write(self) -> None:
        """The one sender: it waits for a slow client while :meth:`see` goes on replacing what is pending."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._pongs:
                self._pongs = 0
                await self.send(text_data=PONG)
            while self._pending:
                pk = next(iter(self._pending))
                news, created = self._pending.pop(pk)
                for text in news.texts(created=created, last_status=self._last_status.get(pk)):
                    await self.send(text_data=text)
                self._last_status[pk] = news.data["status"]

    async def expel(self, code: int, reason: str) -> None:
        """From the relay: the right to watch has ended. A client that reads nothing cannot hold the relay up."""
        await self._end()
        try:
            await asyncio.wait_for(self.close(code, reason), CLOSE_AFTER_SECONDS)
        except (TimeoutError, RuntimeError):
            logger.info("An expelled socket was gone already")

    async def disconnect(self, code: int) -> None:
        """The client went."""
        await self._end()

    async def _end(self) -> None:
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        if self._joined:
            self._joined = False
            await current_relay().leave(self)


def _is_ping(text: str | None) -> bool:
    try:
        message = json.loads(text or "")
    except (ValueError, RecursionError):
        return False
    return isinstance(message, dict) and message.get("type") == "ping"

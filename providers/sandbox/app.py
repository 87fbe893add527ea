"""The sandbox's ASGI application: fake providers under /<alias>/..., and its own controls under /_sandbox/."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl

from providers.sandbox.anthropic import Messages
from providers.sandbox.batches.anthropic import MessageBatches
from providers.sandbox.batches.gemini import GenerateContentBatches
from providers.sandbox.batches.groq import GroqBatches
from providers.sandbox.batches.openai import OpenAIBatches
from providers.sandbox.batches.surface import BatchSurface, House
from providers.sandbox.batches.transfer import send_files, spool
from providers.sandbox.batches.xai import XAIBatches
from providers.sandbox.chat import Chat
from providers.sandbox.configuration import (
    PERMANENT,
    SILENT_FAULTS,
    Configuration,
    InvalidConfiguration,
)
from providers.sandbox.gemini import GenerateContent
from providers.sandbox.images import Images
from providers.sandbox.journal import Journal
from providers.sandbox.people import People
from providers.sandbox.plivo import PlivoMessages
from providers.sandbox.protocol import TRANSPORT
from providers.sandbox.quotas import Quotas
from providers.sandbox.receipts import Receipts
from providers.sandbox.sms import Sms
from providers.sandbox.stalls import Stalls
from providers.sandbox.vonage import VonageMessages
from providers.sandbox.wire import JSON_HEADER, Answer, Call, Dialect, Request

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

HANG_SECONDS = 600
BROKEN_BODY = b'{"id": "broken", "choices": [{"message": {"content": "cut off in the mid'
REMEMBERED_PATHS = 1000
GEMINI_BATCHES = (
    r":batchGenerateContent\Z|/(upload|download)/v1|/v1beta\w*/(batches|files)(/|\Z)|^/gemini[^/]*/v1/(batches|files)"
)


@dataclass(slots=True)
class Visit:
    """One call to a fake provider, from its arrival to its answer."""

    dialect: Dialect
    call: Call
    journal: Journal
    entry: int
    started: float

    async def act(self) -> Answer:
        """Let the provider do it, and write down that it would have."""
        answer = await self.dialect.act(self.call)
        if self.call.acts and answer.status < 300:
            self.journal.accept(self.entry)
        return answer


class Sandbox:
    """One process's fake providers, their settings and their journal."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.journal = Journal()
        self._quotas = Quotas()
        self._stalls = Stalls()
        self._house = House(configuration.batches, lambda: self.journal)
        receipts = Receipts(configuration.receipts)
        twilio, vonage, plivo = Sms(receipts), VonageMessages(receipts), PlivoMessages(receipts)
        self._people = People(receipts, {each.name: each for each in (twilio, vonage, plivo)})
        chat, messages, generate_content = Chat(), Messages(), GenerateContent()
        self._dialects: tuple[tuple[str, Dialect], ...] = (  # by the path with the alias in front; the first that fits
            (r"/chat/completions\Z", chat),
            (r"^/vonage[^/]*/v1/messages\Z", vonage),
            (r"/v1/messages\Z", messages),
            (r":generateContent\Z", generate_content),
            (r"/images/generations\Z", Images()),
            (r"/2010-04-01/Accounts/", twilio),
            (r"/v1/Account/[^/]+/Message/\Z", plivo),
            (r"/v1/messages/batches(/|\Z)", MessageBatches(self._house, messages)),
            (GEMINI_BATCHES, GenerateContentBatches(self._house, generate_content)),
            (r"^/(xai|grok)[^/]*/v1/(batches|files)(/|\Z)", XAIBatches(self._house, chat)),
            (r"^/[^/]+/openai/v1/(batches|files)(/|\Z)", GroqBatches(self._house, chat)),
            (r"/v1/(batches|files)(/|\Z)", OpenAIBatches(self._house, chat)),
        )
        self._routes: dict[str, tuple[str | None, str, Dialect | None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self._stalls.watch()
        path: str = scope["path"]
        if path == "/_sandbox/inbound":
            await _answer(send, await self._people.write(await _read_body(receive) or b""))
        elif path.startswith("/_sandbox/") or path == "/healthz":
            await self._control(scope, receive, send)
        else:
            await self._provide(scope, receive, send)

    # --- The fake providers -----------------------------------------------------------------------

    def _route(self, path: str) -> tuple[str | None, str, Dialect | None]:
        """The alias that a path belongs to, the provider's own path, and who speaks for it."""
        known = self._routes.get(path)
        if known is None:
            first, _, rest = path[1:].partition("/")
            own_path = path if first in {"v1", "2010-04-01"} else f"/{rest}"
            dialect = next((each for pattern, each in self._dialects if re.search(pattern, path)), None)
            alias = first if own_path != path else dialect.name if dialect else None
            known = (alias if dialect else None, own_path, dialect)
            # The paths of batches hold their ids, and are never the same.
            if len(self._routes) < REMEMBERED_PATHS and not isinstance(dialect, BatchSurface):
                self._routes[path] = known
        return known

    async def _provide(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._route(scope["path"])
        if not isinstance(route[2], BatchSurface):
            await self._converse(scope, receive, send, route)
            return
        upload = self._house.files.place()
        try:
            await self._converse(scope, receive, send, route, upload)
        finally:
            upload.unlink(missing_ok=True)

    async def _converse(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        route: tuple[str | None, str, Dialect | None],
        upload: Path | None = None,
    ) -> None:
        """Hear one request and answer it; ``upload``: where its body is put, else it is kept in memory."""
        at = time.time()
        started = time.monotonic()
        path: str = scope["path"]
        alias, own_path, dialect = route
        journal = self.journal
        body = await _read_body(receive) if upload is None else await spool(receive, upload)
        if body is None or dialect is None:
            entry = journal.open(at, path, provider=alias)
            if body is not None:
                journal.answered(entry, 404)
                await _answer(send, Answer.of(404, {"error": {"message": "Not found", "code": "not_found"}}))
            return
        request = Request(scope["method"], own_path, dict(scope["headers"]), body)
        if scope["query_string"]:
            request.query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        if upload is not None:
            request.alias = alias or ""
            request.upload = upload
        call = dialect.read(request)
        entry = journal.open(at, path, provider=alias, reference=call.reference, to=call.to, image=call.image)
        visit = Visit(dialect, call, journal, entry, started)
        transport: asyncio.Transport = scope["extensions"][TRANSPORT]
        answer = call.refusal or await self._within_limits(alias or "", own_path, visit, transport)
        if answer is not None and answer.fault == "cut":
            transport.abort()
        if answer is None or answer.fault is not None or transport.is_closing():
            await _until_hung_up(receive)
            return
        journal.answered(entry, answer.status)
        if answer.files:
            await send_files(send, transport, answer, self.configuration.batches)
        else:
            await _answer(send, answer)

    async def _within_limits(self, alias: str, path: str, visit: Visit, transport: asyncio.Transport) -> Answer | None:
        """What the account's limits let pass, with what their headers say; batches have limits of their own."""
        account, quotas = self.configuration.account(alias), self._quotas
        if isinstance(visit.dialect, BatchSurface):
            return (
                await self._behave(visit, transport) if account.refuse is None else visit.dialect.error(account.refuse)
            )
        answer = quotas.refusal(alias, account, visit.dialect, visit.started)
        if answer is None:
            quotas.enter(alias)
            try:
                answer = await self._behave(visit, transport)
            finally:
                quotas.leave(alias, account, answer)
        if answer is not None:
            # As it is now: the limits may have been changed while the call was under way.
            account = self.configuration.account(alias)
            answer.headers += quotas.headers(alias, account, visit.dialect, path, time.monotonic())
        return answer

    async def _behave(self, visit: Visit, transport: asyncio.Transport) -> Answer | None:
        """Answer as configured: well, late, wrongly, or (None) never."""
        fault = self.configuration.draw_fault()
        latency = self.configuration.draw_latency()
        answer: Answer | None = None
        if fault is None or fault == "garbage" or (fault in SILENT_FAULTS and random.random() < 0.5):  # noqa: S311
            answer = await visit.act()
        elif fault == PERMANENT:
            answer = visit.dialect.error(400, permanent=True)
        elif fault not in SILENT_FAULTS:
            answer = visit.dialect.error(int(fault))
        remaining = latency - (time.monotonic() - visit.started)
        if remaining > 0:
            await asyncio.sleep(remaining)
        if fault == "garbage":
            return Answer(200, BROKEN_BODY, (JSON_HEADER,))
        if fault == "disconnect":
            transport.abort()
        return None if fault in SILENT_FAULTS else answer

    # --- Its own controls -------------------------------------------------------------------------

    async def _control(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read_body(receive)
        match scope["method"], scope["path"]:
            case "GET", "/healthz":
                await _answer(send, Answer.of(200, {"status": "ok"}))
            case "GET", "/_sandbox/config":
                await _answer(send, Answer.of(200, self.configuration.as_dict()))
            case "PUT", "/_sandbox/config":
                await _answer(send, self._configure(body or b""))
            case "GET", "/_sandbox/log":
                await self._show_log(scope["query_string"], send)
            case "GET", "/_sandbox/stalls":
                await _answer(send, Answer.of(200, self._stalls.as_list()))
            case "DELETE", "/_sandbox/log":
                self.journal = Journal()
                await self._people.forget()
                await _answer(send, Answer(204, b""))
            case "GET", "/_sandbox/batches":
                await _answer(send, Answer.of(200, self._house.as_list()))
            case "DELETE", "/_sandbox/batches":
                self._house.clear()
                await _answer(send, Answer(204, b""))
            case method, path:
                await _answer(send, Answer.of(404, {"success": False, "error": f"There is no {method} {path}."}))

    def _configure(self, body: bytes) -> Answer:
        try:
            self.configuration.change(json.loads(body))
        except InvalidConfiguration as refusal:
            content = {"success": False, "error": str(refusal), "details": {"errors": refusal.problems}}
            return Answer.of(400, content)
        except (ValueError, RecursionError):
            return Answer.of(400, {"success": False, "error": "The body is not JSON."})
        self._quotas.reset()
        return Answer.of(200, self.configuration.as_dict())

    async def _show_log(self, query: bytes, send: Send) -> None:
        """All entries, or those from number ``since`` on: a list that only grows until it is emptied."""
        since = parse_qs(query.decode("latin-1")).get("since", ["0"])[0]
        if not (since.isascii() and since.isdigit()):
            await _answer(send, Answer.of(400, {"success": False, "error": "since must be a whole number"}))
            return
        await send({"type": "http.response.start", "status": 200, "headers": [JSON_HEADER]})
        for chunk in self.journal.chunks(int(since)):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body; None when the client hung up before it was complete."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message["body"])
        if not message["more_body"]:
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def _until_hung_up(receive: Receive) -> None:
    try:
        async with asyncio.timeout(HANG_SECONDS):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        pass


async def _answer(send: Send, answer: Answer) -> None:
    headers = list(answer.headers)
    if answer.status != 204:
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})

"""What the batch APIs have in common: routes, accounts, files, and the batches that were made."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from providers.sandbox.batches.files import Files
from providers.sandbox.batches.settings import BatchSettings
from providers.sandbox.batches.spelling import Problem, Spelling
from providers.sandbox.batches.work import Work
from providers.sandbox.chat import Chat
from providers.sandbox.journal import Journal
from providers.sandbox.wire import Answer, Call, Request

Handler = Callable[[Request, "re.Match[str]"], Awaitable[Answer]]
MOST_WORKS = 5_000


class Route(NamedTuple):
    """Who answers which path. ``creates``: whether it makes a batch."""

    method: str
    path: str
    handler: Handler
    creates: bool = False


@dataclass(slots=True)
class House:
    """What all batch APIs of one sandbox share."""

    settings: BatchSettings
    journal: Callable[[], Journal]
    files: Files = field(default_factory=Files)
    works: dict[str, Work] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget all batches and files."""
        for work in self.works.values():
            work.stop()
        self.works.clear()
        self.files.clear()

    def as_list(self) -> list[dict[str, Any]]:
        """Every batch that was made: the witness in tests."""
        return [
            {
                "provider": work.alias,
                "id": work.id,
                "marker": work.marker,
                "created_at": work.created,
                "phase": work.phase.value,
                "lines": work.total,
                **{name: work.counts[name] for name in ("succeeded", "failed", "cancelled", "expired")},
            }
            for work in self.works.values()
        ]


class BatchSurface:
    """One provider's batch API. Fits :class:`providers.sandbox.wire.Dialect`; bodies are put on disk."""

    name: str

    def __init__(self, house: House, chat: Chat) -> None:
        self.house = house
        self.chat = chat
        self._routes = [(route, re.compile(route.path + r"\Z")) for route in self.routes()]

    def routes(self) -> list[Route]:
        """Paths without the alias in front."""
        raise NotImplementedError

    def read(self, request: Request) -> Call:
        call = Call(acts=request.method != "GET")
        if not self.may_enter(request):
            call.refusal = self.chat.refuse(401, "invalid_api_key", "You didn't provide an API key.")
            return call
        for route, pattern in self._routes:
            match = pattern.search(request.path)
            if match is not None and route.method == request.method:
                call.work = partial(self._make if route.creates else _handle, route.handler, request, match)
                if route.creates:
                    call.reference = self.marker(request)
                return call
        call.refusal = self.chat.refuse(404, "not_found", "There is nothing at this path.")
        return call

    def may_enter(self, request: Request) -> bool:
        """Whether a key came along."""
        return self.chat.has_key(request)

    async def act(self, call: Call) -> Answer:
        answer: Answer = await call.work()
        return answer

    def error(self, status: int, *, permanent: bool = False, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
        return self.chat.error(status, permanent=permanent, headers=headers)

    def marker(self, request: Request) -> str | None:
        """By what its maker finds a batch again."""
        return None

    def refusal_of(self, fault: str) -> Answer | Problem | None:
        """What a fault of a create looks like here: an answer, or a problem that shows later."""
        raise NotImplementedError

    async def _make(self, handler: Handler, request: Request, match: re.Match[str]) -> Answer:
        fault = self.house.settings.next_create_fault()
        refusal = self.refusal_of(fault) if fault in {"invalid", "no_room"} else None
        if isinstance(refusal, Answer):
            return refusal
        request.refusal = refusal
        answer = await handler(request, match)
        answer.fault = fault if fault in {"silent", "cut"} else None
        return answer

    def start(self, request: Request, work_id: str, lines: Path, spelling: Spelling, described: dict[str, Any]) -> Work:
        """Begin a batch."""
        house = self.house
        settings = BatchSettings()
        settings.change(house.settings.as_dict())
        work = Work(
            id=work_id,
            alias=request.alias,
            marker=self.marker(request) or "",
            lines=lines,
            successes=house.files.place(),
            failures=house.files.place(),
            headers=request.headers,
            chat=self.chat,
            spelling=spelling,
            journal=house.journal(),
            settings=settings,
            refusal=request.refusal,
            described=described,
        )
        house.works[work_id] = work
        if len(house.works) > MOST_WORKS:
            house.works.pop(next(iter(house.works))).discard()
        work.start()
        return work

    def work_of(self, request: Request, work_id: str) -> Work | None:
        """The batch of that id, if it is this account's."""
        work = self.house.works.get(work_id)
        return work if work is not None and work.alias == request.alias else None

    def works(self, request: Request) -> Iterator[Work]:
        """The account's batches, the newest first."""
        return (work for work in reversed(list(self.house.works.values())) if work.alias == request.alias)

    def nothing(self, what: str) -> Answer:
        return self.chat.refuse(404, "not_found", f"There is no such {what}.")


def json_of(request: Request) -> Any:
    """The body. Raises ``ValueError`` for what is no JSON."""
    return orjson.loads(request.upload.read_bytes() if request.upload is not None else request.body)


def new_id(prefix: str) -> str:
    return f"{prefix}{secrets.token_hex(12)}"


async def _handle(handler: Handler, request: Request, match: re.Match[str]) -> Answer:
    return await handler(request, match)

"""OpenAI's files, which its likes have as well."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any, ClassVar

from providers.sandbox.batches.files import NoForm, StoredFile, read_form
from providers.sandbox.batches.surface import BatchSurface, Route, new_id
from providers.sandbox.wire import Answer, Request


class OpenAIFiles(BatchSurface):
    """Keeps files, and gives them back."""

    needs_purpose: ClassVar[bool] = True

    def routes(self) -> list[Route]:
        file = r"/files/([\w-]+)"
        return [
            Route("POST", "/files", self.upload),
            Route("GET", "/files", self.files),
            Route("GET", f"{file}/content", self.content),
            Route("GET", file, self.file),
            Route("DELETE", file, self.delete),
        ]

    async def upload(self, request: Request, match: re.Match[str]) -> Answer:
        target = self.house.files.place()
        try:
            if request.upload is None:
                raise NoForm
            kind = request.header(b"content-type") or ""
            # It may be large: taking it apart must not hold up the answers to others.
            loop = asyncio.get_running_loop()
            name, fields = await loop.run_in_executor(None, read_form, request.upload, kind, target)
        except NoForm:
            return self.chat.refuse(400, "invalid_request", "A form with a file is required.")
        if self.needs_purpose and fields.get("purpose") != "batch":
            target.unlink()
            return self.chat.refuse(400, "invalid_purpose", "'purpose' must be 'batch'.")
        stored = self.keep(target, request.alias, name, "batch")
        return Answer.of(200, self.file_object(stored))

    def keep(self, path: Path, alias: str, name: str, purpose: str) -> StoredFile:
        return self.house.files.keep(path, file_id=new_id("file-"), alias=alias, name=name, purpose=purpose)

    def file_object(self, stored: StoredFile) -> dict[str, Any]:
        return {
            "id": stored.id,
            "object": "file",
            "bytes": stored.size,
            "created_at": int(stored.created),
            "filename": stored.name,
            "purpose": stored.purpose,
            "status": "processed",
        }

    async def files(self, request: Request, match: re.Match[str]) -> Answer:
        found = [self.file_object(stored) for stored in self.house.files.of(request.alias)]
        return Answer.of(200, {"object": "list", "data": found[:1000], "has_more": False})

    async def file(self, request: Request, match: re.Match[str]) -> Answer:
        stored = self.house.files.get(match[1], request.alias)
        return self.nothing("file") if stored is None else Answer.of(200, self.file_object(stored))

    async def content(self, request: Request, match: re.Match[str]) -> Answer:
        stored = self.house.files.get(match[1], request.alias)
        return self.nothing("file") if stored is None else Answer.of_files(stored.path)

    async def delete(self, request: Request, match: re.Match[str]) -> Answer:
        stored = self.house.files.get(match[1], request.alias)
        if stored is None:
            return self.nothing("file")
        self.house.files.forget(stored.id)
        return Answer.of(200, {"id": stored.id, "object": "file", "deleted": True})

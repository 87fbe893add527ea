"""Bodies that are sent from disk, piece by piece: a file may be larger than the memory there is."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PIECE = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FileBody:
    """A file between two fixed parts. ``joined``: its lines, the last one's break left out, become a list in JSON."""

    path: Path
    before: bytes = b""
    after: bytes = b""
    joined: bool = False

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return len(self.before) + self._file_size() + len(self.after)

    def __iter__(self) -> Iterator[bytes]:
        if self.before:
            yield self.before
        left = self._file_size()
        with self.path.open("rb") as file:
            # Not beyond the size that was announced, and not less.
            while left:
                piece = file.read(min(PIECE, left))
                if not piece:
                    raise EOFError(f"{self.path.name} became shorter while it was sent")
                left -= len(piece)
                yield piece.replace(b"\n", b",") if self.joined else piece
        if self.after:
            yield self.after

    def _file_size(self) -> int:
        return max(0, self.path.stat().st_size - self.joined)


def form_with_file(path: Path, filename: str, fields: Mapping[str, str]) -> tuple[str, FileBody]:
    """A form of short fields and one file called ``file``; also tells the content type to send it under."""
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    opening = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    before = "".join([*parts, opening]).encode()
    closing = f"\r\n--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", FileBody(path=path, before=before, after=closing)

"""Files on their way to the server and back."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from batchsite.client.shapes import StoredFile

UNKNOWN_TYPE = "application/octet-stream"
MOST_FILES = 50
MOST_BYTES = 32 * 1024 * 1024

Content = str | Path | bytes | IO[bytes]
"""A path, the bytes themselves, or a file opened for reading bytes."""


class Form:
    """Files of one multipart request: opened once, rewound for each try."""

    def __init__(self, contents: Sequence[tuple[str, str, Content]]) -> None:
        self._contents = contents
        self._stack = ExitStack()
        self._open: list[Any] = []

    def __enter__(self) -> Form:
        for _, _, content in self._contents:
            is_path = isinstance(content, str | Path)
            self._open.append(self._stack.enter_context(Path(content).open("rb")) if is_path else content)  # type: ignore[arg-type]
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def fields(self) -> list[tuple[str, Any]]:
        """As httpx takes them."""
        form = []
        for (name, media_type, _), content in zip(self._contents, self._open, strict=True):
            if not isinstance(content, bytes):
                content.seek(0)
            form.append(("file", (name, content, media_type)))
        return form


def described(content: Content, name: str | None, media_type: str | None) -> tuple[str, str, Content]:
    """Name and type of a file, guessed where they are not given."""
    if name is None:
        known = content if isinstance(content, str | Path) else getattr(content, "name", None)
        name = Path(known).name if isinstance(known, str | Path) else "file"
    return name, media_type or mimetypes.guess_type(name)[0] or UNKNOWN_TYPE, content


def groups(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Files that go into one request together."""
    group: list[Path] = []
    size = 0
    for path in paths:
        bytes_of_it = path.stat().st_size
        if group and (len(group) == MOST_FILES or size + bytes_of_it > MOST_BYTES):
            yield group
            group, size = [], 0
        group.append(path)
        size += bytes_of_it
    if group:
        yield group


def write(chunks: Iterable[bytes], path: Path) -> None:
    """Into a file beside it first: under its own name there is never half a file."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as target:
            target.writelines(chunks)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def stored_files(answer: dict[str, Any]) -> list[StoredFile]:
    """The files an upload's answer names, in the order they were sent."""
    return [stored_file(one) for one in answer.get("files", [answer])]


def stored_file(shape: Mapping[str, Any]) -> StoredFile:
    """One file as the API shows it."""
    return StoredFile(
        id=shape["fileId"], name=shape["name"], media_type=shape["mediaType"], size=shape["size"], raw=shape
    )

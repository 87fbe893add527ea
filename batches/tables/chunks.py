"""A table cut into chunks of rows: one file of JSON lines in which each chunk can be found by its offset."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson

from batches.tables.names import first_filled, plain_name
from batches.tables.rows import MOST_COLUMNS, Row, UnreadableTable

DUPLICATE_PARTS = 16
MOST_NAMES = 4 * MOST_COLUMNS
"""Different names in all objects of a JSON table: more are not columns but data."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows in a row: where their lines lie, and which of them repeat the identity of an earlier row (row: earlier)."""

    offset: int
    length: int
    first: int
    last: int
    rows: int
    duplicates: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CutTable:
    """What was found while cutting. ``digest``: SHA-256 of the original file, in hexadecimal."""

    columns: list[str]
    rows: int
    chunks: list[Chunk]
    digest: str
    typed: bool
    warnings: list[str]

    def to_json(self) -> dict[str, Any]:
        """Plain enough to cross a pipe."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> CutTable:
        """The other end of the pipe."""
        return cls(**{**document, "chunks": [Chunk(**one) for one in document["chunks"]]})


class Cutter:
    """Writes rows as they come. ``identity``: the columns that say which record a row is, by their names in the file,
    or, of the ``plain_identity``, without regard to case and spaces."""

    def __init__(
        self,
        output: IO[bytes],
        *,
        chunk_rows: int,
        most_rows: int,
        identity: Sequence[str],
        plain_identity: Sequence[str],
    ) -> None:
        self._output = output
        self._chunk_rows, self._most_rows = chunk_rows, most_rows
        self._identity, self._plain_identity = tuple(identity), tuple(plain_identity)
        self._resolved: tuple[str, ...] = ()
        self._digests, self._numbers = array("Q"), array("Q")
        self._chunks: list[Chunk] = []
        self._columns: dict[str, None] = {}

    @property
    def columns(self) -> list[str]:
        """Every column that was seen, in the order of their first appearance."""
        return list(self._columns)

    def cut(self, rows: Iterator[Row]) -> list[Chunk]:
        """Write everything; returns where it lies. Raises :class:`UnreadableTable`."""
        start, first, last, count = 0, 0, 0, 0
        for row in rows:
            if len(self._numbers) >= self._most_rows:
                raise UnreadableTable(f"The table has more than {self._most_rows} rows.", "too_many_rows")
            if count == 0:
                first = row.number
            self._write(row)
            count, last = count + 1, row.number
            if count == self._chunk_rows:
                start = self._end_chunk(start, first, last, count)
                count = 0
        if count:
            self._end_chunk(start, first, last, count)
        self._note_duplicates()
        return self._chunks

    def _write(self, row: Row) -> None:
        identity = None if row.problem else first_filled(row.cells, self._identity_of(row.cells))
        self._numbers.append(row.number)
        self._digests.append(_digest(identity) if identity is not None else 0)
        self._output.write(_line(row))

    def _identity_of(self, cells: Mapping[str, Any]) -> tuple[str, ...]:
        """The row's identity columns; rows of one table mostly have the same columns, so this is found out once."""
        if not self._columns.keys() >= cells.keys():
            self._columns |= dict.fromkeys(cells)
            if len(self._columns) > MOST_NAMES:
                raise UnreadableTable(f"The objects have more than {MOST_NAMES} different fields.", "too_many_columns")
            plain = {plain_name(name): name for name in self._columns}
            named = [plain[name] for name in self._plain_identity if name in plain]
            self._resolved = tuple(dict.fromkeys([*self._identity, *named]))
        return self._resolved

    def _end_chunk(self, start: int, first: int, last: int, count: int) -> int:
        end = self._output.tell()
        self._chunks.append(Chunk(start, end - start, first, last, count))
        return end

    def _note_duplicates(self) -> None:
        """Part by part, so that no table of all rows is ever in memory. A zero stands for a row without identity."""
        for part in range(DUPLICATE_PARTS):
            seen: dict[int, int] = {}
            for index, digest in enumerate(self._digests):
                if digest and digest % DUPLICATE_PARTS == part:
                    earlier = seen.setdefault(digest, index)
                    if earlier != index:
                        chunk = self._chunks[index // self._chunk_rows]
                        chunk.duplicates[str(self._numbers[index])] = self._numbers[earlier]


def read_chunk(file: IO[bytes], offset: int, length: int) -> list[Row]:
    """The rows of one chunk."""
    file.seek(offset)
    rows = []
    for line in file.read(length).splitlines():
        number, cells, problem = json.loads(line)
        rows.append(Row(number, cells, tuple(problem) if problem else None))
    return rows


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _line(row: Row) -> bytes:
    document = [row.number, row.cells, row.problem]
    try:
        return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # large numbers, lone surrogates: what the standard library writes as well
        return json.dumps(document).encode() + b"\n"


def _digest(identity: str) -> int:
    """Eight bytes stand for an identity: a set of a million strings would be 100 MB."""
    return int.from_bytes(hashlib.blake2b(identity.encode(errors="surrogatepass"), digest_size=8).digest(), "big") or 1

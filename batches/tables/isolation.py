"""Runs what handles strangers' files in a process of its own, with bounded memory and time.

A spreadsheet of a few kilobytes can ask a reader for gigabytes (compressed zeros, a cell in the last corner of an empty
sheet). There it costs a process that nobody misses; here neither memory nor the time of other requests.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from batches.strangers import environment
from batches.tables.chunks import CutTable
from batches.tables.reading import ReadingOptions
from batches.tables.rows import UnreadableTable

LONGEST_SECONDS = 300.0
AT_ONCE = 2
"""Per process that asks: the others wait."""

_ROOT = Path(__file__).resolve().parents[2]
_places = threading.BoundedSemaphore(AT_ONCE)


def cut_table(path: Path, output: Path, options: ReadingOptions, cutting: dict[str, Any]) -> CutTable:
    """Read a table and write its rows to ``output``; ``cutting`` are the arguments of :class:`Cutter`.

    Raises :class:`UnreadableTable`.
    """
    chosen = {name: getattr(options, name) for name in ReadingOptions.__dataclass_fields__}
    request = {"path": str(path), "output": str(output), "options": chosen, "cutting": cutting}
    answer = run("batches.tables.unpack", request)
    if "refused" in answer:
        raise UnreadableTable(answer["refused"], answer["code"])
    return CutTable.from_json(answer)


def write_xlsx(source: Path, output: Path, columns: Sequence[str]) -> dict[str, Any]:
    """Make a sheet of JSON lines; says how many ``rows`` it has.

    Raises :class:`UnreadableTable` for more rows than a sheet holds.
    """
    answer = run("batches.tables.pack", {"source": str(source), "output": str(output), "columns": list(columns)})
    if "refused" in answer:
        raise UnreadableTable(answer["refused"], answer["code"])
    return answer


def run(module: str, request: dict[str, Any]) -> dict[str, Any]:
    """The answer of ``python -m module`` to one request. Raises :class:`UnreadableTable` when it did not survive it."""
    with _places:
        try:
            ended = subprocess.run(
                [sys.executable, "-m", module],
                input=json.dumps(request).encode(),
                capture_output=True,
                cwd=_ROOT,
                env=environment(),
                timeout=LONGEST_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UnreadableTable("The file takes too long to read.", "too_slow") from None
    if ended.returncode != 0:
        raise UnreadableTable("The file needs too much memory, or is broken.", "unreadable")
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer

"""The inside of a process that :mod:`batches.tables.isolation` starts: one request in, one answer out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from batches.strangers import bound_process
from batches.tables.rows import UnreadableTable

MEMORY_BYTES = 3 * 1024**3
"""Of address space; of it, about half can be used before an allocation fails."""


def answer_request(work: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Read a JSON object, do the work within bounds, write what came of it."""
    bound_process(MEMORY_BYTES, may_write=True)
    try:
        answer = work(json.load(sys.stdin))
    except UnreadableTable as reason:
        answer = {"refused": str(reason), "code": reason.code}
    json.dump(answer, sys.stdout)

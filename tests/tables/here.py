"""What the processes of :mod:`batches.tables.isolation` do, done here: for tests of everything else."""

from __future__ import annotations

import json
from typing import Any

from batches.tables.pack import pack
from batches.tables.rows import UnreadableTable
from batches.tables.unpack import unpack

WORK = {"batches.tables.unpack": unpack, "batches.tables.pack": pack}


def run_here(module: str, request: dict[str, Any]) -> dict[str, Any]:
    """In place of :func:`batches.tables.isolation.run`."""
    try:
        answer = WORK[module](json.loads(json.dumps(request)))
    except UnreadableTable as reason:
        answer = {"refused": str(reason), "code": reason.code}
    document: dict[str, Any] = json.loads(json.dumps(answer))
    return document

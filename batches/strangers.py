"""What a process that handles strangers' files is given, and what it may take.

There are two kinds: one process per table (:mod:`batches.tables.isolation`), whose rows go from file to file for
minutes, and a pool of readers for documents and images (:mod:`batches.extraction.readers`), which answer in
milliseconds.
"""

from __future__ import annotations

import os
import resource

NICENESS = 5
KEPT_VARIABLES = ("TMPDIR",)


def environment() -> dict[str, str]:
    """No variable of ours: whoever takes a parser over finds neither keys nor a database."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return {"LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", **kept}


def bound_process(memory_bytes: int, *, may_write: bool) -> None:
    """Bound this one: address space, files, core dumps, and its share of the processors."""
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_AS: memory_bytes}
    if not may_write:
        limits[resource.RLIMIT_FSIZE] = 0
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))
    os.nice(NICENESS)

"""The child process: reads requests from standard input and answers them, one after the other, until it is closed.

A request is a line of JSON (``{"task", "size"}``) and so many bytes; an answer is a line of JSON (``{"size", ...}`` or
``{"code", "message"}``) and so many bytes.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import IO, Any

from batches.extraction.formats import extract
from batches.extraction.problems import Unreadable
from batches.extraction.thumbnails import thumbnail
from batches.strangers import bound_process

MOST_MEMORY_BYTES = 1536 * 1024 * 1024
CPU_SECONDS = 20
"""Of one request. More ends the process by SIGXCPU, however busy the machine is otherwise."""
TOO_LARGE = {"code": "needs_too_much_memory", "message": "To read the file takes more memory than it may have."}


def main() -> None:
    # Whatever a library prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    bound_process(MOST_MEMORY_BYTES, may_write=False)
    requests = sys.stdin.buffer
    while line := requests.readline():
        request = json.loads(line)
        content = requests.read(request["size"])
        _allow(CPU_SECONDS)
        head, body = _answer(request["task"], content)
        answers.write(json.dumps({**head, "size": len(body)}).encode() + b"\n" + body)
        answers.flush()
        del content, body


def _allow(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _answer(task: str, content: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        if task == "thumbnail":
            return {}, thumbnail(content)
        found = extract(content)
        return {"pages": found.pages}, found.text.encode()
    except Unreadable as problem:
        return {"code": problem.code, "message": problem.message}, b""
    except (MemoryError, RecursionError):
        return TOO_LARGE, b""


def read_answer(answers: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """The other side of the protocol; None when the child has ended."""
    line = answers.readline()
    if not line.endswith(b"\n"):
        return None
    head: dict[str, Any] = json.loads(line)
    body = answers.read(head["size"])
    return (head, body) if len(body) == head["size"] else None


if __name__ == "__main__":
    main()

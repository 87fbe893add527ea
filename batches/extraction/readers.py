"""The pool of reader processes of one worker."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import queue
import signal
import subprocess
import sys
import threading
from typing import Any

from django.conf import settings

from batches.extraction.child import read_answer
from batches.extraction.formats import Extracted
from batches.extraction.problems import Unreadable
from batches.strangers import environment

MOST_REQUESTS = 200
"""Then a process is replaced: what its parsers leaked goes with it."""
CHUNK = 1024 * 1024
ITS_OWN_FAULT = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE})
TOO_SLOW = ("too_slow", "To read the file takes too long.")
CRASHES = ("crashes_its_reader", "The file crashes the program that reads it.")


class ReaderLost(Exception):
    """A reader ended for a reason that need not lie in the file."""


class ReadersBusy(Exception):
    """No reader became free in time."""


class Readers:
    """At most ``size`` processes, started when they are first needed. Works in threads and under gevent."""

    def __init__(self, size: int) -> None:
        self._places: queue.LifoQueue[_Reader | None] = queue.LifoQueue()
        for _ in range(size):
            self._places.put(None)
        self._running: set[_Reader] = set()
        self._lock = threading.Lock()

    def text(self, content: bytes, *, patience_seconds: float) -> Extracted:
        """The text of a document. Raises :class:`Unreadable`, :class:`ReaderLost` or :class:`ReadersBusy`."""
        head, body = self._ask("text", content, patience_seconds)
        return Extracted(body.decode(), head["pages"])

    def thumbnail(self, content: bytes, *, patience_seconds: float) -> bytes:
        """A small WebP of an image. Raises the same."""
        return self._ask("thumbnail", content, patience_seconds)[1]

    def close(self) -> None:
        """End the processes that are idle or busy."""
        with self._lock:
            readers = list(self._running)
        for reader in readers:
            self._end(reader)

    def _ask(self, task: str, content: bytes, patience_seconds: float) -> tuple[dict[str, Any], bytes]:
        try:
            reader = self._places.get(timeout=patience_seconds)
        except queue.Empty:
            raise ReadersBusy from None
        keep = None
        try:
            if reader is None or not reader.is_alive:
                reader = self._start()
            answer = reader.ask(task, content)
            if answer is not None and reader.asked < MOST_REQUESTS:
                keep = reader
        finally:
            # Also when a deadline cut in: an answer that nobody read would be taken for the next one's.
            if keep is None and reader is not None:
                self._end(reader)
            self._places.put(keep)
        if answer is None:
            raise reader.why_it_ended()
        head, body = answer
        if "code" in head:
            raise Unreadable(head["code"], head["message"])
        return head, body

    def _start(self) -> _Reader:
        reader = _Reader()
        with self._lock:
            self._running.add(reader)
        return reader

    def _end(self, reader: _Reader) -> None:
        with self._lock:
            self._running.discard(reader)
        reader.end()


class _Reader:
    """One process."""

    def __init__(self) -> None:
        self.asked = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "batches.extraction.child"],
            cwd=settings.BASE_DIR,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=-1,
        )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, task: str, content: bytes) -> tuple[dict[str, Any], bytes] | None:
        """Its answer; None when it ended instead."""
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101 - pipes, above
        self.asked += 1
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"task": task, "size": len(content)}).encode() + b"\n")
            for start in range(0, len(content), CHUNK):
                self._process.stdin.write(content[start : start + CHUNK])
            self._process.stdin.flush()
        return read_answer(self._process.stdout)

    def why_it_ended(self) -> Exception:
        """From its exit status."""
        ended_by = -(self._process.returncode or 0)
        if ended_by == signal.SIGXCPU:
            return Unreadable(*TOO_SLOW)
        return Unreadable(*CRASHES) if ended_by in ITS_OWN_FAULT else ReaderLost()

    def end(self) -> None:
        """Wait for one that is ending by itself; its status says why. Otherwise kill it."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(0.2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@functools.cache
def readers() -> Readers:
    """This process's pool."""
    pool = Readers(settings.DOCUMENT_READERS)
    atexit.register(pool.close)
    return pool

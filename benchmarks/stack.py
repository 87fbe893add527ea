"""A whole system for a measurement: ``bin/up`` on free ports and an empty folder, stopped afterwards."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
READY_SECONDS = 180.0


class Stack:
    """A running system: its API and the controls of its sandbox."""

    def __init__(self, port: int, key: str, data: Path, launcher_pid: int) -> None:
        self.data = data
        self.port = port
        self.sandbox_port = port + 1
        self.key = key
        self.launcher_pid = launcher_pid

    def call(self, method: str, path: str, content: Any = None) -> Any:
        """One call of the API; the JSON answer."""
        return request(self.port, method, path, content, {"Authorization": f"Bearer {self.key}"})

    def environment(self) -> dict[str, str]:
        """The variables by which another process reaches this system's Postgres and Redis."""
        return {**os.environ, **json.loads((self.data / "environment.json").read_text())}

    def sandbox(self, method: str, path: str, content: Any = None) -> Any:
        """One call of the sandbox's controls."""
        return request(self.sandbox_port, method, f"/_sandbox/{path}", content, {})


def request(port: int, method: str, path: str, content: Any, headers: dict[str, str]) -> Any:
    """JSON in, JSON out; an error status raises."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        body = None if content is None else json.dumps(content).encode()
        connection.request(method, path, body, {**headers, "Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:500]!r}")
        return json.loads(text) if text else None
    finally:
        connection.close()


@contextlib.contextmanager
def running_stack(workers: int) -> Iterator[Stack]:
    """Start ``bin/up`` without its sample, wait until it is ready, stop it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="batchsite-bench-"))
    folder.chmod(0o711)  # as root, Postgres runs as another account
    port, key = free_ports(), f"bsk_bench_{secrets.token_urlsafe(16)}"
    arguments = ["up", "--port", str(port), "--data", str(folder / "data"), "--no-sample", "--workers", str(workers)]
    environment = {**os.environ, "DEMO_API_KEY": key}
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "batchsite.launcher", *arguments], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
    try:
        wait_until_ready(process, port, folder / "up.log")
        yield Stack(port, key, folder / "data", process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, RuntimeError, http.client.HTTPException):
            request(port, "GET", "/readyz", None, {})
            return
        time.sleep(0.2)
    raise RuntimeError(f"The system did not become ready:\n{log.read_text()[-3000:]}")


def free_ports() -> int:
    """The first of three free ports in a row: web, sandbox, Flower.

    From below those that systems give to outgoing connections: a benchmark has thousands of them, and one could take
    a port between this look and its server's start.
    """
    while True:
        first = random.randrange(15_000, 32_000)
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            for port in range(first, first + 3):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first

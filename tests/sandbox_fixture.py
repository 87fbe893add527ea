"""The fixture ``sandbox``: the real sandbox server in a process of its own, reset before each test."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

START_SECONDS = 20.0
SEED = 20_261_122
DEFAULT_RECEIPTS = {"sent_ms": 100, "ended_ms": 300, "undelivered_rate": 0, "error_code": "", "faults": {}}
DEFAULT_BATCHES = {
    "seconds": 3.0,
    "line_faults": {},
    "create_faults": [],
    "download_bytes_per_second": None,
    "download_cuts": 0,
}


class SandboxServer:
    """A running sandbox and its controls."""

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to know to call it."""
        return {"SANDBOX_URL": self.url}

    def configure(self, **settings: Any) -> dict[str, Any]:
        """Change settings; returns all of them."""
        configuration: dict[str, Any] = self._call("PUT", "/_sandbox/config", settings)
        return configuration

    def log(self) -> list[dict[str, Any]]:
        """Every request received since the last :meth:`clear`."""
        entries: list[dict[str, Any]] = self._call("GET", "/_sandbox/log")
        return entries

    def stalls(self) -> list[tuple[float, float]]:
        """When the sandbox itself stood still."""
        return [(began, ended) for began, ended in self._call("GET", "/_sandbox/stalls")]

    def batches(self) -> list[dict[str, Any]]:
        """Every batch that was made since the last :meth:`clear`, with its marker and its counts."""
        made: list[dict[str, Any]] = self._call("GET", "/_sandbox/batches")
        return made

    def billed(self) -> Counter[str]:
        """How often each line of a batch was answered, and so paid for, by its id."""
        answered = (entry for entry in self.log() if entry["accepted"] and entry["path"].endswith("/lines"))
        return Counter(entry["reference"] for entry in answered)

    def write(self, **message: str) -> int:
        """A person writes to a provider's number; returns what we answered the provider (0: nothing)."""
        status: int = self._call("POST", "/_sandbox/inbound", message)["status"]
        return status

    def clear(self) -> None:
        self._call("DELETE", "/_sandbox/log")
        self._call("DELETE", "/_sandbox/batches")

    def reset(self) -> None:
        """No latency, no limits, no faults, an empty log."""
        self.configure(latency_ms=0, jitter_ms=0, requests_per_minute=None, error_rates={}, permanent_error_rate=0)
        self.configure(accounts={})
        self.configure(batches=DEFAULT_BATCHES, receipts=DEFAULT_RECEIPTS, seed=SEED)
        self.clear()

    def _call(self, method: str, path: str, content: Any = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.url + path, data=body, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            answer = response.read()
        return json.loads(answer) if answer else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[SandboxServer]:
    with running_sandbox() as server:
        yield server


@contextmanager
def running_sandbox() -> Iterator[SandboxServer]:
    """One more sandbox, in a process of its own."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "providers.sandbox", "--port", str(port), "--latency-ms", "0"])
    try:
        _wait_until_listening(process, port)
        yield SandboxServer(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def sandbox(sandbox_server: SandboxServer) -> SandboxServer:
    sandbox_server.reset()
    return sandbox_server


def _wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"The sandbox ended at once with status {process.returncode}.")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("The sandbox did not start listening.")

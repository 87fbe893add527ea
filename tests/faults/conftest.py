"""What the fault tests run on: an engine to hurt, servers of their own to hurt, and a place for what was measured."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dj_database_url
import pytest
from django.db import connection

from batches import limits
from batches.connections import redis_client
from batchsite.launcher.postgres import Postgres
from batchsite.launcher.redis import Redis
from tests.conftest import Servers
from tests.engine_fixture import ROOT, Engine, empty_ledger
from tests.sandbox_fixture import SandboxServer, running_sandbox

pytest.register_assert_rewrite("tests.faults.campaign")

Measure = Callable[[str, float], None]

PROCESS_NAME = "engine-under-fault"
"""The application name of the engine's database sessions."""
FIGURES = pytest.StashKey[list[str]]()


class TwoSandboxes(SandboxServer):
    """One for photos, and one for messages that is their witness.

    Thousands of photos make a sandbox late to look at the clock, and what it saw of messages would prove nothing.
    """

    def __init__(self, photos: SandboxServer, messages: SandboxServer) -> None:
        super().__init__(photos.url)
        self.messages = messages

    @property
    def environment(self) -> dict[str, str]:
        """With a key, Twilio is called where its entry says."""
        return {
            **super().environment,
            "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
            "MESSAGES_SANDBOX_URL": self.messages.url,
            "TWILIO_AUTH_TOKEN": "sandbox",
            "TWILIO_ACCOUNT_SID": "AC1",
            "TWILIO_FROM": "+15005550006",
        }

    def configure(self, **settings: Any) -> dict[str, Any]:
        self.messages.configure(**settings)
        return super().configure(**settings)

    def log(self) -> list[dict[str, Any]]:
        return sorted(super().log() + self.messages.log(), key=lambda entry: float(entry["at"]))

    def stalls(self) -> list[tuple[float, float]]:
        return self.messages.stalls()

    def clear(self) -> None:
        super().clear()
        self.messages.clear()


@pytest.fixture(scope="session")
def messages_server() -> Iterator[SandboxServer]:
    with running_sandbox() as server:
        yield server


@pytest.fixture(scope="session")
def two_sandboxes(sandbox_server: SandboxServer, messages_server: SandboxServer) -> TwoSandboxes:
    return TwoSandboxes(sandbox_server, messages_server)


@pytest.fixture
def sandbox(two_sandboxes: TwoSandboxes) -> SandboxServer:
    two_sandboxes.reset()
    return two_sandboxes


@pytest.fixture
def engine(sandbox: SandboxServer, tmp_path: Path) -> Iterator[Engine]:
    """A dispatcher and two workers, for one test that will hurt them."""
    with Engine(sandbox, tmp_path, PROCESS_NAME=PROCESS_NAME) as running:
        yield running.start(workers=2)


@pytest.fixture(scope="module")
def lasting_engine(
    django_db_setup: None, two_sandboxes: TwoSandboxes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """For the tests of a module that start and stop its processes themselves; none runs yet."""
    with Engine(two_sandboxes, tmp_path_factory.mktemp("engine"), PROCESS_NAME=PROCESS_NAME) as running:
        yield running
    empty_ledger()


@pytest.fixture
def own_redis(settings: Any, tmp_path: Path) -> Iterator[Redis]:
    """A Redis of the test's own, which this process uses as well, as a web process would."""
    server = Redis(tmp_path / "redis")
    settings.REDIS_URL = server.start()
    _forget_redis()
    yield server
    server.stop(immediate=True)
    _forget_redis()


def _forget_redis() -> None:
    redis_client.cache_clear()
    limits._script.cache_clear()


@pytest.fixture
def own_postgres(transactional_db: None) -> Iterator[Postgres]:
    """A Postgres of the test's own, durable as in production, which this process uses as well."""
    servers = Servers()
    server = Postgres(servers.folder / "postgres")
    servers.running.append(server)
    usual = dict(connection.settings_dict)
    try:
        url = server.start()
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": url},
            check=True,
        )
        _use_database(dict(dj_database_url.parse(url)))
        yield server
    finally:
        _use_database(usual)
        servers.stop()
        servers.lock.close()


def _use_database(wanted: dict[str, Any]) -> None:
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # Postgres's own, since Django 5.1
    connection.settings_dict.update({name: wanted[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")})


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Measure:
    """Note a figure; all of them are printed at the end of the run."""
    figures: list[str] = request.config.stash.setdefault(FIGURES, [])

    def note(what: str, value: float) -> None:
        figures.append(f"{request.node.name}: {what} {value:.1f}")

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What was measured."""
    figures: list[str] = config.stash.setdefault(FIGURES, [])
    for figure in sorted(figures):
        terminalreporter.write_line(figure)

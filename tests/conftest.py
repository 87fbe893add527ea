"""Starts the servers before anything reads the settings; pytest with or without bin/test, it is all the same."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import psutil
import pytest
from django.conf import settings

from batchsite.launcher.folder import DataFolder, LauncherError
from batchsite.launcher.postgres import Postgres
from batchsite.launcher.redis import Redis

pytest_plugins = ["tests.sandbox_fixture"]


PREFIX = "batchsite-test-"
STARTED: set[str] = set()
"""The variables that this process has set for itself."""


class Servers:
    """A Postgres and a Redis for this run, in a folder that goes with it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self.folder.chmod(0o711)  # as root, Postgres runs as another account
        self.lock = DataFolder(self.folder)
        self.lock.open()
        self.running: list[Postgres | Redis] = []

    def start(self) -> None:
        if not os.environ.get("DATABASE_URL"):
            os.environ["DATABASE_URL"] = self._run(Postgres(self.folder / "postgres", durable=False))
        if not os.environ.get("REDIS_URL"):
            os.environ["REDIS_URL"] = self._run(Redis(self.folder / "redis"))

    def _run(self, server: Postgres | Redis) -> str:
        self.running.append(server)
        return server.start()

    def stop(self) -> None:
        while self.running:
            self.running.pop().stop(immediate=True)
        remove(self.folder)


def remove(folder: Path) -> None:
    """Postgres may live elsewhere, behind a link."""
    shutil.rmtree((folder / "postgres").resolve(), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned() -> None:
    """The folders of runs that were killed: nobody holds their lock any more."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(LauncherError, OSError):
            if time.time() - path.stat().st_mtime > 60:  # a younger one may not have its lock yet
                abandoned = DataFolder(path)
                abandoned.open()
                remove(path)
                abandoned.close()


def interrupt(number: int, frame: object) -> None:
    """A SIGTERM ends the run as Ctrl-C does, with everything stopped."""
    raise KeyboardInterrupt


def start_servers() -> None:
    if settings.configured:
        if os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"):
            return
        raise pytest.UsageError(
            "The settings were loaded before the servers could start. Run bin/test, "
            "or add -o DJANGO_SETTINGS_MODULE= to the arguments, or set DATABASE_URL and REDIS_URL."
        )
    remove_abandoned()
    servers = Servers()
    atexit.register(servers.stop)
    signal.signal(signal.SIGTERM, interrupt)
    os.environ["BATCHSITE_DATA"] = str(servers.folder / "data")
    unset = {"DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"} - os.environ.keys()
    servers.start()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchsite.settings")
    STARTED.update(unset)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """With ``-n``: each process of pytest-xdist starts servers of its own, as this one did."""
    for name in STARTED:
        os.environ.pop(name, None)


# A fresh clone builds hypothesis's tables of characters during the first draw, under coverage and on two shared cores:
# how long a draw takes says nothing about the code.
hypothesis.settings.register_profile(
    "shared-machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("shared-machine")

# While this file is imported: the plugins and tests below it may read settings at their own import.
start_servers()
import django  # noqa: E402

django.setup()
# A password costs half a second to hash, on purpose; hundreds of tests have somebody with one.
settings.PASSWORD_HASHERS = ["tests.quick_passwords.QuickHasher", *settings.PASSWORD_HASHERS]


# A test's rows are flushed while an engine may be running, which holds some tables and wants others. One of the two has
# to give way, and the engine is made to: it meets a deadlock as any other fault of the database.
from django.db.backends.postgresql.operations import DatabaseOperations  # noqa: E402

PATIENT = """DO $$ BEGIN PERFORM set_config('deadlock_timeout', '1min', true);
             EXCEPTION WHEN insufficient_privilege THEN NULL; END $$"""
_flush = DatabaseOperations.execute_sql_flush


def flush_patiently(operations: DatabaseOperations, statements: list[str]) -> None:
    _flush(operations, [PATIENT, *statements])


DatabaseOperations.execute_sql_flush = flush_patiently  # type: ignore[assignment, method-assign]


FAULTS = Path(__file__).resolve().parent / "faults"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", action="store_true", help="run all fault tests (thirty minutes), and nothing else")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long fault tests run when they are asked for."""
    if config.getoption("--faults"):
        wanted = [item for item in items if item.path.is_relative_to(FAULTS)]
    else:
        wanted = [item for item in items if not item.get_closest_marker("faults")]
    config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
    items[:] = wanted


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs; an ended one that nobody waited for does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left_behind() -> Iterator[None]:
    """A test that starts a process also ends it."""
    # Direct children only: Postgres, one of them, starts and ends processes of its own as it likes.
    before = set(psutil.Process().children())
    yield
    left = [process for process in psutil.Process().children() if process not in before]
    names = [" ".join(process.cmdline()) for process in left if is_alive(process)]
    for process in left:
        process.kill()
    assert not names, f"left running by a test: {names}"

"""A client that does not really wait, so that what it would have waited can be asked; and the whole stack."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.contrib.auth.models import User

from batches.models import ApiKey
from batchsite.client import BatchClient
from tests.client.scripted import ScriptedServer
from tests.engine_fixture import ROOT, Engine, engine
from tests.sandbox_fixture import free_port

__all__ = ["engine"]

Serve = Callable[..., tuple[BatchClient, ScriptedServer]]
START_SECONDS = 40.0


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds the client wanted to sleep between its tries. Other threads sleep as ever."""
    slept: list[float] = []
    sleep, mine = time.sleep, threading.get_ident()

    def note(seconds: float) -> None:
        if threading.get_ident() == mine:
            slept.append(seconds)
        else:
            sleep(seconds)

    monkeypatch.setattr("time.sleep", note)
    return slept


@pytest.fixture
def serve(waits: list[float]) -> Iterator[Serve]:
    """A server with this script, and a client of it."""
    with ExitStack() as stack:

        def start(*script: Any, **options: Any) -> tuple[BatchClient, ScriptedServer]:
            server = stack.enter_context(ScriptedServer(*script))
            return stack.enter_context(BatchClient("secret", server.url, **options)), server

        yield start


@pytest.fixture(scope="module")
def site(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a web process beside the engine."""
    port = free_port()
    log_path: Path = tmp_path_factory.mktemp("web") / "web.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "batchsite.asgi:application", "--port", str(port)],
            cwd=ROOT,
            env={**engine.environment, "SECRET_KEY": project.SECRET_KEY},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/healthz", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(START_SECONDS)
    assert "Traceback" not in log_path.read_text()


def wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, "the web process ended"
        assert time.monotonic() < deadline, "the web process did not answer"
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310
        except OSError:
            time.sleep(0.05)
        else:
            return


@pytest.fixture
def owner(transactional_db: None) -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def client(site: str, owner: User) -> Iterator[BatchClient]:
    """Alice's, of the real stack."""
    _, secret = ApiKey.issue(owner_id=owner.pk, name="test")
    with BatchClient(secret, site) as client:
        yield client

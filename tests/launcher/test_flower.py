"""Flower as the Procfile starts it: behind a login on every page, its queues named, and nothing to press."""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batches.states import LANES
from batchsite.launcher import children, procfile
from tests.engine_fixture import ROOT
from tests.sandbox_fixture import free_port

START_SECONDS = 30.0
PAGES = ("/", "/tasks", "/broker", "/metrics", "/healthcheck", "/api/workers", "/api/tasks")


class Flower:
    """A running one."""

    def __init__(self, log: Path) -> None:
        self.port = free_port()
        self.password = secrets.token_urlsafe(8)
        environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "FLOWER_PORT": str(self.port),
            "FLOWER_BASIC_AUTH": f"demo:{self.password}",
        }
        command = procfile.read(ROOT / "Procfile")["flower"]
        with log.open("wb") as output:
            self.process: subprocess.Popen[bytes] = children.start(
                ["bash", "-c", f"exec {command}"], environment=environment, output=output, folder=ROOT
            )

    def ask(self, method: str, path: str, password: str = "") -> tuple[int, str]:
        login = base64.b64encode(f"demo:{password}".encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, headers={"Authorization": f"Basic {login}"} if password else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def answers(self) -> bool:
        with contextlib.suppress(OSError):
            return self.ask("GET", "/")[0] == 401
        return False


@pytest.fixture(scope="module")
def flower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flower]:
    log = tmp_path_factory.mktemp("flower") / "log"
    started = Flower(log)
    deadline = time.monotonic() + START_SECONDS
    try:
        while not started.answers():
            assert started.process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield started
    finally:
        started.process.terminate()
        started.process.wait(10)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_wants_the_login(flower: Flower, path: str) -> None:
    assert flower.ask("GET", path)[0] == 401
    assert flower.ask("GET", path, "wrong")[0] == 401
    assert flower.ask("GET", path, flower.password)[0] == 200


def test_the_broker_is_found_behind_its_prefix_and_lists_the_lanes(flower: Flower) -> None:
    shown = flower.ask("GET", "/broker", flower.password)[1]
    assert [lane for lane in (*LANES, "solo", "maintenance") if lane not in shown] == []


@pytest.mark.parametrize("path", ["/api/task/send-task/batches.run_lease", "/api/worker/shutdown/worker-1"])
def test_it_only_looks(flower: Flower, path: str) -> None:
    assert flower.ask("POST", path, flower.password)[0] == 403


def test_without_a_login_it_does_not_start() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLOWER_")}
    command = [sys.executable, "-m", *procfile.read(ROOT / "Procfile")["flower"].split()[:5]]
    command += [f"--port={free_port()}", "--conf=batchsite/flower_settings.py"]
    ended = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "FLOWER_BASIC_AUTH" in ended.stderr

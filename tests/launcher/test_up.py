"""bin/up from the outside: exit codes, messages, and nothing left running."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from batchsite.launcher import readiness
from batchsite.launcher.folder import free_port
from batchsite.launcher.up import parser
from tests.launcher import fake_project

Launch = Callable[..., "Run"]


class Run:
    """A running bin/up of the fake project."""

    def __init__(self, folder: Path, arguments: list[str], variables: dict[str, str]) -> None:
        self.output = folder / f"output-{time.monotonic_ns()}"
        environment = {name: value for name, value in os.environ.items() if name not in {"DEMO_API_KEY", "SECRET_KEY"}}
        command = [sys.executable, "-c", fake_project.DRIVER, str(folder), *arguments]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env={**environment, **variables}
            )

    def finish(self, seconds: float = 20) -> tuple[int, str]:
        return self.process.wait(seconds), self.output.read_text()

    def wait_for(self, text: str, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.output.read_text():
            assert time.monotonic() < deadline, self.output.read_text()
            assert self.process.poll() is None, self.output.read_text()
            time.sleep(0.05)

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    _, left = psutil.wait_procs(processes, timeout=5)
    return [process for process in left if process.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    runs: list[Run] = []
    fake_project.write(tmp_path)
    port = three_free_ports()

    def launch(*arguments: str, **variables: str) -> Run:
        run = Run(tmp_path, ["--port", str(port), "--data", str(tmp_path / "data"), *arguments], variables)
        runs.append(run)
        return run

    yield launch
    for run in runs:
        run.process.kill()
        run.process.wait()


def three_free_ports() -> int:
    while True:
        port = free_port()
        try:
            with socket.socket() as second, socket.socket() as third:
                second.bind(("127.0.0.1", port + 1))
                third.bind(("127.0.0.1", port + 2))
                return port
        except (OSError, OverflowError):
            continue


def test_once_runs_the_sample_and_stops_everything(launch: Launch) -> None:
    code, output = launch("--once").finish()
    assert code == 0, output
    assert "manage sample bsk_demo_" in output
    assert "Stopped." in output


def test_once_passes_the_failure_of_the_sample_on(launch: Launch) -> None:
    code, output = launch("--once", CODE_SAMPLE="3").finish()
    assert code == 1, output


def test_it_keeps_serving_until_sigterm_and_leaves_nothing(launch: Launch) -> None:
    run = launch("--workers", "3", DEMO_API_KEY="bsk_mine_1")
    run.wait_for("Ready.")
    processes = run.descendants()
    assert len(processes) >= 5
    run.process.send_signal(signal.SIGTERM)
    code, output = run.finish()
    assert code == 0, output
    assert "bsk_mine_1" in output
    assert not alive(processes)


def test_with_its_own_servers_side_by_side_and_killed(launch: Launch, tmp_path: Path) -> None:
    own = {"DATABASE_URL": "", "REDIS_URL": ""}
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(path.stat().st_mode | 0o011)
    run = launch("--no-sample", **own)
    run.wait_for("Ready.")
    worker = next(process for process in run.descendants() if process.environ().get("PROCESS_NAME") == "worker-1")
    with psycopg.connect(worker.environ()["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("batchsite",)
    assert worker.environ()["REDIS_URL"].startswith("redis://127.0.0.1:")
    other = launch("--no-sample", "--port", str(three_free_ports()), "--data", str(tmp_path / "other"), **own)
    other.wait_for("Ready.")
    processes = [*run.descendants(), *other.descendants()]
    run.process.kill()
    other.process.send_signal(signal.SIGINT)
    assert other.finish()[0] == 0
    assert not alive(processes)


def test_its_servers_are_started_again_on_their_old_ports(launch: Launch, tmp_path: Path) -> None:
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(path.stat().st_mode | 0o011)
    run = launch("--no-sample", DATABASE_URL="", REDIS_URL="")
    run.wait_for("Ready.")
    worker = next(process for process in run.descendants() if process.environ().get("PROCESS_NAME") == "worker-1")
    addresses = worker.environ()
    servers = [process for process in psutil.Process(run.process.pid).children() if is_server(process)]
    assert len(servers) == 2
    for server in servers:
        server.kill()

    run.wait_for("Postgres ended with code -9; starting it again")
    run.wait_for("Redis ended with code -9; starting it again")

    until_answered(lambda: psycopg.connect(addresses["DATABASE_URL"], connect_timeout=2).close())
    until_answered(lambda: redis.Redis.from_url(addresses["REDIS_URL"]).ping())
    run.process.send_signal(signal.SIGTERM)
    assert run.finish(40)[0] == 0


def is_server(process: psutil.Process) -> bool:
    return process.name().startswith(("postgres", "redis", "valkey"))


def until_answered(ask: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            ask()
        except (psycopg.OperationalError, redis.RedisError):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


def test_the_same_data_twice_at_once_is_refused(launch: Launch) -> None:
    first = launch("--no-sample")
    first.wait_for("Ready.")
    code, output = launch("--no-sample", "--port", str(three_free_ports())).finish()
    assert code == 1
    assert "in use by another bin/up" in output


def test_a_taken_port_is_named(launch: Launch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        code, output = launch(SANDBOX_PORT=str(other.getsockname()[1])).finish()
    assert code == 1
    assert f"Port {other_port(output)}, meant for sandbox, is taken" in output


def other_port(output: str) -> str:
    return output.split("Port ")[1].split(",", maxsplit=1)[0]


def test_what_never_becomes_ready_is_named_with_its_log(launch: Launch, tmp_path: Path) -> None:
    fake_project.write(tmp_path, worker="bash -c 'echo still loading; sleep 60'")
    code, output = launch(WEB_READY="no").finish()
    assert code == 1
    assert "waiting for: worker" in output
    assert "still loading" in output


def test_a_process_that_keeps_dying_ends_the_start_with_its_log(launch: Launch, tmp_path: Path) -> None:
    fake_project.write(tmp_path, worker="bash -c 'echo no such module; exit 1'")
    code, output = launch("--workers", "1", WEB_READY="no").finish()
    assert code == 1
    assert "no such module" in output


def test_a_failed_migration_ends_the_start(launch: Launch) -> None:
    code, output = launch(CODE_MIGRATE="2").finish()
    assert code == 1
    assert "manage.py migrate failed with code 2" in output


def test_a_second_signal_does_not_wait(launch: Launch, tmp_path: Path) -> None:
    stubborn = f"{sys.executable} -c 'import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)'"
    fake_project.write(tmp_path, worker=stubborn)
    run = launch("--no-sample")
    run.wait_for("Ready.")
    time.sleep(0.3)
    run.process.send_signal(signal.SIGINT)
    run.wait_for("Stopping")
    run.process.send_signal(signal.SIGINT)
    code, output = run.finish(5)
    assert code == 0
    assert "Killed" in output


def test_the_interface() -> None:
    options = parser().parse_args([])
    assert (options.port, options.workers, options.no_sample, options.once) == (8000, 2, False, False)
    options = parser().parse_args(["--port", "9000", "--data", "x", "--workers", "4", "--once"])
    assert (options.port, options.data, options.workers, options.once) == (9000, Path("x"), 4, True)


@pytest.mark.parametrize("arguments", [["--port", "0"], ["--port", "x"], ["--workers", "0"], ["--workers", "-1"]])
def test_odd_arguments_are_refused(arguments: list[str]) -> None:
    with pytest.raises((SystemExit, argparse.ArgumentError)):
        parser().parse_args(arguments)


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        (b'{"ready": false, "parts": {"database": true, "worker": false}}', "worker"),
        (b'{"status": "unready", "redis": "down", "database": "ok"}', "redis"),
        (b"<html>", "web"),
        (b"{}", "web"),
    ],
)
def test_the_missing_part_is_read_from_the_answer(body: bytes, missing: str) -> None:
    assert readiness.missing_parts(body) == missing

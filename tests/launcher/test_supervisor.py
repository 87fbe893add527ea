"""Restarts, order of stopping, and nothing left behind: on real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from batchsite.launcher import procfile, supervisor
from batchsite.launcher.folder import LauncherError
from batchsite.launcher.supervisor import Supervisor

PYTHON = sys.executable
STUBBORN = f'{PYTHON} -c "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"'
Start = Callable[..., Supervisor]


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def start(tmp_path: Path, notices: list[str]) -> Iterator[Start]:
    started: list[Supervisor] = []

    def start(commands: dict[str, str], copies: dict[str, int] | None = None, **variables: str) -> Supervisor:
        environment = {"PATH": os.environ["PATH"], **variables}
        subject = Supervisor(
            commands, folder=tmp_path, logs=tmp_path, environment=environment, copies=copies, notify=notices.append
        )
        started.append(subject)
        subject.start()
        return subject

    yield start
    for subject in started:
        subject.stop(hurry=lambda: True)


def eventually(condition: Callable[[], object], subject: Supervisor | None = None, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        if subject:
            subject.tick()
        time.sleep(0.02)


def text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_variables_and_their_defaults_reach_the_command(start: Start, tmp_path: Path) -> None:
    start({"web": 'echo "$PROCESS_NAME $INDEX ${PORT:-1} ${HOST:-local}"'}, PORT="8123")
    eventually(lambda: text(tmp_path / "web.log") == "web 1 8123 local\n")


def test_copies_are_numbered(start: Start, tmp_path: Path) -> None:
    start({"worker": 'echo "$PROCESS_NAME"'}, {"worker": 2})
    eventually(lambda: text(tmp_path / "worker-1.log") == "worker-1\n")
    eventually(lambda: text(tmp_path / "worker-2.log") == "worker-2\n")


def test_the_program_itself_gets_the_signals(start: Start) -> None:
    subject = start({"web": "sleep 60"})
    process = subject.processes[0].running
    assert process is not None
    eventually(lambda: psutil.Process(process.pid).name() == "sleep")
    assert os.getpgid(process.pid) == process.pid


def test_a_process_that_died_is_started_again(start: Start, notices: list[str]) -> None:
    subject = start({"web": "sleep 60"})
    web = subject.processes[0].running
    assert web is not None
    web.kill()
    eventually(lambda: subject.processes[0].running not in {None, web}, subject)
    assert notices[0].startswith("web was ended by SIGKILL; starting it again in 0.5 s.")


def test_one_that_keeps_dying_is_tried_less_and_less_often(
    start: Start, notices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE", 1.0)
    subject = start({"beat": "bash -c 'exit 3'"})
    process = subject.processes[0]
    eventually(lambda: process.deaths == 1, subject)
    assert process.pause == 1.0
    eventually(lambda: process.deaths == 3, subject)
    assert process.pause == 1.0
    assert [notice.split(".")[0] for notice in notices[:1]] == ["beat ended with code 3; starting it again in 0"]
    assert "in 1 s" in notices[-1]


def test_what_a_dead_process_started_dies_too(start: Start, tmp_path: Path) -> None:
    subject = start({"web": "bash -c 'sleep 61 & echo $!; wait'"})
    eventually(lambda: text(tmp_path / "web.log"))
    child = psutil.Process(int(text(tmp_path / "web.log")))
    process = subject.processes[0].running
    assert process is not None
    process.kill()
    eventually(lambda: subject.processes[0].deaths, subject)
    eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_the_sandbox_outlives_the_workers(start: Start, tmp_path: Path) -> None:
    script = (
        "import signal, sys, time\n"
        "def leave(*_):\n"
        "    time.sleep(float(sys.argv[1]))\n"
        "    print(time.monotonic(), flush=True)\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, leave)\n"
        "print('up', flush=True)\n"
        "time.sleep(60)\n"
    )
    (tmp_path / "drain.py").write_text(script)
    subject = start({"sandbox": f"{PYTHON} drain.py 0", "worker": f"{PYTHON} drain.py 0.5"})
    eventually(lambda: "up" in text(tmp_path / "sandbox.log") and "up" in text(tmp_path / "worker.log"))
    assert subject.stop() == []
    ended = {name: float(text(tmp_path / f"{name}.log").split()[-1]) for name in ("sandbox", "worker")}
    assert ended["sandbox"] > ended["worker"]


def test_whoever_does_not_stop_in_time_is_killed_and_named(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "OTHER_GRACE_SECONDS", 0.2)
    subject = start({"web": STUBBORN})
    eventually(lambda: text(tmp_path / "web.log"))
    assert subject.stop() == ["web"]


def test_hurry_does_not_wait(start: Start, tmp_path: Path) -> None:
    subject = start({"worker": STUBBORN})
    eventually(lambda: text(tmp_path / "worker.log"))
    began = time.monotonic()
    assert subject.stop(hurry=lambda: True) == ["worker"]
    assert time.monotonic() - began < 2


def test_kill_9_of_the_launcher_leaves_nothing(tmp_path: Path) -> None:
    script = (
        "import json, os, sys, time; from pathlib import Path; from batchsite.launcher.supervisor import Supervisor;"
        "here = Path(sys.argv[1]);"
        "subject = Supervisor({'web': 'sleep 60', 'worker': 'sleep 60'}, folder=here, logs=here,"
        " environment=dict(os.environ), copies={'worker': 2}); subject.start();"
        "print(json.dumps([process.running.pid for process in subject.processes]), flush=True); time.sleep(60)"
    )
    launcher = subprocess.Popen([PYTHON, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    children = [psutil.Process(pid) for pid in json.loads(launcher.stdout.readline())]
    launcher.send_signal(signal.SIGKILL)
    launcher.wait()
    launcher.stdout.close()
    eventually(lambda: not any(c.is_running() and c.status() != psutil.STATUS_ZOMBIE for c in children))


def test_the_procfile_names_the_processes_of_the_design() -> None:
    root = Path(__file__).resolve().parents[2]
    commands = procfile.read(root / "Procfile")
    assert list(commands) == ["web", "worker", "dispatcher", "beat", "sandbox", "flower"]
    for command in commands.values():
        subprocess.run(["bash", "-n", "-c", f"exec {command}"], check=True)


@pytest.mark.parametrize("content", ["web sleep", "web:", ": sleep", "web: a\nweb: b"])
def test_a_broken_procfile_is_refused_by_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "Procfile").write_text(f"# comment\n\n{content}\n")
    with pytest.raises(LauncherError, match="line"):
        procfile.read(tmp_path / "Procfile")

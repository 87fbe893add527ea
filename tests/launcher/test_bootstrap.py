"""The first start on a bare Python. No package is downloaded here."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from batchsite.launcher import bootstrap

ROOT = Path(__file__).resolve().parents[2]
Commands = list[list[str]]


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text("# nothing\n")
    return path


@pytest.fixture
def installs(monkeypatch: pytest.MonkeyPatch) -> Commands:
    """A virtual environment is really made, installing is noted only."""
    commands: Commands = []
    monkeypatch.setattr(bootstrap, "run", commands.append)
    return commands


def test_packages_are_installed_once_per_version_of_the_file(
    tmp_path: Path, requirements: Path, installs: Commands
) -> None:
    python = bootstrap.ready_environment(tmp_path / ".venv", requirements)
    assert subprocess.run([python, "-c", ""], check=False).returncode == 0
    bootstrap.ready_environment(tmp_path / ".venv", requirements)
    assert len(installs) == 1
    assert "--require-hashes" in installs[0]
    requirements.write_text("# changed\n")
    bootstrap.ready_environment(tmp_path / ".venv", requirements)
    assert len(installs) == 2


def test_a_half_finished_install_is_done_again(
    tmp_path: Path, requirements: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(command: list[str]) -> None:
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(bootstrap, "create", lambda folder: folder.mkdir())
    monkeypatch.setattr(bootstrap, "run", fail)
    with pytest.raises(subprocess.CalledProcessError):
        bootstrap.ready_environment(tmp_path / ".venv", requirements)
    assert not list((tmp_path / ".venv").glob(".*sha256"))


def test_two_starts_at_once_install_once(tmp_path: Path, requirements: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installs: Commands = []
    monkeypatch.setattr(bootstrap, "run", installs.append)
    monkeypatch.setattr(bootstrap, "create", fake_environment)
    starts = [
        threading.Thread(target=bootstrap.ready_environment, args=(tmp_path / ".venv", requirements)) for _ in range(2)
    ]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert len(installs) == 1


def fake_environment(folder: Path) -> None:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)


@pytest.mark.parametrize("working", ["venv", "virtualenv", "--without-pip"])
def test_without_ensurepip_another_way_is_found(monkeypatch: pytest.MonkeyPatch, working: str, tmp_path: Path) -> None:
    tried: Commands = []

    def succeeds(command: list[str]) -> bool:
        tried.append(command)
        plain = command[2] if "--without-pip" not in command else "--without-pip"
        return plain in {working, "pip"}

    monkeypatch.setattr(bootstrap, "succeeds", succeeds)
    bootstrap.create(tmp_path / ".venv")
    assert working in tried[-1] or tried[-1][2] == "pip"


def test_without_any_pip_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bootstrap, "succeeds", lambda command: False)
    with pytest.raises(SystemExit, match="python3-venv"):
        bootstrap.create(tmp_path / ".venv")


def test_the_scripts_work_from_anywhere_and_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "start").symlink_to(ROOT / "bin" / "up")
    done = subprocess.run([tmp_path / "start", "--help"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "--once" in done.stdout


def test_without_a_python_the_script_says_so(tmp_path: Path) -> None:
    for name in ("bash", "dirname", "readlink"):
        found = subprocess.run(["bash", "-c", f"command -v {name}"], capture_output=True, text=True, check=True)
        (tmp_path / name).symlink_to(found.stdout.strip())
    done = subprocess.run([ROOT / "bin" / "up"], env={"PATH": str(tmp_path)}, capture_output=True, check=False)
    assert done.returncode == 1
    assert b"needs Python 3.11 or newer" in done.stderr

"""The embedded Postgres, for real: every test starts servers of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dj_database_url
import psutil
import psycopg
import pytest

from batchsite.launcher import postgres as module
from batchsite.launcher.folder import LauncherError
from batchsite.launcher.postgres import Postgres


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(path.stat().st_mode | 0o011)
    yield tmp_path / "postgres"
    if (tmp_path / "postgres").is_symlink():
        shutil.rmtree((tmp_path / "postgres").resolve())


@pytest.fixture
def server(folder: Path) -> Iterator[Postgres]:
    server = Postgres(folder, durable=False)
    yield server
    server.stop(immediate=True)


def query(url: str, statement: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute(statement).fetchone()
    return str(row[0]) if row else ""


def test_one_url_serves_psycopg_and_django(server: Postgres) -> None:
    url = server.start()
    assert query(url, "SELECT current_database()") == "batchsite"
    parsed = dj_database_url.parse(url)
    assert (parsed["NAME"], parsed["HOST"]) == ("batchsite", "127.0.0.1")
    assert query(url, "SELECT lower('ÄÖ') || (pg_catalog.current_setting('max_connections'))") == "äö200"


def test_a_second_start_finds_data_password_and_port_again(server: Postgres) -> None:
    url = server.start()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    assert server.start() == url
    assert query(url, "SELECT answer FROM kept") == "42"


def test_nobody_gets_in_without_the_password(server: Postgres) -> None:
    url = server.start()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url.replace(server._password, "guess"))


def test_a_file_that_names_a_stranger_hurts_neither(server: Postgres, folder: Path) -> None:
    server.start()
    server.stop()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (folder / "cluster" / "postmaster.pid").write_text(f"{stranger.pid}\n{folder}/cluster\n0\n1\n\n\n\n\n")
        server.start()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_server_that_an_earlier_launcher_left_is_replaced(server: Postgres, folder: Path) -> None:
    leftover = Postgres(folder, durable=False)
    url = leftover.start()
    assert leftover.process is not None
    assert server.start() == url
    assert leftover.process.wait(5) == 0


def test_a_crashed_server_starts_again(server: Postgres) -> None:
    url = server.start()
    assert server.process is not None
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    assert server.start() == url


def test_two_servers_run_side_by_side(server: Postgres, tmp_path: Path) -> None:
    other = Postgres(tmp_path / "other", durable=False)
    try:
        assert server.start() != other.start()
    finally:
        other.stop(immediate=True)


def test_an_interrupted_first_start_is_started_over(server: Postgres, folder: Path) -> None:
    (folder / "cluster.new").mkdir(parents=True)
    (folder / "cluster.new" / "PG_VERSION").write_text("18\n")
    assert server.start()


def test_data_of_another_version_is_refused(server: Postgres, folder: Path) -> None:
    (folder / "cluster").mkdir(parents=True)
    (folder / "cluster" / "PG_VERSION").write_text("9\n")
    with pytest.raises(LauncherError, match="made by Postgres 9"):
        server.start()


def test_a_server_that_cannot_start_shows_its_log(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.SETTINGS, "shared_buffers", "nonsense")
    with pytest.raises(LauncherError, match="nonsense"):
        server.start()


def test_it_dies_with_a_launcher_that_is_killed(folder: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from batchsite.launcher.postgres import Postgres;"
        "server = Postgres(Path(sys.argv[1]), durable=False); server.start();"
        "print(server.process.pid, flush=True); time.sleep(60)"
    )
    launcher = subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    server = psutil.Process(int(launcher.stdout.readline()))
    launcher.kill()
    launcher.wait()
    launcher.stdout.close()
    psutil.wait_procs([server], timeout=10)
    assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as another account")
def test_root_in_a_closed_folder_keeps_the_data_elsewhere(server: Postgres, folder: Path) -> None:
    folder.parent.chmod(0o700)
    assert query(server.start(), "SELECT 1") == "1"
    assert folder.resolve().is_relative_to(module.SHARED_FOLDER)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as another account")
def test_root_with_closed_packages_uses_a_copy(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = module.wheel_installation().parent
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for name in (package.name, f"{package.name}.libs"):
        (closed / name).symlink_to(package.with_name(name))
    monkeypatch.setattr(module, "wheel_installation", lambda: closed / package.name / "pginstall")
    monkeypatch.setattr(module, "SHARED_FOLDER", tmp_path / "shared")
    assert query(server.start(), "SELECT 1") == "1"
    assert server.installation.is_relative_to(tmp_path / "shared")

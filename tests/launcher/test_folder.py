"""The data folder: one owner at a time, secrets that stay."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from batchsite.launcher import folder as module
from batchsite.launcher.folder import DataFolder, LauncherError, free_port, is_free, kept_port, kept_secret, tail


def test_the_same_folder_twice_at_once_is_refused_with_the_holder(tmp_path: Path) -> None:
    first = DataFolder(tmp_path)
    first.open()
    with pytest.raises(LauncherError, match=f"in use by another bin/up .process {os.getpid()}."):
        DataFolder(tmp_path).open()
    first.close()
    again = DataFolder(tmp_path)
    again.open()
    again.close()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LauncherError, match="cannot be used"):
        DataFolder(tmp_path / "file" / "data").open()


def test_a_secret_stays_and_is_private(tmp_path: Path) -> None:
    first = kept_secret(tmp_path / "key", "bsk_demo_")
    assert first.startswith("bsk_demo_")
    assert kept_secret(tmp_path / "key") == first
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0


def test_a_port_stays_until_somebody_takes_it(tmp_path: Path) -> None:
    port = kept_port(tmp_path / "port")
    assert kept_port(tmp_path / "port") == port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        assert not is_free(port)
        assert kept_port(tmp_path / "port") != port


def test_a_free_port_is_free() -> None:
    assert is_free(free_port())


def test_a_big_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_LOG_BYTES", 3)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "web.log").write_text("long")
    data = DataFolder(tmp_path)
    data.open()
    data.close()
    assert [path.name for path in (tmp_path / "logs").iterdir()] == ["web.log.1"]


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("one\ntwo\nthree\n")
    assert tail(tmp_path / "log", 2) == "two\nthree"
    assert tail(tmp_path / "missing") == ""

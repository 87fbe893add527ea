"""``manage.py`` finds the stack that ``bin/up`` runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from batchsite.environment import join_running_stack
from batchsite.launcher.folder import DataFolder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolder:
    for name in ("DATABASE_URL", "REDIS_URL", "BATCHSITE_DATA"):
        monkeypatch.delenv(name, raising=False)
    return DataFolder(tmp_path)


def test_a_running_stack_is_joined(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    folder.share_environment({"DATABASE_URL": "postgresql://there/one", "REDIS_URL": "redis://there"})

    join_running_stack(folder.path)

    assert os.environ["DATABASE_URL"] == "postgresql://there/one"
    assert os.environ["REDIS_URL"] == "redis://there"


def test_what_is_set_by_hand_wins(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ) | {"DATABASE_URL": "postgresql://mine/one"})
    folder.share_environment({"DATABASE_URL": "postgresql://there/one", "REDIS_URL": "redis://there"})

    join_running_stack(folder.path)

    assert os.environ["DATABASE_URL"] == "postgresql://mine/one"
    assert "REDIS_URL" not in os.environ


def test_only_the_owner_may_read_it_and_it_goes_with_the_stack(folder: DataFolder) -> None:
    folder.share_environment({"DATABASE_URL": "postgresql://there/one"})
    shared = folder.path / "environment.json"

    assert shared.stat().st_mode & 0o077 == 0
    assert json.loads(shared.read_text()) == {"DATABASE_URL": "postgresql://there/one"}
    folder.withdraw_environment()
    assert not shared.exists()

"""What rate_photos refuses and passes over; complete runs are in test_end_to_end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from PIL import Image

from batches.models import Batch, StoredFile
from providers.registry import get_provider
from tests.commands.conftest import Manage


@pytest.fixture(autouse=True)
def media(tmp_path_factory: pytest.TempPathFactory, settings: Any) -> None:
    settings.MEDIA_ROOT = tmp_path_factory.mktemp("files")


@pytest.fixture
def folder(alice: User, tmp_path: Path) -> Path:
    for name in ("b.png", "a.webp", "c.gif", ".hidden.png"):
        Image.new("RGB", (8, 8), "teal").save(tmp_path / name)
    (tmp_path / "readme.txt").write_text("text")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "inner").mkdir()
    Image.new("RGB", (8, 8), "red").save(tmp_path / "inner" / "d.jpg")
    return tmp_path


def names() -> list[str]:
    return list(Batch.objects.get().items.order_by("position").values_list("key", flat=True))


def test_it_submits_the_images_by_name_and_says_what_it_skipped(folder: Path, manage: Manage) -> None:
    run = manage("rate_photos", folder, "--no-wait", "--shoot", "wedding", "--prompt", "Stars?", "--timeout", 900)
    assert run.code == 0, run.output
    assert names() == ["a.webp", "b.png", "c.gif"]
    assert "Skipped readme.txt: The file is not" in run.output
    assert "Skipped empty.jpg: The file is empty" in run.output
    batch = Batch.objects.get()
    assert (batch.subject, batch.timeout_ms, batch.parameters["prompt"]) == ("wedding", 900, "Stars?")


def test_it_looks_into_inner_folders_when_asked(folder: Path, manage: Manage) -> None:
    manage("rate_photos", folder, "--no-wait", "--recursive")
    assert names() == ["a.webp", "b.png", "c.gif", "inner/d.jpg"]


def test_it_refuses_a_folder_without_images(alice: User, tmp_path: Path, manage: Manage) -> None:
    (tmp_path / "notes.txt").write_text("text")
    run = manage("rate_photos", tmp_path)
    assert run.code == 1
    assert "There is no JPEG, PNG, WebP or GIF image" in run.output
    assert "is not a folder" in manage("rate_photos", tmp_path / "gone").output


def test_it_refuses_too_many_files(folder: Path, manage: Manage, settings: Any) -> None:
    settings.BATCH_MAX_INLINE_ITEMS = 2
    assert "holds 5 files; one batch takes at most 2" in manage("rate_photos", folder).output


def test_a_refused_batch_leaves_no_files_behind(folder: Path, manage: Manage, settings: Any) -> None:
    run = manage("rate_photos", folder, "--provider", "nobody", "--backoff", 0)
    assert run.code == 1
    assert "2 problems" in run.output
    assert "--provider: No chat provider has this name" in run.output
    assert "--backoff: Must be between" in run.output
    assert not StoredFile.objects.exists()
    assert not [path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()]


def test_it_needs_to_know_whose_batch_it_is(folder: Path, manage: Manage) -> None:
    User.objects.create_user("bob")
    run = manage("rate_photos", folder, "--no-wait")
    assert "--user NAME. There are: alice, bob." in run.output
    User.objects.create_user("demo")
    assert manage("rate_photos", folder, "--no-wait").code == 0
    assert Batch.objects.get().owner.username == "demo"


def test_without_users_it_says_how_to_make_one(db: None, tmp_path: Path, manage: Manage) -> None:
    assert "There are no users yet" in manage("rate_photos", tmp_path).output


def test_the_sample_spends_nobodys_money(alice: User, manage: Manage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    get_provider.cache_clear()
    run = manage("sample", "--user", "alice")
    get_provider.cache_clear()
    assert run.code == 1
    assert "a key is set for openai-gpt-5" in run.output
    assert not Batch.objects.exists()


def test_it_takes_the_cheaper_way(folder: Path, manage: Manage) -> None:
    run = manage("rate_photos", folder, "--no-wait", "--economy")
    assert run.code == 0, run.output
    assert Batch.objects.get().mode == "economy"

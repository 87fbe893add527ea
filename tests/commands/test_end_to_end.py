"""Real batches from the command line: dispatcher, worker, sandbox and database are processes of their own."""

from __future__ import annotations

import csv
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import skimage.data
from django.contrib.auth.models import User
from PIL import Image, ImageFilter
from sklearn.datasets import load_sample_images

from batches.models import Batch
from tests.commands.conftest import Manage
from tests.engine_fixture import ROOT, Engine
from tests.sandbox_fixture import SandboxServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("engine", "sandbox")]


@pytest.fixture
def owner(transactional_db: None) -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Real photographs, as a camera's JPEG files, and something that is none."""
    folder = tmp_path / "shoot"
    folder.mkdir()
    pictures = {name: getattr(skimage.data, name)() for name in ("astronaut", "coffee", "chelsea")}
    pictures |= dict(zip(("china", "flower"), load_sample_images().images, strict=True))
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(folder / f"{name}.jpg", quality=92)
    blurred = Image.fromarray(pictures["coffee"]).filter(ImageFilter.GaussianBlur(9))
    blurred.save(folder / "=coffee blurred.jpg", quality=92)
    (folder / "notes.txt").write_text("not a photo")
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_real_photographs_are_rated_and_written(owner: User, photos: Path, tmp_path: Path, manage: Manage) -> None:
    run = manage("rate_photos", photos, "--csv", tmp_path / "out.csv")
    assert run.code == 0, run.output
    assert "Skipped notes.txt: The file is not a JPEG" in run.output
    assert "100 % (6/6), completed" in run.output
    rows = {row["filename"]: row for row in rows_of(tmp_path / "out.csv")}
    assert set(rows) == {
        f"{name}.jpg" for name in ("'=coffee blurred", "astronaut", "chelsea", "china", "coffee", "flower")
    }
    assert all(row["status"] == "succeeded" and row["error"] == "" for row in rows.values())
    assert int(rows["'=coffee blurred.jpg"]["starRating"]) < int(rows["coffee.jpg"]["starRating"])
    batch = Batch.objects.get()
    assert (batch.subject, batch.status, batch.succeeded) == ("shoot", "completed", 6)
    assert list(tmp_path.glob(".*")) == []


def test_the_best_photos_come_first(owner: User, photos: Path, manage: Manage) -> None:
    stars = [line.count("★") for line in manage("rate_photos", photos).output.splitlines() if "★" in line]
    assert stars == sorted(stars, reverse=True)
    assert len(stars) == 6
    assert stars[0] > stars[-1]


def test_failed_photos_are_counted_by_category_and_exit_with_1(
    owner: User, photos: Path, tmp_path: Path, manage: Manage, sandbox: SandboxServer
) -> None:
    sandbox.configure(permanent_error_rate=1)
    run = manage("rate_photos", photos, "--csv", tmp_path / "out.csv")
    assert run.code == 1
    assert "Not succeeded: 6 of 6" in run.output
    assert "content_policy_violation" in run.output, run.output
    assert {row["status"] for row in rows_of(tmp_path / "out.csv")} == {"failed"}


def test_a_file_of_recipients_is_texted(owner: User, tmp_path: Path, manage: Manage, sandbox: SandboxServer) -> None:
    people = tmp_path / "people.csv"
    people.write_text("name;phone\nAda;+12025550101\nBen;+12025550102\n", encoding="utf-8-sig")
    out = tmp_path / "out.csv"
    run = manage("send_sms", people, "--template", "Hi {{name}}", "--priority", "high", "--csv", out)
    assert run.code == 0, run.output
    assert [row["number"] for row in rows_of(out)] == ["+12025550101", "+12025550102"]
    assert {row["status"] for row in rows_of(out)} == {"succeeded"}
    assert {row["segments"] for row in rows_of(out)} == {"1"}
    assert sorted(entry["to"] for entry in sandbox.log() if entry["to"]) == ["+12025550101", "+12025550102"]


def test_the_sample_runs_both_batches(transactional_db: None, manage: Manage) -> None:
    User.objects.create_user("demo")
    run = manage("sample")
    assert run.code == 0, run.output
    assert "meadow-sharp.jpg" in run.output
    assert re.search(r"succeeded .* 20 ", run.output), run.output
    assert run.output.count("/batches/batch_") == 2
    assert set(Batch.objects.values_list("operation", "status", "succeeded")) == {
        ("rate_photos", "completed", 25),
        ("sms", "completed", 20),
    }


def test_the_sample_stores_its_photos_once(transactional_db: None, manage: Manage) -> None:
    owner = User.objects.create_user("demo")
    assert manage("sample", "--photos", 30).code == 0
    assert manage("sample", "--photos", 3).code == 0
    assert owner.files.count() == 25


START_SECONDS = 90.0
"""A command takes two seconds to begin, and many times that on a machine that does ten other things."""


class Terminal:
    """A command on a pseudo-terminal, as somebody at a keyboard has it."""

    def __init__(self, environment: dict[str, str], *arguments: Any) -> None:
        self._master, slave = pty.openpty()
        self.output = ""
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", *map(str, arguments)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=ROOT,
            env={**environment, "TERM": "xterm-256color", "COLUMNS": "120"},
            # Where the tests were started in the background Ctrl-C is ignored, by their children as well.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no thread forks here
        )
        os.close(slave)

    def read_until(self, pattern: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not re.search(pattern, self.output):
            assert time.monotonic() < deadline, self.output
            self.output += os.read(self._master, 65536).decode()

    def end(self) -> int:
        try:
            while chunk := os.read(self._master, 65536):
                self.output += chunk.decode()
        except OSError:  # the other side is closed
            pass
        os.close(self._master)
        return self.process.wait(10)


OpenTerminal = Callable[..., Terminal]


@pytest.fixture
def open_terminal(engine: Engine) -> Iterator[OpenTerminal]:
    """Runs commands on terminals; none of them outlives the test."""
    opened: list[Terminal] = []

    def run(*arguments: Any) -> Terminal:
        opened.append(Terminal(engine.environment, *arguments))
        return opened[-1]

    yield run
    for terminal in opened:
        terminal.process.kill()
        terminal.process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_the_batch_running(
    owner: User, photos: Path, sandbox: SandboxServer, open_terminal: OpenTerminal, number: signal.Signals
) -> None:
    sandbox.configure(latency_ms=3000)
    terminal = open_terminal("rate_photos", photos)
    terminal.read_until(r"0/6")
    terminal.process.send_signal(number)
    assert terminal.end() == 130, terminal.output
    assert "goes on without this terminal" in terminal.output
    assert "\x1b[?25h" in terminal.output[-600:], "the cursor is back"
    batch = Batch.objects.get()
    assert f"/batches/{batch.public_id}" in terminal.output
    wait_for_end(batch)
    assert batch.succeeded == 6


def wait_for_end(batch: Batch) -> None:
    deadline = time.monotonic() + 30
    while batch.settled_at is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
        batch.refresh_from_db()


def test_a_terminal_sees_both_bars_move(
    transactional_db: None, open_terminal: OpenTerminal, sandbox: SandboxServer
) -> None:
    User.objects.create_user("demo")
    sandbox.configure(latency_ms=200)
    terminal = open_terminal("sample")
    assert terminal.end() == 0, terminal.output
    frames = re.findall(r"(\d+)/25.*?(\d+)/20", terminal.output, re.DOTALL)
    moving = [frame for frame in frames if 0 < int(frame[0]) < 25 and 0 < int(frame[1]) < 20]
    assert len(set(moving)) >= 3, frames

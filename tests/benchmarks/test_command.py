"""``bin/bench``'s options."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """As a process of its own: its peer makes a Celery app, which would become this process's."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)


def test_an_unknown_part_is_refused_before_anything_starts() -> None:
    ended = bench("claim", "photo")
    assert ended.returncode == 2
    assert "unknown: photo; there are photos, sms, claim," in ended.stderr


def test_a_part_of_which_nothing_is_wanted_starts_nothing() -> None:
    ended = bench("photos", "sms", "--pairs", "0", "--sms-seconds", "0")
    assert ended.returncode == 0, ended.stderr
    assert "`bin/bench photos sms --pairs 0 --sms-seconds 0`" in ended.stdout

"""What processes cost: their kinds, their memory over time, and figures of real ones."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batchsite.launcher import procfile
from benchmarks.processes import MemorySamples, cpu_seconds, growth_of, kind_of, members, slope, spent_between

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("values", "expected"), [([], 0.0), ([5.0], 0.0), ([1.0, 3.0, 5.0], 2.0), ([4.0, 4.0, 4.0], 0.0), ([0, 0, 6], 3.0)]
)
def test_the_slope_is_that_of_the_nearest_line(values: list[float], expected: float) -> None:
    assert slope(values) == pytest.approx(expected)


def test_memory_that_grows_only_while_starting_has_no_slope() -> None:
    growth = growth_of([10, 50, 90, 100, 100, 100, 100, 100])
    assert (growth.first, growth.peak, growth.last, growth.slope) == (10, 100, 100, 0.0)


def test_every_line_of_the_procfile_is_of_its_kind() -> None:
    commands = procfile.read(ROOT / "Procfile")
    assert {name: kind_of(command) for name, command in commands.items()} == {name: name for name in commands}


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("/opt/pginstall/bin/postgres -D cluster", "postgres"),
        ("redis-server 127.0.0.1:6400", "redis"),
        ("python manage.py migrate --noinput", None),
    ],
)
def test_servers_are_known_and_passing_commands_are_not_counted(command: str, kind: str | None) -> None:
    assert kind_of(command) == kind


def test_spent_is_the_difference_and_newcomers_count_from_nothing() -> None:
    assert spent_between({"web": 1.0}, {"web": 1.5, "worker": 2.0}) == {"web": 0.5, "worker": 2.0}


def test_a_process_that_works_is_seen_with_its_cpu_and_memory() -> None:
    # As bin/up starts them: a child of ours whose command line tells its kind.
    work = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\ntime.sleep(30)"
    process = subprocess.Popen([sys.executable, "-c", work, "manage.py dispatcher"])
    try:
        deadline = time.monotonic() + 20
        with MemorySamples(os.getpid()) as samples:
            while cpu_seconds(os.getpid()).get("dispatcher", 0.0) < 0.3:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        (member,) = [member for member in members(os.getpid()) if member.kind == "dispatcher"]
        assert member.process.pid == process.pid
        assert samples.growth()["dispatcher"].peak > 2**20
    finally:
        process.kill()
        process.wait()

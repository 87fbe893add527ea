"""bin/test and bin/check."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MYPY_TARGETS = ("batchsite", "batches", "providers", "records", "tests", "benchmarks")

TEST_USAGE = """usage: bin/test [--coverage] [--faults] [pytest arguments]

Runs the tests against an embedded Postgres and a Redis of their own, unless DATABASE_URL and REDIS_URL name others.
Without pytest arguments in two parts: first what shares the cores well, a process per core with its own servers, then
what measures rates, floods its workers, or starts servers of its own.
--coverage  measure all processes and fail below the figure in pyproject.toml; on by itself when CI=true
--faults    run all fault tests, and nothing else: some thirty minutes of real processes killed, stopped, cut off
            (docs/failures.md); without it a short subset runs with all other tests
"""
CHECK_USAGE = """usage: bin/check [files or folders]

Style and types: ruff check and ruff format --check of these files (without any: of everything), then mypy --strict of
everything. All three run, so that one look shows all; the first failure gives the exit code.
"""

ALONE = ("tests/faults", "tests/launcher", "tests/benchmarks")
"""Tests that measure by the clock, keep every core busy themselves, or start servers that another account owns."""
MOST_PROCESSES = 4
INTERRUPTED = 2
"""pytest's exit code after a Ctrl-C or a SIGTERM."""


def test(arguments: list[str]) -> int:
    """pytest; with coverage, also its verdict."""
    os.chdir(ROOT)
    if "--help" in arguments or "-h" in arguments:
        sys.stdout.write(TEST_USAGE)
        return 0
    wanted = "--coverage" in arguments or os.environ.get("CI") == "true"
    rest = [argument for argument in arguments if argument != "--coverage"]
    parts = [pytest(*part) for part in ([rest] if rest else both_parts())]
    if wanted:
        return measured(parts)
    if len(parts) == 1:
        os.execv(sys.executable, [sys.executable, *parts[0]])  # noqa: S606  one process: it gets the signals
    return run_parts(parts)


def both_parts() -> list[list[str]]:
    """What shares the cores, and what has them for itself."""
    ignored = [f"--ignore={folder}" for folder in ALONE]
    processes = min(MOST_PROCESSES, os.cpu_count() or 1)
    return [["-n", str(processes), "--dist", "loadfile", *ignored], [*ALONE]]


def pytest(*arguments: str) -> list[str]:
    """Emptied settings, because pytest-django would load them before tests/conftest.py has started the servers."""
    return ["-m", "pytest", "-o", "DJANGO_SETTINGS_MODULE=", *arguments]


def run_all(commands: list[list[str]]) -> int:
    """All of them, so that one look shows everything; the first failure gives the exit code."""
    codes = [run(*command) for command in commands]
    return next((code for code in codes if code), 0)


def run_parts(parts: list[list[str]]) -> int:
    """As :func:`run_all`, but nothing more once somebody has interrupted a part."""
    codes = [0]
    for part in parts:
        codes.append(run(*part))
        if codes[-1] == INTERRUPTED or codes[-1] < 0:
            break
    return next((code for code in codes if code), 0)


def measured(parts: list[list[str]]) -> int:
    remove_old_figures()
    code = run_parts([["-m", "coverage", "run", *part] for part in parts])
    run("-m", "coverage", "combine", "--quiet")
    # After failed tests too: what they left uncovered is worth knowing. Their code is the one that counts.
    verdict = run("-m", "coverage", "report", *(["--fail-under=0"] if code else []))
    return code or verdict


def remove_old_figures() -> None:
    for old in ROOT.glob(".coverage*"):
        old.unlink()


def check(arguments: list[str]) -> int:
    """Style and types."""
    os.chdir(ROOT)
    if "--help" in arguments or "-h" in arguments:
        sys.stdout.write(CHECK_USAGE)
        return 0
    targets = [name for name in MYPY_TARGETS if any((ROOT / name).rglob("*.py"))]
    return run_all(
        [
            ["-m", "ruff", "check", *arguments],
            ["-m", "ruff", "format", "--check", *arguments],
            ["-m", "mypy", *targets],
        ]
    )


def run(*arguments: str) -> int:
    """A signal to this process reaches the command too."""
    process = subprocess.Popen([sys.executable, *arguments])

    def forward(number: int, frame: object) -> None:
        process.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # Ctrl-C reaches the command by itself; it decides what it means

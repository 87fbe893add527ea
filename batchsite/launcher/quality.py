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
"-n 2 --dist loadfile" shares the files among two processes, each with servers of its own.
--coverage  measure all processes and fail below the figure in pyproject.toml; on by itself when CI=true
--faults    run all fault tests, and nothing else: some twenty minutes of real processes killed, stopped, cut off
            (docs/failures.md); without it a short subset runs with all other tests

"""


def test(arguments: list[str]) -> int:
    """pytest; with coverage, also its verdict."""
    os.chdir(ROOT)
    if "--help" in arguments or "-h" in arguments:
        sys.stdout.write(TEST_USAGE)
        return 0
    wanted = "--coverage" in arguments or os.environ.get("CI") == "true"
    rest = [argument for argument in arguments if argument != "--coverage"]
    # Emptied, because pytest-django would load the settings before tests/conftest.py has started the servers.
    pytest = ["-m", "pytest", "-o", "DJANGO_SETTINGS_MODULE=", *rest]
    if not wanted:
        os.execv(sys.executable, [sys.executable, *pytest])  # noqa: S606  one process: it gets the signals
    return measured(pytest)


def measured(pytest: list[str]) -> int:
    remove_old_figures()
    code = run("-m", "coverage", "run", *pytest)
    run("-m", "coverage", "combine", "--quiet")
    # After failed tests too: what they left uncovered is worth knowing. Their code is the one that counts.
    verdict = run("-m", "coverage", "report", *(["--fail-under=0"] if code else []))
    return code or verdict


def remove_old_figures() -> None:
    for old in ROOT.glob(".coverage*"):
        old.unlink()


def check(arguments: list[str]) -> int:
    """All three run, so that one look shows everything; the first failure gives the exit code."""
    os.chdir(ROOT)
    targets = [name for name in MYPY_TARGETS if any((ROOT / name).rglob("*.py"))]
    codes = [
        run("-m", "ruff", "check", *arguments),
        run("-m", "ruff", "format", "--check", *arguments),
        run("-m", "mypy", *targets),
    ]
    return next((code for code in codes if code), 0)


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

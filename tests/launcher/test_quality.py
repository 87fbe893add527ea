"""bin/test and bin/check choose the right commands and pass the right exit code on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from batchsite.launcher import __main__ as entry
from batchsite.launcher import quality

Commands = list[tuple[str, ...]]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Commands]:
    """Commands are noted, and end with the given codes in turn."""
    noted: Commands = []

    def prepare(*codes: int) -> Commands:
        remaining = list(codes)

        def run(*arguments: str) -> int:
            noted.append(arguments)
            return remaining.pop(0) if remaining else 0

        monkeypatch.setattr(quality, "run", run)
        return noted

    monkeypatch.setattr(quality, "remove_old_figures", lambda: None)
    monkeypatch.delenv("CI", raising=False)
    return prepare


def test_check_runs_all_three_and_fails_with_the_first(runs: Callable[..., Commands]) -> None:
    noted = runs(0, 4, 1)
    assert entry.main(["check"]) == 4
    assert [command[1] for command in noted] == ["ruff", "ruff", "mypy"]


def test_coverage_has_the_last_word_after_good_tests(runs: Callable[..., Commands]) -> None:
    noted = runs(0, 0, 2)
    assert entry.main(["test", "--coverage", "-x"]) == 2
    assert noted[0][1:4] == ("coverage", "run", "-m")
    assert noted[0][-1] == "-x"
    assert "--coverage" not in noted[0]


def test_failed_tests_have_the_last_word(runs: Callable[..., Commands], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    noted = runs(1, 0, 0)
    assert entry.main(["test"]) == 1
    assert "--fail-under=0" in noted[-1]


@pytest.mark.parametrize(("codes", "code"), [((0, 0), 0), ((3, 0), 3), ((0, 4), 4)])
def test_everything_runs_in_two_parts_and_nothing_is_left_out(
    codes: tuple[int, int], code: int, runs: Callable[..., Commands]
) -> None:
    noted = runs(*codes)
    assert entry.main(["test"]) == code
    shared, alone = noted
    ignored = {word.removeprefix("--ignore=") for word in shared if word.startswith("--ignore=")}
    assert ignored == set(alone[-len(ignored) :])
    assert all((ROOT / folder).is_dir() for folder in ignored)


@pytest.mark.parametrize("code", [quality.INTERRUPTED, -signal.SIGKILL])
def test_who_interrupts_the_first_part_gets_no_second(code: int, runs: Callable[..., Commands]) -> None:
    noted = runs(code)
    assert entry.main(["test"]) == code
    assert len(noted) == 1


def test_without_coverage_pytest_takes_the_place_of_the_script(
    runs: Callable[..., Commands], monkeypatch: pytest.MonkeyPatch
) -> None:
    became: list[list[str]] = []
    runs()
    monkeypatch.setattr(os, "execv", lambda program, arguments: became.append(arguments))
    entry.main(["test", "tests/launcher"])
    assert became[0][1:3] == ["-m", "pytest"]
    assert became[0][-1] == "tests/launcher"


def test_help_and_unknown_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(["test", "--help"]) == 0
    assert "usage: bin/test" in capsys.readouterr().out
    assert entry.main(["check", "--help"]) == 0
    assert "usage: bin/check" in capsys.readouterr().out
    assert entry.main([]) == 2


def test_a_signal_reaches_the_command() -> None:
    script = "import sys; from batchsite.launcher.quality import run; sys.exit(run('-c', sys.argv[1]))"
    inner = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(7)); print('up', flush=True); time.sleep(60)"
    )
    outer = subprocess.Popen([sys.executable, "-c", script, inner], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert outer.stdout is not None
    outer.stdout.readline()
    time.sleep(0.1)
    outer.send_signal(signal.SIGTERM)
    assert outer.wait(10) == 7
    outer.stdout.close()

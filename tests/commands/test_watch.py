"""Progress without an engine: what is said while nothing moves, and when everything has ended."""

from __future__ import annotations

import contextlib
import io
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.utils import timezone
from rich.console import Console

from batches.commandline import display
from batches.commandline import watch as watching
from batches.commandline.display import Line, duration
from batches.commandline.screen import plain
from batches.commandline.watch import Watcher, watch
from batches.models import Batch, Worker

Make = Callable[..., Batch]


@pytest.fixture
def make(alice: User) -> Make:
    def run(**fields: Any) -> Batch:
        values = {"operation": "sms", "channel": "sms", "status": "running", "total": 4, "loaded_at": timezone.now()}
        return Batch.objects.create(owner=alice, **(values | fields))

    return run


def ended(**fields: Any) -> dict[str, Any]:
    return {"completed_at": timezone.now(), "settled_at": timezone.now(), **fields}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(watching, "ROLES_SECONDS", 0.0)


@pytest.mark.usefixtures("impatient")
def test_it_says_which_part_of_the_engine_is_missing(make: Make) -> None:
    watcher = Watcher([make()])
    watcher.look()
    assert watcher.note.startswith("Waiting: no worker is running and no dispatcher is running (none seen for 10 s)")
    Worker.objects.create(boot_id="w", role="worker", hostname="here", process_id=1)
    watcher.look()
    assert "no dispatcher" in watcher.note
    assert "no worker" not in watcher.note
    Worker.objects.create(boot_id="d", role="dispatcher", hostname="here", process_id=2)
    watcher.look()
    assert watcher.note == ""


def test_it_does_not_cry_at_once(make: Make) -> None:
    watcher = Watcher([make()])
    watcher.look()
    assert watcher.note == ""


def test_it_says_that_a_batch_is_paused(make: Make) -> None:
    batch = make(status="paused", succeeded=1)
    watcher = Watcher([batch])
    (line,) = watcher.look()
    assert watcher.note == f"Paused: {batch.public_id}. Resume it on its page."
    assert (line.percent, line.counts, line.pace) == (25, "1/4", "(paused)")


def test_it_survives_a_database_that_does_not_answer(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = Watcher([make()])

    def fail(*_: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(Watcher, "_read", fail)
    monkeypatch.setattr(connection, "close", lambda: None)
    (line,) = watcher.look()
    assert "The database does not answer" in watcher.note
    assert line.finished == 0


def test_a_line_says_every_kind_of_end(make: Make) -> None:
    batch = make(total=10, succeeded=4, failed=3, cancelled=2, unknown=1, status="completed", **ended())
    line = Line.of(batch, rate=None, eta=0)
    assert line.counts == "10/10, 3 failed, 2 cancelled, 1 unknown"
    assert line.pace.startswith("completed in ")


def test_a_line_never_shows_100_per_cent_too_early(make: Make) -> None:
    line = Line.of(make(total=100_000, succeeded=99_999), rate=12.345, eta=3700)
    assert line.percent == 99
    assert line.pace == "12.3/s, ETA 1:01:40"


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "unknown"), (0, "0 s"), (59, "59 s"), (60, "1:00"), (3599, "59:59")]
)
def test_durations(seconds: int | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("terminal", [True, False])
def test_it_ends_with_the_last_batch(make: Make, terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "PLAIN_SECONDS", 0.0)
    batch, other = make(name="[red]first[/]"), make(name="second", status="failed", failed=4, **ended())
    polls = iter([{}, {"succeeded": 2}, {"succeeded": 4, "status": "completed", **ended()}])

    def sleep(seconds: float) -> None:
        Batch.objects.filter(pk=batch.pk).update(**next(polls))

    monkeypatch.setattr("batches.commandline.watch.time.sleep", sleep)
    output = io.StringIO()
    seen = watch(Console(file=output, force_terminal=terminal, width=100), [batch, other])
    assert [one.status for one in seen] == ["completed", "failed"]
    text = output.getvalue()
    assert "[red]first[/]" in text
    assert "2/4" in text
    assert "4/4, 4 failed" in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_not_lost_in_code_that_swallows_it(
    make: Make, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    tries = iter(range(3))

    def sleep(seconds: float) -> None:
        next(tries)
        with contextlib.suppress(BaseException):
            signal.raise_signal(number)

    monkeypatch.setattr("batches.commandline.watch.time.sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        watch(Console(file=io.StringIO()), [make()])
    assert next(tries) == 1, "it ended where the loop looked"


def test_it_works_outside_the_main_thread(make: Make) -> None:
    with watching.interruptible():
        pass
    finished: list[bool] = []

    def run() -> None:
        with watching.interruptible():
            finished.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert finished == [True]


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert plain("\x1b[2Jboo\nx").plain == " [2Jboo x"

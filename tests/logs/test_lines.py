"""What a line of the log looks like, as text and as JSON, and what never stands in it."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import gevent
import pytest
from gevent.pool import Pool

from batches.logs.fields import bind, bound
from batches.logs.libraries import DiscreetLibraries
from batches.logs.lines import JsonLines, TextLines


class Kept(logging.Handler):
    """Keeps what a formatter makes of each record."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.addFilter(DiscreetLibraries())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def logger_to(handler: Kept, name: str = "tests.of.lines") -> logging.Logger:
    logger = logging.Logger(name)
    logger.addHandler(handler)
    return logger


@pytest.fixture
def kept() -> Kept:
    return Kept(JsonLines())


def only(kept: Kept) -> dict[str, Any]:
    (line,) = kept.lines
    assert "\n" not in line
    told: dict[str, Any] = json.loads(line)
    return told


def test_a_line_of_json_says_when_who_what_and_about_what(kept: Kept) -> None:
    with bound(batch="batch_1_a", item=7):
        logger_to(kept).warning("Item %d waits", 7, extra={"provider": "twilio"})
    told = only(kept)
    assert told.pop("time").endswith("+00:00")
    assert told.pop("pid") > 0
    assert told == {
        "level": "WARNING",
        "logger": "tests.of.lines",
        "message": "Item 7 waits",
        "process": "batchsite",
        "batch": "batch_1_a",
        "item": 7,
        "provider": "twilio",
    }


def test_a_line_of_text_ends_with_what_it_is_about() -> None:
    kept = Kept(TextLines())
    with bound(batch="batch_1_a", lease=3):
        logger_to(kept).info("Hello")
    logger_to(kept).info("Alone")
    first, second = kept.lines
    assert first.endswith(" INFO tests.of.lines: Hello [batch=batch_1_a lease=3]")
    assert second.endswith(": Alone")


def test_each_greenlet_has_fields_of_its_own(kept: Kept) -> None:
    logger = logger_to(kept)

    def run(number: int) -> None:
        bind(item=number)
        gevent.sleep(0.002 * (5 - number))
        logger.info("done")

    pool = Pool(5)
    for number in range(5):
        pool.spawn(run, number)
    pool.join()
    logger.info("done")
    assert sorted(json.loads(line).get("item", -1) for line in kept.lines) == [-1, 0, 1, 2, 3, 4]


def test_nothing_else_of_a_record_is_written(kept: Kept) -> None:
    """Celery hangs the arguments of tasks on its records, Django the whole request."""
    logger_to(kept).info("Done", extra={"data": {"args": "secret"}, "request": "r1", "body": "secret"})
    told = only(kept)
    assert told["request"] == "r1"
    assert "secret" not in kept.lines[0]


@pytest.mark.parametrize("formatter", [JsonLines(), TextLines()])
def test_a_traceback_has_no_words(formatter: logging.Formatter) -> None:
    """Its line of code is shown, so the words must not stand in it."""
    kept = Kept(formatter)
    words = "-".join(["Hi", "Anna", "+14155550123"])
    try:
        try:
            raise KeyError(words)
        except KeyError as error:
            raise ValueError(words) from error
    except ValueError:
        logger_to(kept).exception("It failed")
    (line,) = kept.lines
    assert "KeyError" in line
    assert "which led to" in line
    assert "test_a_traceback_has_no_words" in line
    assert "Anna" not in line


def test_a_developer_sees_the_words(settings: Any) -> None:
    settings.DEBUG = True
    kept = Kept(TextLines())
    try:
        int("seven")
    except ValueError:
        logger_to(kept).exception("It failed")
    assert "'seven'" in kept.lines[0]


def test_celery_does_not_quote_the_error_of_a_task(kept: Kept) -> None:
    try:
        raise ValueError("-".join(["Anna"]))
    except ValueError:
        context = {"name": "batches.run_lease", "id": "1", "description": "raised", "exc": "ValueError('Anna')"}
        words = "Task %(name)s[%(id)s] %(description)s: %(exc)s"
        logger_to(kept, "celery.app.trace").error(words, context, exc_info=sys.exc_info(), extra={"data": context})
    told = only(kept)
    assert told["message"] == "Task batches.run_lease[1] raised: ValueError"
    assert "('Anna')" not in kept.lines[0]


def test_what_json_cannot_hold_is_told_anyway(kept: Kept) -> None:
    logger_to(kept).info("odd: %s", "\ud800", extra={"attempt": object})
    assert only(kept)["message"] == "odd: \ud800"

"""Everything send_sms can say before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from batches.models import Batch
from tests.commands.conftest import Manage, Run

Send = Callable[..., Run]
GOOD = "name,phoneNumber\nAda,+12025550101\nBen,+12025550102\n"


@pytest.fixture
def send(alice: User, tmp_path: Path, manage: Manage) -> Send:
    """Send a text to everybody in this content; nothing waits for an engine that is not there."""

    def run(content: str | bytes, *arguments: Any, template: str = "Hi {{name}}") -> Run:
        path = tmp_path / "people.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return manage("send_sms", path, "--template", template, *(arguments or ["--no-wait"]))

    return run


def test_it_submits_without_waiting(send: Send) -> None:
    run = send(GOOD)
    assert run.code == 0
    batch = Batch.objects.get()
    assert f"Batch {batch.public_id}: 2 items" in run.output
    assert (batch.name, batch.total, batch.priority) == ("people", 2, "normal")
    assert batch.items.get(position=1).input == {"to": "+12025550102", "variables": {"name": "Ben"}}


@pytest.mark.parametrize(
    ("header", "delimiter"), [("Phone Number", ";"), ("mobile", "\t"), ("TO", ","), ("phone", ";"), ("number", ",")]
)
def test_it_finds_the_delimiter_and_the_number_column(send: Send, header: str, delimiter: str) -> None:
    rows = [["first, name", header, "city"], ["Ada", "+12025550101", "Paris"]]
    rows[0][0] = "name"
    content = "\n".join(delimiter.join(row) for row in rows)
    assert send(b"\xef\xbb\xbf" + content.encode()).code == 0
    assert Batch.objects.get().items.get().input == {"to": "+12025550101", "variables": {"name": "Ada"}}


def test_it_takes_the_column_it_is_told(send: Send) -> None:
    content = "name,phone,work\nAda,+12025550101,+12025550109\n"
    assert send(content, "--number-column", "work", "--no-wait").code == 0
    assert Batch.objects.get().items.get().input["to"] == "+12025550109"


def test_the_number_may_stand_in_the_text(send: Send) -> None:
    assert send(GOOD, template="{{name}}: {{phoneNumber}}").code == 0
    assert Batch.objects.get().items.get(position=0).input["variables"] == {
        "name": "Ada",
        "phoneNumber": "+12025550101",
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (GOOD + "\n,+12025550103\n", ["1 problem", "line 5, column name: The template needs"]),
        (GOOD + "Eve,12025550103\n", ["line 4, column phoneNumber: Must be a valid number"]),
        (GOOD + "Eve\n", ["line 4, column phoneNumber: Is required"]),
        (GOOD + "Eve,+12025550103,x\n", ["line 4: Has 3 cells for 2 columns"]),
        ('name,phone\n"A\nB",+1\n"Eve",+2\n', ["2 problems", "line 2, column phone", "line 4, column phone"]),
        ('name,phone\nAda,"+12025550101\n', ["line 2: Is not CSV"]),
        ("name,street\nAda,Elm\n", ["--number-column", "Columns: name, street"]),
        ("phone,city\n+12025550101,Rome\n", ["--template: Uses {{name}}", "Columns: phone, city"]),
        ("name,phone,name\nA,+12025550101,B\n", ["line 1: Has the column 'name' 2 times"]),
        ("name,phone\n", ["the file: Must not be empty"]),
        ("", ["none: the file is empty"]),
        (b"name,phone\nJos\xe9,+12025550101\n", ["not UTF-8"]),
        (GOOD + "Eve\x00,+12025550103\n", ["line 4, column name: Must not hold NUL"]),
    ],
)
def test_it_names_line_and_column_and_sends_nothing(send: Send, content: str | bytes, expected: list[str]) -> None:
    run = send(content)
    assert run.code == 1
    for text in expected:
        assert text in run.output
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--provider", "twilo"], "--provider: No sms provider"),
        (["--schedule", "2001-01-01T00:00:00Z"], "--schedule: Must be in the future"),
        (["--concurrency", "0"], "--concurrency: Must be between 1"),
        (["--rate-limit", "-1"], "--rate-limit: Must be above 0"),
        (["--user", "nobody"], "no active user 'nobody'. There are: alice"),
        (["--csv", "/nowhere/out.csv"], "--csv: cannot write"),
        (["--number-column", "fax"], "no column 'fax'. Columns: name, phoneNumber"),
    ],
)
def test_it_names_the_option_that_is_wrong(send: Send, arguments: list[str], expected: str) -> None:
    run = send(GOOD, *arguments)
    assert run.code == 1
    assert expected in run.output
    assert not Batch.objects.exists()


def test_many_problems_are_counted_and_not_all_shown(send: Send) -> None:
    run = send("name,phone\n" + "Ada,none\n" * 80)
    assert "80 problems" in run.output
    assert "line 51, column phone" in run.output
    assert "... and 30 more" in run.output
    assert "line 52" not in run.output


def test_it_refuses_a_broken_template(send: Send) -> None:
    assert "--template: '{{' at character 3" in send(GOOD, template="Hi {{name").output


def test_it_refuses_a_file_that_is_not_there(alice: User, manage: Manage) -> None:
    assert "Cannot read gone.csv: No such file" in manage("send_sms", "gone.csv", "--template", "Hi").output


def test_it_refuses_too_many_recipients(send: Send, settings: Any) -> None:
    settings.BATCH_MAX_INLINE_ITEMS = 1
    assert "more than 1 recipients" in send(GOOD).output


def test_a_dry_run_shows_the_first_messages_and_sends_none(send: Send) -> None:
    people = "".join(f"N{index},+1202555{index:04}\n" for index in range(101, 106))
    run = send("name,phone\n" + people, "--dry-run")
    assert run.code == 0
    assert "5 messages would be sent by twilio" in run.output
    assert "+12025550103: Hi N103" in run.output
    assert "N104" not in run.output
    assert not Batch.objects.exists()


def test_repeated_numbers_are_noted_by_line(send: Send) -> None:
    run = send(GOOD + "\nAda,+12025550101\nAda,+12025550101\n", "--dry-run")
    assert "Note: The number of line 2 is given again at 5, 6" in run.output


def test_a_scheduled_campaign_is_not_waited_for(send: Send) -> None:
    run = send(GOOD, "--schedule", "2029-01-31T09:00:00Z", "--csv", "out.csv")
    assert run.code == 0
    assert "It starts at 2029-01-31T09:00:00+00:00" in run.output
    assert "no CSV file is written" in run.output
    assert Batch.objects.get().status == "pending"

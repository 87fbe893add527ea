"""When nobody is texted: by the clock of who gets it, in the strictest of the zones it may be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from batches.models import Batch
from batches.operations.messages import quiet_hours
from batches.operations.messages.quiet_hours import QuietHours, zones_of
from batches.operations.messages.sms import Sms, build_sms_batch
from batches.outcomes import Snooze, Succeeded
from batches.problems import InvalidInput
from batches.submission import submit_batch
from tests.operations.conftest import Answering, attempt_of
from tests.operations.submitted import attempt_on

pytestmark = pytest.mark.django_db

CALIFORNIA, LONDON, TOKYO = "+14155552671", "+442071838750", "+81312345678"
NIGHT = QuietHours.of({"start": "21:00", "end": "08:00"})


def over_at(hours: QuietHours, zones: str, now: str) -> str | None:
    over = hours.over_at(zones, datetime.fromisoformat(now))
    return None if over is None else over.astimezone(UTC).isoformat(timespec="minutes").removesuffix("+00:00")


@pytest.mark.parametrize(
    ("zones", "now", "over"),
    [
        ("UTC", "2026-11-22T12:00+00:00", "2026-11-22T12:00"),
        ("UTC", "2026-11-22T20:59+00:00", "2026-11-22T20:59"),
        ("UTC", "2026-11-22T21:00+00:00", "2026-11-23T08:00"),
        ("UTC", "2026-11-23T03:00+00:00", "2026-11-23T08:00"),
        ("UTC", "2026-11-23T08:00+00:00", "2026-11-23T08:00"),
        ("America/Los_Angeles", "2026-11-22T12:00+00:00", "2026-11-22T16:00"),  # 04:00 there
        ("Asia/Tokyo", "2026-11-22T12:30+00:00", "2026-11-22T23:00"),  # 21:30 there
        # The strictest: New York may be texted from 13:00 UTC on, Los Angeles from 16:00 on.
        ("America/Los_Angeles America/New_York", "2026-11-22T12:00+00:00", "2026-11-22T16:00"),
        ("America/Los_Angeles America/New_York", "2026-11-23T02:30+00:00", "2026-11-23T16:00"),  # 21:30 in New York
        ("Etc/Unknown", "2026-11-22T22:00+00:00", "2026-11-23T08:00"),
        ("No/Such_Zone", "2026-11-22T22:00+00:00", "2026-11-23T08:00"),
        # Clocks change in the night: the end is what the clock shows then.
        ("America/New_York", "2026-03-08T05:00+00:00", "2026-03-08T12:00"),
        ("America/New_York", "2026-11-01T04:30+00:00", "2026-11-01T13:00"),
    ],
)
def test_when_it_is_over(zones: str, now: str, over: str) -> None:
    assert over_at(NIGHT, zones, now) == over


def test_hours_of_one_day() -> None:
    lunch = QuietHours.of({"start": "12:00", "end": "13:30"})
    assert over_at(lunch, "UTC", "2026-11-22T12:10+00:00") == "2026-11-22T13:30"
    assert over_at(lunch, "UTC", "2026-11-22T13:30+00:00") == "2026-11-22T13:30"


def test_where_it_is_always_night_somewhere() -> None:
    long = QuietHours.of({"start": "17:00", "end": "11:00"})
    assert over_at(long, "Asia/Kamchatka Europe/Moscow", "2026-11-22T12:00+00:00") is None


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    st.times(),
    st.times(),
    st.lists(
        st.sampled_from(["America/New_York", "Europe/London", "Asia/Tokyo", "Australia/Lord_Howe", "UTC"]), min_size=1
    ),
)
def test_it_is_quiet_in_no_zone_then(now: datetime, start: Any, end: Any, zones: list[str]) -> None:
    hours = QuietHours(start.replace(second=0, microsecond=0), end.replace(second=0, microsecond=0))
    if hours.start == hours.end:
        return
    over = hours.over_at(" ".join(zones), now)
    if over is not None:
        assert over >= now
        assert hours.over_at(" ".join(zones), over) == over


def test_the_zones_of_numbers() -> None:
    assert zones_of(CALIFORNIA) == "America/Los_Angeles"
    assert zones_of(TOKYO) == "Asia/Tokyo"
    assert "Europe/London" in zones_of(LONDON)
    assert len(zones_of("+18005550199").split()) > 5  # a toll-free number may be anywhere in North America


# --- The option


def build(*numbers: str, **quiet: Any) -> Any:
    recipients = [{"phoneNumber": number} for number in numbers]
    return build_sms_batch(1, {"text": "Hi", "recipients": recipients, "options": {"quietHours": quiet}})


def test_it_is_kept_with_the_batch_and_its_items() -> None:
    new = build(CALIFORNIA, start="21:00", end="08:00")
    assert new.parameters == {"text": "Hi", "quietHours": {"start": "21:00", "end": "08:00"}}
    assert new.items[0].input == {"to": CALIFORNIA, "variables": {}, "zones": "America/Los_Angeles"}


@pytest.mark.parametrize(
    ("quiet", "problems"),
    [
        ("21:00-08:00", {"": "invalid_type"}),
        ({"start": "21:00"}, {".end": "invalid_time"}),
        ({"start": "21", "end": "25:00"}, {".start": "invalid_time", ".end": "invalid_time"}),
        ({"start": 21, "end": None}, {".start": "invalid_time", ".end": "invalid_time"}),
        ({"start": "21:00", "end": "21:00"}, {".end": "empty"}),
        ({"start": "21:00", "end": "08:00", "zone": "UTC"}, {".zone": "unknown_field"}),
    ],
)
def test_bad_hours_are_refused(quiet: Any, problems: dict[str, str]) -> None:
    body = {"text": "Hi", "recipients": [{"phoneNumber": CALIFORNIA}], "options": {"quietHours": quiet}}
    with pytest.raises(InvalidInput) as refused:
        build_sms_batch(1, body)
    found = {problem.path.removeprefix("options.quietHours"): problem.code for problem in refused.value.problems}
    assert found == problems


def test_numbers_for_which_no_hour_is_left_are_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        build(CALIFORNIA, "+18005550199", start="17:00", end="14:00")
    assert {problem.path: problem.code for problem in refused.value.problems} == {
        "recipients.1.phoneNumber": "always_quiet"
    }


# --- Running


@pytest.fixture
def midnight(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """It is 23:00 in California and noon in Tokyo... everywhere else, too, it is 2026-11-22T07:00Z."""
    now = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
    monkeypatch.setattr("batches.operations.messages.sms.timezone.now", lambda: now)
    return now


def test_an_item_waits_for_the_end_without_a_call(owner: User, midnight: datetime) -> None:
    provider = Answering()
    quiet = {"text": "Hi", "quietHours": {"start": "21:00", "end": "08:00"}}
    item = {"to": CALIFORNIA, "variables": {}, "zones": "America/Los_Angeles"}
    outcome = Sms().run(attempt_of(provider, item, quiet, owner.pk))
    assert outcome == Snooze(9 * 3600.0)
    assert not provider.messages
    day = {"to": TOKYO, "variables": {}, "zones": "Asia/Tokyo"}
    assert isinstance(Sms().run(attempt_of(provider, day, quiet, owner.pk)), Succeeded)


def test_the_others_of_its_zones_are_put_back_with_it(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    later = now + timedelta(hours=5)
    numbers = [f"+1415555{2000 + n}" for n in range(4)] + [TOKYO]
    body = {"text": "Hi", "recipients": [{"phoneNumber": number} for number in numbers]}
    new = build_sms_batch(owner.pk, {**body, "quietHours": {"start": "00:00", "end": "00:01"}})
    batch: Batch = submit_batch(owner_id=owner.pk, new=new)
    other: Batch = submit_batch(owner_id=owner.pk, new=new)
    monkeypatch.setattr(QuietHours, "over_at", lambda *_: later)
    first = batch.items.get(position=0)
    outcome = Sms().run(attempt_on(first, Answering()))
    assert isinstance(outcome, Snooze)
    due = {item.position: item.due_at for item in batch.items.exclude(pk=first.pk)}
    assert {position for position, at in due.items() if at == later} == {1, 2, 3}
    assert all(item.due_at < later for item in other.items.all())


def test_put_back_takes_items_in_portions(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet_hours, "PUT_BACK_AT_ONCE", 2)
    body = {"text": "Hi", "recipients": [{"phoneNumber": f"+1415555{2000 + n}"} for n in range(5)]}
    new = build_sms_batch(owner.pk, {**body, "quietHours": {"start": "00:00", "end": "00:01"}})
    batch = submit_batch(owner_id=owner.pk, new=new)
    later = timezone.now() + timedelta(hours=5)
    quiet_hours.put_back(batch.items.all()[0].pk, "America/Los_Angeles", later)
    assert batch.items.filter(due_at=later).count() == 2
    assert connection.in_atomic_block

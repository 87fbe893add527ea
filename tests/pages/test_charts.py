"""Charts: what is drawn is what was counted."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from batches.figures import Figures
from batches.histogram import duration_bucket
from batches.models import BatchHistogram
from batches.pages.charts import Quantity, shapes, throughput
from batches.pages.panels import panels
from batches.pages.phases import phases
from tests.live.conftest import make_batch

SLOT = 177_000_000


def test_bars_are_in_per_cent_of_the_longest() -> None:
    drawn = shapes([Quantity("a", 50, "50"), Quantity("b", 200, "200"), Quantity("c", 0, "0"), Quantity("d", 0.01, "")])
    assert [shape.length for shape in drawn] == [25.0, 100.0, 0.0, 1.5]
    assert shapes([]) == []


def test_throughput_has_a_column_for_quiet_times_too() -> None:
    chart = throughput({SLOT: 10, SLOT + 3: 30}, None)
    assert chart is not None
    assert [shape.value for shape in chart.shapes] == ["1/s", "0/s", "0/s", "3/s"]
    assert chart.ends == (
        datetime.fromtimestamp(SLOT * 10, UTC).isoformat().replace("+00:00", "Z"),
        datetime.fromtimestamp((SLOT + 4) * 10, UTC).isoformat().replace("+00:00", "Z"),
    )


def test_throughput_of_days_has_no_more_columns_than_can_be_seen() -> None:
    finished = {SLOT + number: 100 for number in range(8640)}
    chart = throughput(finished, None)
    assert chart is not None
    assert len(chart.shapes) == 60
    assert {shape.value for shape in chart.shapes} == {"10/s"}


def test_what_runs_is_drawn_until_now() -> None:
    now = datetime.fromtimestamp((SLOT + 5) * 10, UTC)
    chart = throughput({SLOT: 10}, now)
    assert chart is not None
    assert len(chart.shapes) == 6


@pytest.mark.parametrize("finished", [{}, {SLOT: 5}, {SLOT: 5, SLOT + 1: 5}])
def test_of_too_little_nothing_is_drawn(finished: dict[int, int]) -> None:
    assert throughput(finished, None) is None


@pytest.mark.django_db
def test_stars_are_counted_from_qualities() -> None:
    alice = User.objects.create_user("alice")
    batch = make_batch(alice)
    for stars in range(1, 6):
        bucket = min(19, int((stars - 1) / 4 * 20))
        BatchHistogram.objects.create(batch=batch, measure="quality", bucket=bucket, count=stars)
    (chart,) = panels(batch, alice, timezone.now()).charts
    assert [(shape.label.count("★"), shape.value) for shape in chart.shapes] == [
        (5, "5"), (4, "4"), (3, "3"), (2, "2"), (1, "1"),
    ]  # fmt: skip


@pytest.mark.django_db
def test_every_drawing_is_said_in_words(browser: Client, alice: User) -> None:
    batch = make_batch(alice)
    now = int(timezone.now().timestamp())
    for slot in range(5):
        BatchHistogram.objects.create(batch=batch, measure="finished", bucket=now // 10 - slot, count=20)
    BatchHistogram.objects.create(batch=batch, measure="duration", bucket=200, count=100)
    BatchHistogram.objects.create(batch=batch, measure="failed:server", bucket=1, count=7)
    page = browser.get(f"/batches/{batch.public_id}").content.decode()
    assert 'aria-label="Items finished per second, in steps of 10 seconds; at most 2 a second."' in page
    assert '<table class="figures">' in page
    assert f"/batches/{batch.public_id}?category=server#items" in page


def test_a_calls_time_is_split_into_three() -> None:
    figures = Figures(
        {
            "calls": {20_000: 10},
            "queued": {duration_bucket(5_000): 10},
            "queued_sum": {0: 50_000},
            "waited": {duration_bucket(40_000): 1},
            "waited_sum": {0: 40_000},
            "duration": {duration_bucket(1_000): 10},
            "duration_sum": {0: 10_000},
        }
    )
    turn, limits, provider = phases(figures)
    assert (turn.average, limits.average, provider.average) == (5_000, 4_000, 1_000)
    assert [(phase.start, phase.width) for phase in (turn, limits, provider)] == [(0, 50), (50, 40), (90, 10)]
    assert limits.at_most == [0.0, pytest.approx(40_000, rel=0.02), pytest.approx(40_000, rel=0.02)]


def test_what_ran_before_waits_were_counted_one_by_one_shows_what_is_known() -> None:
    old = Figures({"calls": {20_000: 2}, "waited_sum": {0: 500}, "duration": {9: 2}, "duration_sum": {0: 500}})
    turn, limits, provider = phases(old)
    assert (turn.at_most, limits.at_most) == ([None] * 3, [None] * 3)
    assert (turn.average, limits.average, provider.average) == (None, 250, 250)
    assert phases(Figures({})) == []

"""Costs per item, and the chart of them."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from benchmarks.chart import round_up, spread
from benchmarks.processes import Growth
from benchmarks.sizes import Cost, chart, kinds, report

FLAT = {"worker": Growth(100 * 2**20, 130 * 2**20, 129 * 2**20, 0.0)}
SMALL = Cost(1_000, 10, 2.0, 0.1, {"worker": 5.0, "postgres": 2.0, "sandbox": 9.0}, FLAT)
LARGE = Cost(1_000_000, 1, 600.0, 8.0, {"worker": 480.0, "postgres": 210.0, "sandbox": 200.0, "web": 9.0}, FLAT)


def test_cost_is_divided_by_all_items_and_the_provider_is_not_ours() -> None:
    assert SMALL.cpu_per_item("worker") == pytest.approx(0.5)
    assert SMALL.total_per_item == pytest.approx(0.7)
    assert SMALL.cpu_per_item("web") == 0.0
    assert SMALL.wall_per_item == pytest.approx(2.0)
    assert LARGE.wall_per_item == pytest.approx(0.6)


def test_the_dearest_kind_comes_first() -> None:
    assert kinds([SMALL, LARGE]) == ["worker", "postgres", "sandbox", "web"]


def test_the_report_has_a_row_for_each_size_and_process() -> None:
    text = report([SMALL, LARGE], latency_ms=1000, workers=2)
    assert "| 1,000 | 2.0 | 500 | 0.10 | **0.700** | 0.500 | 0.200 | 0.900 | 0.000 |" in text
    assert "| worker | 130 | 130 | 100 | 129 | +0.00 |" in text


def test_the_chart_is_a_picture_with_every_line_named() -> None:
    picture = ElementTree.fromstring(chart([SMALL, LARGE]))  # noqa: S314  (our own text)
    names = {element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")}
    assert {"wall time 0.60", "CPU, all 0.70", "CPU, worker 0.48", "1,000", "1,000,000"} <= names
    lines = [element.get("points", "") for element in picture.iter("{http://www.w3.org/2000/svg}polyline")]
    (first, last) = (float(point.split(",")[1]) for point in lines[0].split())
    assert first < last  # 2.0 ms lies above 0.6 ms


@pytest.mark.parametrize(("value", "expected"), [(0, 1.0), (0.7, 1.0), (1.0, 1.0), (1.1, 1.5), (2.4, 2.5), (37, 40.0)])
def test_the_axis_ends_at_a_round_number(value: float, expected: float) -> None:
    assert round_up(value) == pytest.approx(expected)


def test_names_that_would_cover_each_other_move_apart_in_their_order() -> None:
    places = [100.0, 50.0, 52.0, 51.0]
    moved = spread(places, 16)
    assert (moved[0], moved[2]) == (100.0, 52.0)
    assert all(lower - upper >= 16 for upper, lower in pairwise(sorted(moved)))
    assert sorted(range(4), key=lambda index: moved[index]) == sorted(range(4), key=lambda index: places[index])

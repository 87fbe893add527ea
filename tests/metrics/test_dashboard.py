"""The Grafana dashboard and the alarms name only metrics that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from batches.metrics.collector import LedgerCollector

DOCS = Path(__file__).resolve().parents[2] / "docs"
DASHBOARD = DOCS / "grafana" / "batchsite.json"


def known() -> set[str]:
    """The names of all there are."""
    known = set()
    for family in LedgerCollector().collect():
        endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        known |= {family.name + ending for ending in endings}
    return known


@pytest.mark.django_db
def test_every_metric_of_a_panel_exists() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    named = {name for panel in panels for target in panel["targets"] for name in METRIC.findall(target["expr"])}
    assert named
    assert named <= known()


@pytest.mark.django_db
def test_every_metric_of_the_documents_exists_and_every_one_is_there() -> None:
    named = set(METRIC.findall((DOCS / "operations.md").read_text()))
    calls = {f"batchsite_call_seconds{ending}" for ending in ("", "_bucket", "_sum", "_count")}
    assert named - calls == known() - calls


METRIC = re.compile(r"batchsite_[a-z_]+")

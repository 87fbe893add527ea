"""The Grafana dashboard names only metrics that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from batches.metrics.collector import LedgerCollector

DASHBOARD = Path(__file__).resolve().parents[2] / "docs" / "grafana" / "batchsite.json"


@pytest.mark.django_db
def test_every_metric_of_a_panel_exists() -> None:
    known = set()
    for family in LedgerCollector().collect():
        endings = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        known |= {family.name + ending for ending in endings}
    panels = json.loads(DASHBOARD.read_text())["panels"]
    named = {name for panel in panels for target in panel["targets"] for name in METRIC.findall(target["expr"])}
    assert named
    assert named <= known


METRIC = re.compile(r"batchsite_[a-z_]+")

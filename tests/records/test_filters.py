"""Document 004's filters over records."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from batches.problems import InvalidInput
from records.models import Record, Topic
from tests.records.conftest import Remember


@pytest.fixture
def contents(alice: User, bob: User, remember: Remember) -> Any:
    """The contents of Alice's records that match."""
    topic = Topic.objects.create(owner=alice, name="t")
    remember("a", status="pending", metadata={"category": "invoice", "n": 1, "deep": {"x": 1, "y": 2}}, kind="node")
    remember("b", status="done", metadata={"category": "invoice", "n": 1.5, "ok": True}, tags=["x", "y"], topic=topic)
    remember("c", status="pending", metadata={"category": None, "status": "odd"}, key="k", quality=0.5)
    remember("z", owner=bob, metadata={"category": "invoice"})

    def run(filters: dict[str, Any]) -> str:
        records = Record.objects.owned_by(alice.pk).matching(filters)
        return "".join(sorted(records.values_list("content", flat=True)))

    return run


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, "abc"),
        ({"status": "pending", "category": "invoice"}, "a"),
        ({"status": "odd"}, ""),
        ({"status": ["pending", "done"]}, "abc"),
        ({"category": "invoice"}, "ab"),
        ({"category": ["invoice", None]}, "abc"),
        ({"category": []}, ""),
        ({"category": None}, "c"),
        ({"category": "inv"}, ""),
        ({"n": 1}, "a"),
        ({"n": [1, 1.5]}, "ab"),
        ({"n": "1"}, ""),
        ({"ok": True}, "b"),
        ({"deep": {"x": 1}}, "a"),
        ({"deep": {"x": 2}}, ""),
        ({"tags": "x"}, "b"),
        ({"tags": ["x", "q"]}, "b"),
        ({"tags": []}, ""),
        ({"kind": "node"}, "a"),
        ({"key": "k"}, "c"),
        ({"key": None}, "ab"),
        ({"key": ["k", None]}, "abc"),
        ({"quality": 0.5}, "c"),
        ({"quality": [None, 1]}, "ab"),
        ({"topic_id": None}, "ac"),
        ({"access_count": 0}, "abc"),
        ({"nothing": "here"}, ""),
    ],
)
def test_what_matches(contents: Any, filters: dict[str, Any], expected: str) -> None:
    assert contents(filters) == expected


def test_by_topic_and_by_id(contents: Any) -> None:
    topic, record = Topic.objects.get(), Record.objects.get(content="c")
    assert contents({"topic_id": str(topic.public_id)}) == "b"
    assert contents({"id": [record.public_id, "mem_nothing"]}) == "c"


@pytest.mark.parametrize(
    ("filters", "path"),
    [
        ([], "filters"),
        ({"": 1}, "filters"),
        ({"x" * 256: 1}, "filters"),
        ({"a\x00": 1}, "filters"),
        ({str(number): 1 for number in range(21)}, "filters"),
        ({"status": 1}, "filters.status"),
        ({"status": None}, "filters.status"),
        ({"status": ["a", 1]}, "filters.status.1"),
        ({"status": "a\x00"}, "filters.status"),
        ({"status": "a" * 1001}, "filters.status"),
        ({"tags": [["a"]]}, "filters.tags.0"),
        ({"quality": "high"}, "filters.quality"),
        ({"quality": True}, "filters.quality"),
        ({"access_count": 10**30}, "filters.access_count"),
        ({"topic_id": "x"}, "filters.topic_id"),
        ({"category": "a\x00"}, "filters.category"),
        ({"category": "\ud800"}, "filters.category"),
        ({"category": {"a": float("nan")}}, "filters.category.a"),
        ({"category": [[1]]}, "filters.category.0"),
        ({"category": [1] * 1001}, "filters.category"),
    ],
)
def test_filters_that_make_no_sense_are_named(db: None, filters: Any, path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Record.objects.owned_by(1).matching(filters)
    assert refused.value.problems[0].path == path

"""Whatever JSON is sent: an answer that is documented, and never a 5xx."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.models import User
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from records.models import Record, Topic
from tests.records.conftest import JSON, client_of

NAMES = [
    "content",
    "title",
    "summary",
    "tags",
    "metadata",
    "memory_type",
    "status",
    "topic_id",
    "project_ref",
    "id",
    "data",
    "query",
    "options",
    "limit",
    "page",
    "filters",
    "threshold",
    "memory_types",
    "type",
    "sort",
    "order",
    "search_mode",
    "include_chunks",
    "date_range",
    "memory_ids",
    "name",
    "color",
    "icon",
    "description",
    "parent_topic_id",
]
texts = st.sampled_from(["", "apple", "active", "context", "2026-01-01", "\x00", "\ud800", "'", "\\", "a,b", "x" * 600])
numbers = st.sampled_from([0, 1, -1, 10**30, 0.5, 1e308, 2**31, 2**63])
anything = st.recursive(
    st.none() | st.booleans() | texts | numbers,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | texts, inner, max_size=4),
    max_leaves=8,
)
objects = st.dictionaries(st.sampled_from(NAMES), anything, max_size=6)
operations = st.builds(
    lambda type_, fields: {**fields, "type": type_},
    st.sampled_from(["create", "read", "update", "delete", "search"]) | anything,
    objects | st.fixed_dictionaries({"data": objects}) | st.fixed_dictionaries({"query": texts, "options": objects}),
)


class AnyInput(TestCase):
    """As Alice, who has a memory and a topic."""

    def prepare(self) -> None:
        """Within each example: hypothesis undoes all that one did."""
        alice, _ = User.objects.get_or_create(username="alice")
        self.client = client_of(alice)
        self.memory = Record.objects.create(owner=alice, content="apple")
        self.topic, _ = Topic.objects.get_or_create(owner=alice, name="t")

    def send(self, method: str, path: str, body: Any) -> int:
        response = getattr(self.client, method)(f"/api/v1/{path}", json.dumps(body), content_type=JSON)
        assert response["Content-Type"] == JSON or response.status_code == 204
        return int(response.status_code)

    @settings(max_examples=25)
    @given(st.lists(operations, max_size=4), anything)
    def test_a_batch(self, wanted: list[Any], options: Any) -> None:
        self.prepare()
        for given_options in (None, {"continue_on_error": True}, options):
            assert self.send("post", "batch", {"operations": wanted, "options": given_options}) in {200, 207, 400}

    @settings(max_examples=15)
    @given(objects)
    def test_every_route_with_a_body(self, body: dict[str, Any]) -> None:
        self.prepare()
        memory, topic = f"memory/{self.memory.public_id}", f"topics/{self.topic.public_id}"
        for method, path in (
            ("post", "memory"),
            ("put", memory),
            ("post", "memory/list"),
            ("post", "memory/search"),
            ("post", "memory/bulk/delete"),
            ("post", "topics"),
            ("put", topic),
        ):
            assert self.send(method, path, body) in {200, 201, 400, 404, 409}, path

    @settings(max_examples=15)
    @given(
        st.dictionaries(st.sampled_from([*NAMES, "from", "to", "group_by"]), texts.filter(str.isprintable), max_size=5)
    )
    def test_every_route_with_parameters(self, parameters: dict[str, str]) -> None:
        self.prepare()
        for path in (
            "memory",
            "topics",
            "analytics/search",
            "analytics/access",
            f"topics/{self.topic.public_id}/memories",
        ):
            assert self.client.get(f"/api/v1/{path}", parameters).status_code in {200, 400}, path

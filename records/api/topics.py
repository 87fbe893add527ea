"""``/api/v1/topics``."""

from __future__ import annotations

from typing import Any

from django.http import QueryDict
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from batches.api.base import page_of, user_id
from records import topics
from records.api.base import MemoryView
from records.api.memories import body_of
from records.api.memory_request import credential_of
from records.models import Record, Topic
from records.repeats import Repeatable, create_once
from records.shapes import entry_shape, topic_shape


class TopicsView(MemoryView):
    """All topics."""

    def get(self, request: Request) -> Response:
        """A list; with ``include_hierarchy=true`` the tree, each with how many memories it has."""
        rows = topics.all_topics(user_id(request))
        if not _is_true(request.query_params, "include_hierarchy"):
            return Response([topic_shape(row) for row in rows])
        return Response(tree(rows, topics.memory_counts(user_id(request))))

    def post(self, request: Request) -> Response:
        """A new one: 201."""
        owner_id, body = user_id(request), body_of(request)
        values = topics.read_topic(body, creating=True)
        topic = create_once(
            Repeatable.of(owner_id=owner_id, credential=credential_of(request), path="/api/v1/topics", body=body),
            lambda: topics.create_topic(owner_id, values),
            lambda created: str(created.public_id),
            lambda public_id: topics.find_unchanged_topic(owner_id, public_id),
        )
        return Response(topic_shape(topic), 201)


class TopicView(MemoryView):
    """One topic."""

    def get(self, request: Request, topic_id: str) -> Response:
        """All of it."""
        return Response(topic_shape(_topic(request, topic_id)))

    def put(self, request: Request, topic_id: str) -> Response:
        """Replace the given fields."""
        values = topics.read_topic(body_of(request), creating=False)
        topic = topics.update_topic(user_id(request), _topic(request, topic_id), values)
        return Response(topic_shape(topic))

    def patch(self, request: Request, topic_id: str) -> Response:
        """The same."""
        return self.put(request, topic_id)

    def delete(self, request: Request, topic_id: str) -> Response:
        """Gone; its memories stay: 204."""
        topics.delete_topic(_topic(request, topic_id))
        return Response(status=204)


class TopicMemoriesView(MemoryView):
    """What is filed under a topic."""

    def get(self, request: Request, topic_id: str) -> Response:
        """A page of its memories, newest first, and the topics right below it."""
        topic = _topic(request, topic_id)
        memories = Record.objects.owned_by(user_id(request)).memories().filter(topic=topic)
        page = page_of(memories.select_related("topic").order_by("-pk"), request)
        counts = topics.memory_counts(user_id(request))
        below = [
            {"id": str(one.public_id), "name": one.name, "memory_count": counts.get(one.pk, 0)}
            for one in topic.children.order_by("name", "pk")
        ]
        return Response(
            {
                "topic": topic_shape(topic),
                "memories": [entry_shape(row) for row in page.rows],
                "total_memories": page.count,
                "subtopics": below,
            }
        )


def _topic(request: Request, topic_id: str) -> Topic:
    topic = topics.find_topic(user_id(request), topic_id)
    if topic is None:
        raise NotFound("Topic not found")
    return topic


def _is_true(parameters: QueryDict, name: str) -> bool:
    return parameters.get(name, "").lower() in {"true", "1", "yes"}


def tree(rows: list[Topic], counts: dict[int, int]) -> list[dict[str, Any]]:
    """The topics below nothing, each with those below it."""
    shapes: dict[int, dict[str, Any]] = {
        row.pk: {**topic_shape(row), "memory_count": counts.get(row.pk, 0), "children": []} for row in rows
    }
    roots: list[dict[str, Any]] = []
    for row in rows:
        siblings = roots if row.parent_id is None else shapes[row.parent_id]["children"]
        siblings.append(shapes[row.pk])
    return roots

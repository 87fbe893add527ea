"""Calls of the memory service, as its client makes them."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from tests.records.conftest import JSON

NEW = {"title": "T", "content": "C", "memory_type": "knowledge", "tags": ["a"], "metadata": {"k": 1}}
FIELDS = {
    "id",
    "title",
    "content",
    "summary",
    "memory_type",
    "status",
    "relevance_score",
    "access_count",
    "last_accessed",
    "user_id",
    "topic_id",
    "project_ref",
    "tags",
    "metadata",
    "created_at",
    "updated_at",
}
WORDS = ["memory", "memories"]


def post(client: Client, path: str, body: Any, **headers: str) -> Any:
    return client.post(f"/api/v1/{path}", json.dumps(body), content_type=JSON, headers=headers)


def put(client: Client, path: str, body: Any) -> Any:
    return client.put(f"/api/v1/{path}", json.dumps(body), content_type=JSON)


def get(client: Client, path: str, **parameters: Any) -> Any:
    return client.get(f"/api/v1/{path}", parameters)

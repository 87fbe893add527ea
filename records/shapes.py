"""Rows as the memory service's clients know them."""

from __future__ import annotations

from typing import Any

from batches.api.shapes import instant
from records.models import Record, Topic
from records.search import Hit

LONGEST_DERIVED_TITLE = 80


def title_of(record: Record) -> str:
    """Its title; without one the beginning of its first line."""
    if record.title:
        return record.title
    line = record.content.lstrip()[:1000].split("\n", 1)[0].strip()
    return line if len(line) <= LONGEST_DERIVED_TITLE else f"{line[:LONGEST_DERIVED_TITLE]}..."


def entry_shape(record: Record) -> dict[str, Any]:
    """A memory with all its fields. Its topic must have been read with it."""
    return {
        "id": record.public_id,
        "title": title_of(record),
        "content": record.content,
        "summary": record.summary or None,
        "memory_type": record.memory_type,
        "status": record.status,
        "relevance_score": record.relevance,
        "access_count": record.access_count,
        "last_accessed": instant(record.last_accessed),
        "user_id": str(record.owner_id),
        "topic_id": str(record.topic.public_id) if record.topic else None,
        "project_ref": record.project_ref or None,
        "tags": list(record.tags),
        "metadata": record.metadata,
        "created_at": instant(record.created_at),
        "updated_at": instant(record.updated_at),
    }


def hit_shape(hit: Hit) -> dict[str, Any]:
    """A search result of document 003."""
    return {
        "id": hit.record.public_id,
        "content": hit.record.content,
        "score": hit.score,
        "title": title_of(hit.record),
        "metadata": hit.record.metadata,
        "tags": list(hit.record.tags),
        "created_at": instant(hit.record.created_at),
    }


def found_entry_shape(hit: Hit, *, with_passages: bool) -> dict[str, Any]:
    """A search result of the memory service: the whole memory with its scores."""
    shape = {
        **entry_shape(hit.record),
        "similarity_score": hit.score,
        "combined_score": hit.score,
        "text_rank": hit.rank,
    }
    if with_passages:
        shape["matching_chunks"] = [
            {"index": one.index, "content": one.content, "similarity": one.similarity} for one in hit.passages
        ]
    return shape


def topic_shape(topic: Topic) -> dict[str, Any]:
    """A topic. Its parent must have been read with it."""
    return {
        "id": str(topic.public_id),
        "name": topic.name,
        "description": topic.description or None,
        "color": topic.color or None,
        "icon": topic.icon or None,
        "user_id": str(topic.owner_id),
        "parent_topic_id": str(topic.parent.public_id) if topic.parent else None,
        "is_system": False,
        "metadata": topic.metadata,
        "created_at": instant(topic.created_at),
        "updated_at": instant(topic.updated_at),
    }

"""Every operation of the memory service (document 003): by method and path below ``/api/v1``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batches.api.documentation.bodies import FREE, TEXT
from batches.api.documentation.descriptions import Description, Free, Maybe, Parameter, Schema, Sometimes
from records.api.batch_request import LONGEST_QUERY, LONGEST_TIMEOUT_MS, MOST_OPERATIONS, MOST_RESULTS, MOST_RETRIES
from records.api.memory_request import MODES, MOST_DELETED, MOST_ROWS, SORTS
from records.fields import LONGEST_PROJECT, LONGEST_SUMMARY, LONGEST_TAG, LONGEST_TITLE, MOST_TAGS
from records.models import MemoryStatus, MemoryType
from records.statistics import STRETCHES
from records.topics import LONGEST_DESCRIPTION, LONGEST_NAME

TAG = "Memories (document 003)"
AT = "2024-01-15T10:30:00.000Z"
MEMORY_ID = "mem_1234567890abcdef"
TOPIC_ID = "5c1f2f0e-7c53-4a51-9d8e-0d6f6d2b7a10"
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255},
    "Doing it again under the same key does it once: the same answer for a day.",
    place="header",
)

PROBLEM = {"path": "content", "message": "Content is required", "code": "required"}
ERROR = {"error": "content: Content is required", "message": "content: Content is required", "code": "VALIDATION_ERROR"}
MEMORY_ERROR = {**ERROR, "details": [PROBLEM]}
BATCH_ERROR = {
    "success": False,
    "error": {
        "code": "INVALID_BATCH_REQUEST",
        "message": "Invalid batch request",
        "details": Free({"field": "operations", "reason": "operations_array_required"}),
    },
}
MEMORY = {
    "id": MEMORY_ID,
    "title": "Authentication",
    "content": "Authentication system documentation",
    "summary": Maybe("How users sign in."),
    "memory_type": "context",
    "status": "active",
    "relevance_score": Maybe(0.5),
    "access_count": 0,
    "last_accessed": Maybe(AT),
    "user_id": "1",
    "topic_id": Maybe(TOPIC_ID),
    "project_ref": Maybe("website"),
    "tags": ["user", "profile"],
    "metadata": Free({"category": "important"}),
    "created_at": AT,
    "updated_at": AT,
}
FOUND = {
    **MEMORY,
    "similarity_score": 0.95,
    "combined_score": 0.95,
    "text_rank": 0.0912,
    "matching_chunks": Sometimes([{"index": 0, "content": "Authentication system", "similarity": 0.95}]),
}
TOPIC = {
    "id": TOPIC_ID,
    "name": "Work",
    "description": Maybe("What I am paid for."),
    "color": Maybe("#1a2b3c"),
    "icon": Maybe("briefcase"),
    "user_id": "1",
    "parent_topic_id": Maybe(TOPIC_ID),
    "is_system": False,
    "metadata": Free({}),
    "created_at": AT,
    "updated_at": AT,
}
PAGE = {"data": [MEMORY], "pagination": {"page": 1, "limit": 20, "total": 1, "pages": 1}}
BY_TYPE = dict.fromkeys(MemoryType.values, 0)
OPERATION = {
    "index": 0,
    "type": "create",
    "status": "success",
    "result": Sometimes(Maybe(Free({"id": MEMORY_ID, "created_at": AT}))),
    "error": Sometimes({"code": "VALIDATION_ERROR", "message": "Content is required", "details": Free({})}),
}
BATCH = {
    "success": True,
    "data": {
        "batch_id": "batch_1234567890abcdef",
        "processed": 1,
        "failed": 0,
        "skipped": 0,
        "total": 1,
        "execution_time": 12,
        "operations": [OPERATION],
        "summary": {"creates": 1, "reads": 0, "updates": 0, "deletes": 0, "searches": 0},
    },
}
_FAILED = {
    "index": 0,
    "type": "create",
    "status": "failed",
    "error": {"code": "VALIDATION_ERROR", "message": "Content is required", "details": Free({"field": "content"})},
}
_COUNTS = {"processed": 0, "failed": 1, "summary": dict.fromkeys(BATCH["data"]["summary"], 0), "operations": [_FAILED]}  # type: ignore[index]


def takes(*required: str, **properties: Schema) -> Schema:
    """A body with these fields; clients of the memory service send others too, which are left alone."""
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": True}
    return schema | ({"required": list(required)} if required else {})


def text(maximum: int, *, null: bool = False) -> Schema:
    """So many characters."""
    return {"type": ["string", "null"] if null else "string", "maxLength": maximum}


FIELDS: dict[str, Schema] = {
    "content": {"type": "string", "minLength": 1},
    "title": text(LONGEST_TITLE),
    "summary": text(LONGEST_SUMMARY, null=True),
    "memory_type": {"type": "string", "enum": MemoryType.values},
    "status": {"type": "string", "enum": MemoryStatus.values},
    "topic_id": {"type": ["string", "null"], "format": "uuid"},
    "project_ref": text(LONGEST_PROJECT, null=True),
    "tags": {"type": "array", "items": text(LONGEST_TAG) | {"minLength": 1}, "maxItems": MOST_TAGS},
    "metadata": FREE,
}
TOPIC_FIELDS: dict[str, Schema] = {
    "name": {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME},
    "description": text(LONGEST_DESCRIPTION, null=True),
    "color": {"type": ["string", "null"], "pattern": "^#[0-9A-Fa-f]{6}$"},
    "icon": text(50, null=True),
    "parent_topic_id": {"type": ["string", "null"], "format": "uuid"},
    "metadata": FREE,
}
LIST_FIELDS: dict[str, Schema] = {
    "page": {"type": "integer", "minimum": 1, "default": 1},
    "limit": {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": 20},
    "memory_type": {"type": "string", "description": "One, or several with commas between them."},
    "status": {"type": "string", "description": "The same; without it all but deleted ones."},
    "tags": {"type": "string", "description": "Any of these, with commas between them."},
    "topic_id": {"type": "string", "format": "uuid"},
    "project_ref": {"type": "string"},
    "sort": {"type": "string", "enum": list(SORTS)},
    "order": {"type": "string", "enum": ["asc", "desc"], "default": "desc"},
}
LIST_PARAMETERS = tuple(Parameter(name, schema) for name, schema in LIST_FIELDS.items())
STRETCH = (
    Parameter("from", {"type": "string"}, "ISO 8601, a day or an instant."),
    Parameter("to", {"type": "string"}, "The same; a day is included."),
)
SEARCH_BODY = takes(
    "query",
    query={"type": "string", "minLength": 1, "maxLength": LONGEST_QUERY},
    limit={"type": "integer", "minimum": 1, "maximum": MOST_RESULTS, "default": 20},
    threshold={"type": "number", "minimum": 0, "maximum": 1, "default": 0.7},
    search_mode={"type": "string", "enum": list(MODES), "description": "Whichever is said, the text is searched."},
    include_chunks={"type": "boolean", "default": False},
    memory_types={"type": "array", "items": {"type": "string", "enum": MemoryType.values}},
    tags={"type": "array", "items": TEXT},
    topic_id={"type": "string", "format": "uuid"},
    project_ref=TEXT,
    status={"type": "string", "enum": MemoryStatus.values},
    filters={"type": "object", "description": "tags, topic_id, project_id, date_range (from, to)."},
)
BATCH_BODY: Schema = {
    "type": "object",
    "required": ["operations"],
    "additionalProperties": False,
    "properties": {
        "operations": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_OPERATIONS,
            "items": {
                "type": "object",
                "required": ["type"],
                "properties": {
                    "type": {"type": "string", "enum": ["create", "read", "update", "delete", "search"]},
                    "id": {"type": "string", "description": "Of read, update, delete."},
                    "data": {"type": "object", "description": "Of create and update: the fields of a memory."},
                    "query": {"type": "string", "description": "Of search."},
                    "options": {"type": "object", "description": "Of search: limit, filters, threshold."},
                },
            },
        },
        "options": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "continue_on_error": {"type": "boolean", "default": False},
                "max_retries": {"type": "integer", "minimum": 0, "maximum": MOST_RETRIES, "default": 0},
                "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_TIMEOUT_MS, "default": 30000},
                "parallel": {"type": "boolean", "default": True},
                "validate_only": {"type": "boolean", "default": False},
            },
        },
    },
}
BATCH_EXAMPLE = {
    "operations": [
        {
            "type": "create",
            "data": {
                "content": "User profile data",
                "metadata": {"type": "profile", "user_id": "123"},
                "tags": ["user", "profile"],
            },
        },
        {"type": "search", "query": "user authentication", "options": {"limit": 5}},
    ],
    "options": {"continue_on_error": True, "max_retries": 3, "timeout": 30000},
}


def memory(summary: str, answers: Mapping[int, Any], **more: Any) -> Description:
    """A route of the memory service; its errors are its own."""
    return Description(summary=summary, tag=TAG, answers=answers, error=MEMORY_ERROR, **more)


def routes_of_memories(word: str) -> dict[str, Description]:
    """Newer clients say ``memories`` where older ones say ``memory``."""
    one = f"/api/v1/{word}/{{memory_id}}"
    update = {
        "body": takes(**FIELDS),
        "body_example": {"content": "Updated content", "metadata": {"updated": True}},
        "statuses": (404, 409),
    }
    return {
        f"GET /api/v1/{word}": memory("A page of memories", {200: PAGE}, parameters=LIST_PARAMETERS),
        f"POST /api/v1/{word}": memory(
            "Store a memory",
            {201: MEMORY},
            body=takes("content", **FIELDS),
            body_example={"title": "Authentication", "content": "Authentication system documentation"},
            parameters=(IDEMPOTENCY_KEY,),
            details="The same again within a short time by the same key is taken for a repetition: it is that memory.",
            statuses=(404, 409),
        ),
        f"GET /api/v1/{word}/list": memory("A page of memories", {200: PAGE}, parameters=LIST_PARAMETERS),
        f"POST /api/v1/{word}/list": memory("A page of memories", {200: PAGE}, body=takes(**LIST_FIELDS)),
        f"POST /api/v1/{word}/search": memory(
            "Search memories",
            {
                200: {
                    "results": [FOUND],
                    "total_results": 1,
                    "search_time_ms": 14.2,
                    "total": 1,
                    "query": "user authentication",
                    "search_mode": "text",
                    "threshold": 0.7,
                    "execution_time_ms": 14.2,
                }
            },
            body=SEARCH_BODY,
            body_example={"query": "user authentication", "limit": 5},
        ),
        f"POST /api/v1/{word}/bulk/delete": memory(
            f"Delete up to {MOST_DELETED} memories",
            {200: {"deleted_count": 1, "failed_ids": [MEMORY_ID]}},
            body=takes("memory_ids", memory_ids={"type": "array", "items": TEXT, "maxItems": MOST_DELETED}),
            body_example={"memory_ids": [MEMORY_ID]},
        ),
        f"GET /api/v1/{word}/stats": memory(
            "How many memories there are",
            {
                200: {
                    "total_memories": 1,
                    "memories_by_type": BY_TYPE,
                    "total_topics": 0,
                    "most_accessed_memory": Maybe(MEMORY_ID),
                    "recent_memories": [MEMORY_ID],
                }
            },
        ),
        f"GET {one}": memory("A memory", {200: MEMORY}),
        f"PUT {one}": memory("Change fields of a memory", {200: MEMORY}, **update),
        f"PATCH {one}": memory("Change fields of a memory", {200: MEMORY}, **update),
        f"DELETE {one}": memory("Delete a memory", {204: None}),
    }


TOPIC_UPDATE = {"body": takes(**TOPIC_FIELDS), "body_example": {"name": "Work"}, "statuses": (404, 409)}

MEMORY_DESCRIPTIONS: dict[str, Description] = {
    "POST /api/v1/batch": Description(
        summary="Up to 100 operations on memories at once",
        tag=TAG,
        answers={200: BATCH, 207: {**BATCH, "data": {**BATCH["data"], **_COUNTS}}},  # type: ignore[dict-item]
        body=BATCH_BODY,
        body_example=BATCH_EXAMPLE,
        parameters=(Parameter("X-Batch-Id", {"type": "string"}, "Comes back as batch_id.", "header"), IDEMPOTENCY_KEY),
        error=BATCH_ERROR,
        statuses=(409, 429),
        details="200 when every operation succeeded, 207 when one failed or was skipped. A key may send 10 a minute.",
    ),
    **routes_of_memories("memory"),
    **routes_of_memories("memories"),
    "GET /api/v1/topics": memory(
        "Your topics",
        {200: [{**TOPIC, "memory_count": Sometimes(3), "children": Sometimes([])}]},
        parameters=(
            Parameter("include_hierarchy", {"type": "boolean"}, "As a tree, with how many memories each has."),
        ),
    ),
    "POST /api/v1/topics": memory(
        "Make a topic",
        {201: TOPIC},
        body=takes("name", **TOPIC_FIELDS),
        body_example={"name": "Work"},
        statuses=(404, 409),
    ),
    "GET /api/v1/topics/{topic_id}": memory("A topic", {200: TOPIC}),
    "PUT /api/v1/topics/{topic_id}": memory("Change fields of a topic", {200: TOPIC}, **TOPIC_UPDATE),
    "PATCH /api/v1/topics/{topic_id}": memory("Change fields of a topic", {200: TOPIC}, **TOPIC_UPDATE),
    "DELETE /api/v1/topics/{topic_id}": memory("Delete a topic; its memories stay", {204: None}),
    "GET /api/v1/topics/{topic_id}/memories": memory(
        "What is filed under a topic",
        {
            200: {
                "topic": TOPIC,
                "memories": [MEMORY],
                "total_memories": 1,
                "subtopics": [{"id": TOPIC_ID, "name": "Invoices", "memory_count": 3}],
            }
        },
        parameters=(
            Parameter("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}, "How many."),
            Parameter("offset", {"type": "integer", "minimum": 0, "default": 0}, "How many to pass over."),
        ),
    ),
    "GET /api/v1/analytics/stats": memory(
        "Figures about your memories",
        {
            200: {
                "total_memories": 1,
                "by_type": BY_TYPE,
                "by_project": [{"project_id": "website", "project_name": "website", "count": 1}],
                "storage": {"total_size_mb": 0.01, "avg_memory_size_kb": 0.02, "total_chunks": 1},
                "activity": {"created_today": 1, "updated_today": 0, "searched_today": 2},
                "top_tags": [{"tag": "user", "count": 1}],
            }
        },
    ),
    "GET /api/v1/analytics/search": memory(
        "Figures about your searches",
        {
            200: {
                "total_searches": 2,
                "avg_results_count": 1.0,
                "avg_execution_time_ms": 8.38,
                "search_types": {"vector": 0, "text": 2, "hybrid": 0},
                "by_date": [{"date": "2024-01-15", "searches": 2, "avg_results": 1.0, "avg_time_ms": 8.38}],
                "popular_queries": [{"query": "user authentication", "count": 1, "avg_results": 1.0}],
            }
        },
        parameters=(*STRETCH, Parameter("group_by", {"type": "string", "enum": list(STRETCHES), "default": "day"})),
    ),
    "GET /api/v1/analytics/access": memory(
        "Figures about reads, updates and deletes",
        {
            200: {
                "total_accesses": 2,
                "by_type": {"read": 2, "update": 0, "delete": 0},
                "by_method": {"api": 0, "search": 2, "direct": 0},
                "most_accessed": [
                    {"memory_id": MEMORY_ID, "title": "Authentication", "access_count": 1, "last_accessed": Maybe(AT)}
                ],
                "access_by_hour": [{"hour": 0, "count": 2}],
            }
        },
        parameters=STRETCH,
    ),
    "GET /api/v1/health": memory(
        "Whether the service answers and the key is good", {200: {"status": "ok", "timestamp": AT}}
    ),
}

"""Batches of any operation, as document 004 has them."""

from __future__ import annotations

from batches.api.documentation import bodies
from batches.api.documentation.descriptions import Description, Free, Maybe, Parameter, Sometimes
from batches.api.documentation.examples import (
    AT,
    BATCH,
    BATCH_ID,
    COUNTS,
    ECONOMY,
    IDEMPOTENCY_KEY,
    ITEM_COST,
    OPERATIONS,
    PAGE,
    PAGED,
    TOKENS,
)
from batches.states import BatchStatus

RESULT = {
    "nodeId": "node_001",
    "success": True,
    "result": Sometimes(Free({"description": "Invoice processing", "tags": ["finance"]})),
    "error": Sometimes("No answer."),
    "errorCategory": Sometimes("timeout"),
    "errorCode": Sometimes("timeout"),
    "retries": 0,
    "durationMs": Sometimes(1250),
    "qualityScore": Sometimes(0.95),
    "delivery": Sometimes("delivered"),
    "createdAt": "2025-12-20T10:05:00.000Z",
    "provider": Sometimes("openai-gpt-5"),
    "tokens": Sometimes(TOKENS),
    "cost": Sometimes(ITEM_COST),
}
SUMMARY = {
    "total": 100,
    "successful": 98,
    "failed": 2,
    "cancelled": 0,
    "qualityScore": Maybe(0.92),
    "performanceMetrics": {"averageDuration": Maybe(1180.0), "totalDuration": 118000, "requestsPerMinute": 50.85},
}
VISUALIZATION = {
    "batchId": BATCH_ID,
    "overview": {
        "total": 100,
        "successful": 98,
        "failed": 2,
        "pending": 0,
        "cancelled": 0,
        "successRate": 0.98,
        "averageDuration": Maybe(1180.0),
    },
    "errorDistribution": [
        {"error": "Timeout", "category": "timeout", "count": 1, "percentage": 50.0},
        {"error": "Invalid response", "category": "content", "count": 1, "percentage": 50.0},
    ],
    "qualityDistribution": [
        {"range": "0.8-1.0", "count": 85, "percentage": 85.0},
        {"range": "0.6-0.8", "count": 13, "percentage": 13.0},
    ],
    "performanceMetrics": {
        "averageDuration": Maybe(1180.0),
        "p50Duration": Maybe(1150.0),
        "p95Duration": Maybe(1850.0),
        "p99Duration": Maybe(2200.0),
    },
    "timeline": [{"at": AT, "processed": 45, "progress": 45}],
}

ROUTES: dict[str, Description] = {
    "POST /api/batch/create": Description(
        summary="Create a batch of any operation",
        tag=OPERATIONS,
        body=bodies.CREATE,
        body_example=bodies.document_004(),
        parameters=(IDEMPOTENCY_KEY,),
        answers={
            202: {
                "success": True,
                "batch": {
                    "id": BATCH_ID,
                    "operation": "annotate",
                    "status": "pending",
                    "progress": 0,
                    "created_at": AT,
                },
                "warnings": Sometimes([""]),
            },
            200: {"success": True, "dryRun": True, "preview": Free({"total": 100, "items": [{"id": "node_001"}]})},
        },
        statuses=(409, 429),
        details="200 is the answer to a dry run.",
    ),
    "GET /api/batch/{batch_id}": Description(
        summary="Where a batch stands",
        tag=OPERATIONS,
        answers={
            200: {
                "success": True,
                "batch": {**BATCH, "economy": Sometimes(ECONOMY)},
                "status": Sometimes("processing"),
                "progress": Sometimes(COUNTS),
                "metrics": Sometimes({"messagesPerSecond": 4.9, "successRate": 0.9556}),
            }
        },
        details="`status`, `progress` and `metrics` are document 002's, of SMS batches alone.",
    ),
    "GET /api/batch/{batch_id}/results": Description(
        summary="What became of the items so far, with a summary",
        tag=OPERATIONS,
        parameters=PAGED,
        answers={200: {"success": True, "batch": {**BATCH, "results": [RESULT], "summary": SUMMARY}, **PAGE}},
    ),
    "GET /api/batch/{batch_id}/viz": Description(
        summary="Distributions, percentiles and a timeline",
        tag=OPERATIONS,
        answers={200: {"success": True, "visualization": VISUALIZATION}},
    ),
    "GET /api/batch/history": Description(
        summary="Your batches, newest first",
        tag=OPERATIONS,
        parameters=(
            Parameter("operation", {"type": "string", "minLength": 1, "maxLength": 64}),
            Parameter("status", {"type": "string", "enum": BatchStatus.values}),
            Parameter("createdAfter", {"type": "string", "format": "date-time"}),
            Parameter("createdBefore", {"type": "string", "format": "date-time"}),
            *PAGED,
        ),
        answers={
            200: {
                "success": True,
                "batches": [BATCH],
                "count": 20,
                "total": 138,
                "filter": {
                    "status": Sometimes("completed"),
                    "operation": Sometimes("annotate"),
                    "createdAfter": Sometimes(AT),
                    "createdBefore": Sometimes(AT),
                    "limit": 20,
                    "offset": 0,
                },
            }
        },
    ),
    "GET /api/batch/stats": Description(
        summary="How many batches, by status and operation",
        tag=OPERATIONS,
        answers={
            200: {
                "success": True,
                "stats": {
                    "total": 150,
                    "byStatus": Free({"pending": 5, "running": 3, "completed": 138, "failed": 2, "cancelled": 2}),
                    "byOperation": Free({"annotate": 120, "import": 20, "export": 10}),
                    "completionRate": 0.92,
                },
            }
        },
    ),
    "POST /api/batch/{batch_id}/cancel": Description(
        summary="Cancel a batch",
        tag=OPERATIONS,
        answers={200: {"success": True, "message": "Batch cancelled successfully"}},
        statuses=(409,),
    ),
    "DELETE /api/batch/cleanup": Description(
        summary="Delete batches that have been over for long",
        tag=OPERATIONS,
        body=bodies.CLEANUP,
        body_example={"daysToKeep": 60},
        body_required=False,
        parameters=(Parameter("daysToKeep", {"type": "integer", "minimum": 0, "maximum": 36_500}),),
        answers={200: {"success": True, "deleted": 42, "daysToKeep": 60}},
    ),
    "GET /api/operations": Description(
        summary="What batches can do here",
        tag=OPERATIONS,
        answers={
            200: {
                "success": True,
                "operations": [
                    {
                        "name": "annotate",
                        "channel": "ai",
                        "description": "Describes records.",
                        "fields": Free({"filters": "Which records."}),
                        "makesFiles": False,
                        "modes": ["fast", "economy"],
                    }
                ],
            }
        },
    ),
}

"""Every operation of the API under ``/api/batch`` and beside it, by method and path."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from batches.api.documentation import bodies
from batches.api.documentation.descriptions import Description, Free, Maybe, Parameter, Sometimes
from batches.states import BatchStatus, ItemStatus
from providers.base import ErrorCategory

BATCH_ID = "batch_1234567890_abc123"
AT = "2025-12-20T10:00:00.000Z"

LIMIT = Parameter("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}, "How many.")
OFFSET = Parameter("offset", {"type": "integer", "minimum": 0, "default": 0}, "How many to pass over.")
PAGED = (LIMIT, OFFSET)
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255},
    "Doing it again under the same key does it once: the same answer for a day.",
    place="header",
)
PAGE = {"count": 1, "limit": 50, "offset": 0}

UNAVAILABLE = {
    "provider": "openai-gpt-5",
    "reason": "authentication (invalid_api_key)",
    "since": AT,
    "nextTryAt": Maybe(AT),
    "message": f"provider unavailable: authentication (invalid_api_key) since {AT}",
    "whenUnavailable": "wait",
}
BATCH: dict[str, Any] = {
    "id": BATCH_ID,
    "operation": "annotate",
    "status": "running",
    "progress": 45,
    "created_at": AT,
    "started_at": Sometimes("2025-12-20T10:01:00.000Z"),
    "completed_at": Sometimes("2025-12-20T10:09:00.000Z"),
    "total_items": 100,
    "processed_items": 45,
    "failed_items": 2,
    "name": Sometimes("Monthly invoice annotation"),
    "description": Sometimes("Annotate all pending invoices"),
    "error": Sometimes("The file with its items cannot be read any more."),
    "outcome": Sometimes(Free({"deleted": 2})),
    "finishing": Sometimes(True),
    "spent": Sometimes("0.151875"),
    "max_cost": Sometimes("5.000000"),
    "held_for": Sometimes("budget"),
    "unavailable": Sometimes(UNAVAILABLE),
}
TOKENS = {"input": 1204, "output": 187}
ITEM_COST = {"amount": "0.003375", "charge": "0.00675", "currency": Maybe("USD"), "simulated": False}
BILLED = {
    "provider": Maybe("openai-gpt-5"),
    "tokens": Maybe(TOKENS),
    "segments": Maybe(1),
    "cost": Maybe(ITEM_COST),
}
COUNTS = {"total": 100, "pending": 55, "completed": 43, "failed": 2, "cancelled": 0, "unknown": 0}
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
COST = {
    "amount": "0.431600",
    "simulatedAmount": "0.000000",
    "charge": "0.863200",
    "currency": "USD",
    "pricesAsOf": Maybe("2026-11-21"),
}
TIMES = {
    "measured": 45,
    "average": Maybe(180.2),
    "p50": Maybe(170.1),
    "p95": Maybe(260.0),
    "p99": Maybe(300.5),
}
ANALYTICS = {
    "batchId": BATCH_ID,
    "status": "processing",
    "totals": COUNTS,
    "successRate": 0.9556,
    "messagesPerSecond": {"overall": 4.9, "recent": 5.0},
    "durations": TIMES,
    "waits": {"queue": TIMES, "limits": TIMES},
    "errors": [{"category": "rate_limit", "count": 3}],
    "failures": [{"category": "invalid_request", "count": 2}],
    "rateLimit": {
        "priority": "normal",
        "perSecond": Maybe(5.0),
        "configured": Maybe(300.0),
        "waitedSeconds": 8.25,
        "averageWaitSeconds": Maybe(0.172),
    },
    "segments": Maybe(52),
    "tokens": Maybe({"input": 0, "output": 0}),
    "cost": Maybe(COST),
    "delivery": Maybe({"delivered": 40, "undelivered": 1, "pending": 2, "rate": Maybe(0.9756)}),
    "slotSeconds": 10,
    "timeline": [{"at": AT, "finished": 45}],
}
SPAN = {"low": 1000, "high": 1400}
PRICE = {"low": "0.210000", "high": "1.900000"}
IN_MODE = {
    "cost": Maybe(PRICE),
    "charge": Maybe(PRICE),
    "duration": {"low": 20.5, "high": 94.0, "decidedBy": "rate_limit"},
}
ESTIMATE = {
    "operation": "rate_photos",
    "mode": "fast",
    "provider": Maybe("openai-gpt-5"),
    "model": Maybe("gpt-5"),
    "usesSandbox": False,
    "items": 1000,
    "calls": SPAN,
    "tokens": Maybe({"input": SPAN, "output": SPAN}),
    "segments": Maybe(1204),
    "currency": Maybe("USD"),
    "pricesAsOf": Maybe("2026-11-21"),
    **IN_MODE,
    "modes": {"fast": IN_MODE, "economy": Maybe(IN_MODE)},
    "maxCost": Maybe("25.000000"),
    "withinMaxCost": Maybe(True),
    "refusedItems": 1,
    "refused": [{"path": "recipients.7.phoneNumber", "message": "Is required.", "code": "required"}],
    "basedOn": {"items": 100, "unknownItems": 0, "earlierCalls": 1200},
    "warnings": ["The number of recipients.2 is given again at 5; each of them gets a message."],
}
FILE = {
    "fileId": "file_0123456789abcdef0123456789abcdef",
    "name": "photo1.jpg",
    "mediaType": "image/jpeg",
    "size": 48213,
    "url": "/api/files/file_0123456789abcdef0123456789abcdef",
}
ECONOMY = {
    "atProvider": 477,
    "since": Maybe(AT),
    "answeredThere": Maybe(120),
    "preparing": 0,
    "problem": Maybe("rate_limit_exceeded"),
    "retryAt": Maybe(AT),
    "retries": "economy",
    "deadline": Maybe(AT),
    "fastSince": Maybe(AT),
}
PHOTO_STATUS = {
    "jobId": BATCH_ID,
    "shootId": "shoot123",
    "status": "processing",
    "totalImages": 1000,
    "processedImages": 523,
    "succeededImages": 520,
    "failedImages": 3,
    "cancelledImages": 0,
    "progress": 0.523,
    "mode": "fast",
    "spent": "1.765125",
    "maxCost": Maybe("25.000000"),
    "heldFor": Maybe("budget"),
    "unavailable": Maybe(UNAVAILABLE),
    "createdAt": "2025-11-18T10:30:00.000Z",
    "startedAt": Maybe("2025-11-18T10:30:01.000Z"),
    "completedAt": Maybe("2025-11-18T10:45:23.000Z"),
    "economy": Sometimes(ECONOMY),
}
PHOTO_RESULTS = {
    "jobId": BATCH_ID,
    "results": [
        {
            "imageId": "img1",
            "filename": Maybe("photo1.jpg"),
            "starRating": Maybe(5),
            "colorLabel": Maybe("green"),
            "title": Maybe("Beautiful ceremony moment"),
            "description": Maybe("Perfect lighting and emotion"),
            "tags": Maybe(["ceremony", "emotional", "hero"]),
            "inputTags": ["wedding", "ceremony"],
            "metadata": Free({"camera": "Nikon"}),
            **BILLED,
        }
    ],
    "totalImages": 1000,
    "processedImages": 998,
    "completedAt": Maybe("2025-11-18T10:45:23.000Z"),
    **PAGE,
}
ITEM = {
    "id": "img1",
    "position": 0,
    "status": "succeeded",
    "attempts": 1,
    "result": Maybe(Free({"starRating": 5})),
    "error": None,
    "durationMs": Maybe(1250),
    "dueAt": AT,
    "finishedAt": Maybe(AT),
    "to": Sometimes("+12025550101"),
    "delivery": Sometimes("delivered"),
    "deliveredAt": Sometimes(AT),
    "filename": Sometimes("photo1.jpg"),
    **BILLED,
}
ERROR = {
    "itemId": "img7",
    "position": 7,
    "itemStatus": "failed",
    "attempts": 3,
    "provider": "openai-gpt-5",
    "category": "timeout",
    "code": "timeout",
    "message": "No answer.",
    "count": 3,
    "firstAt": AT,
    "lastAt": AT,
}
OPT_OUT = {
    "phoneNumber": "+14155552671",
    "source": "inbound",
    "keyword": Maybe("STOP"),
    "provider": Maybe("twilio"),
    "createdAt": AT,
}
NOTIFICATION = {
    "id": "17",
    "kind": "batch_completed",
    "details": Free({"batchId": BATCH_ID, "name": "Monthly", "status": "completed", "total": 100, "succeeded": 98}),
    "createdAt": AT,
    "readAt": Maybe(AT),
}
KEY = {
    "id": "3",
    "name": "laptop",
    "prefix": "bsk_Zx81",
    "scopes": ["read", "write"],
    "createdAt": AT,
    "lastUsedAt": Maybe(AT),
    "revokedAt": Maybe(AT),
}
USED = {"items": 1200, "failed": 12, "calls": 1304, "cost": Maybe(COST), "unpricedCalls": 0}

PHOTOS, SMS, BATCHES, ACCOUNT, FILES = "Photos (document 001)", "SMS (document 002)", "Batches", "Account", "Files"
OPERATIONS = "Operations (document 004)"


def verb(summary: str, message: str) -> Description:
    """One of the verbs on a batch."""
    answer = {"success": True, "message": message, "batchId": BATCH_ID, "status": "processing"}
    return Description(summary=summary, tag=BATCHES, answers={200: answer}, statuses=(409,))


DESCRIPTIONS: dict[str, Description] = {
    "POST /api/batch/process": Description(
        summary="Rate photos with a vision model",
        tag=PHOTOS,
        body=bodies.PHOTOS,
        body_example=bodies.document_001(),
        parameters=(IDEMPOTENCY_KEY,),
        answers={202: {"jobId": BATCH_ID, "message": "Batch processing started", "mode": "fast", "totalImages": 1000}},
        statuses=(409, 429),
    ),
    "GET /api/batch/status/{batch_id}": Description(
        summary="How far a photo batch is", tag=PHOTOS, answers={200: PHOTO_STATUS}
    ),
    "GET /api/batch/results/{batch_id}": Description(
        summary="The ratings there are so far", tag=PHOTOS, parameters=PAGED, answers={200: PHOTO_RESULTS}
    ),
    "POST /api/batch/cancel/{batch_id}": Description(
        summary="Cancel a photo batch",
        tag=PHOTOS,
        answers={200: {"jobId": BATCH_ID, "message": "Job cancelled successfully"}},
        statuses=(409,),
    ),
    "POST /api/batch": Description(
        summary="Send a text message to each recipient",
        tag=SMS,
        body=bodies.SMS,
        body_example=bodies.document_002(),
        parameters=(IDEMPOTENCY_KEY,),
        answers={
            202: {
                "success": True,
                "batchId": BATCH_ID,
                "status": "processing",
                "totalRecipients": 1,
                "warnings": ["Variable 'x' is not used by the template and was dropped (recipients: 1)."],
            }
        },
        statuses=(409, 429),
    ),
    "GET /api/batch/{batch_id}/analytics": Description(
        summary="Rates, durations, errors and throughput",
        tag=SMS,
        answers={200: {"success": True, "analytics": ANALYTICS}},
    ),
    "GET /api/batch/{batch_id}/errors": Description(
        summary="What went wrong, by category and one by one",
        tag=SMS,
        parameters=(Parameter("category", {"type": "string", "enum": [one.value for one in ErrorCategory]}), *PAGED),
        answers={
            200: {"success": True, "byCategory": [{"category": "timeout", "count": 3}], "errors": [ERROR], **PAGE}
        },
        details="Errors of a photo that may still be retried are shown to staff alone.",
    ),
    "POST /api/batch/estimate": Description(
        summary="What a batch would do and cost, before it is",
        tag=BATCHES,
        body=bodies.ANY_CREATE,
        body_example=bodies.document_001(),
        answers={200: {"success": True, "estimate": ESTIMATE}},
        statuses=(400, 429),
        details="The body of any create; with `operation` where it is none of documents 001 and 002. Nothing is stored"
        " and nobody is called. Items that would be refused are left out, and named in `refused`.",
    ),
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
    "GET /api/batch/{batch_id}/items": Description(
        summary="The items, in the order they were given",
        tag=BATCHES,
        parameters=(Parameter("status", {"type": "string", "enum": ItemStatus.values}), *PAGED),
        answers={200: {"success": True, "items": [ITEM], **PAGE}},
    ),
    "GET /api/batch/{batch_id}/files": Description(
        summary="Files the batch made",
        tag=BATCHES,
        parameters=PAGED,
        answers={200: {"success": True, "files": [FILE], **PAGE}},
    ),
    "POST /api/batch/{batch_id}/start": verb("Start a batch that waits", "Batch started"),
    "POST /api/batch/{batch_id}/pause": verb("Start no further call", "Batch paused"),
    "POST /api/batch/{batch_id}/resume": replace(
        verb("Go on with a paused batch", "Batch resumed"),
        body=bodies.RESUME,
        body_example={"maxCost": 25},
        body_required=False,
        statuses=(400, 409),
        details="One that was paused because its budget was spent (`held_for: budget`) needs a higher `maxCost`.",
    ),
    "POST /api/batch/{batch_id}/retry": Description(
        summary="Run the failed items again",
        tag=BATCHES,
        body=bodies.RETRY,
        body_example={"positions": [0, 17]},
        body_required=False,
        answers={200: {"success": True, "retried": 2}},
        statuses=(400, 409),
        details="Without `positions`, all of them.",
    ),
    "PATCH /api/batch/{batch_id}": Description(
        summary="Change how a batch runs, while it runs",
        tag=BATCHES,
        body=bodies.CHANGES,
        body_example={"rateLimit": 600, "priority": "high"},
        answers={200: {"success": True, "batch": BATCH, "changed": ["priority", "rateLimit"]}},
        statuses=(400, 409),
        details="`null` takes a limit away. Calls under way end as they began.",
    ),
    "GET /api/batch/{batch_id}/export": Description(
        summary="Results, items or errors as a file",
        tag=BATCHES,
        parameters=(
            Parameter("format", {"type": "string", "enum": ["csv", "xlsx", "jsonl"], "default": "csv"}),
            Parameter("what", {"type": "string", "enum": ["results", "items", "errors"], "default": "results"}),
            Parameter("status", {"type": "string", "enum": ItemStatus.values}),
            Parameter("category", {"type": "string", "enum": [one.value for one in ErrorCategory]}),
            Parameter("code", {"type": "string", "maxLength": 64}, "Of the error."),
            Parameter("q", {"type": "string", "maxLength": 200}, "A part of the item's id."),
        ),
        answers={200: None},
        statuses=(400,),
        media_type="*/*",
        details="It streams. No cell of a table is run as a formula.",
    ),
    "POST /api/files": Description(
        summary="Upload files",
        tag=FILES,
        form=bodies.UPLOAD,
        answers={
            201: {"success": True, **{name: Sometimes(fact) for name, fact in FILE.items()}, "files": Sometimes([FILE])}
        },
        details="Of several files the answer is `files`, of one its own fields.",
    ),
    "GET /api/files": Description(
        summary="Your uploads, and the files your batches made",
        tag=FILES,
        parameters=PAGED,
        answers={200: {"success": True, "files": [FILE], **PAGE}},
    ),
    "GET /api/files/{file_id}": Description(
        summary="Download a file", tag=FILES, answers={200: None}, media_type="*/*"
    ),
    "DELETE /api/files/{file_id}": Description(
        summary="Delete a file",
        tag=FILES,
        answers={200: {"success": True, "message": "File deleted"}},
        statuses=(409,),
    ),
    "GET /api/notifications": Description(
        summary="What you asked to be told",
        tag=ACCOUNT,
        parameters=(Parameter("unread", {"type": "string", "enum": ["true", "false"]}), *PAGED),
        answers={200: {"success": True, "notifications": [NOTIFICATION], "unread": 1, **PAGE}},
    ),
    "POST /api/notifications/read": Description(
        summary="Mark all notifications as read", tag=ACCOUNT, answers={200: {"success": True, "read": 1}}
    ),
    "POST /api/notifications/{notification_id}/read": Description(
        summary="Mark a notification as read",
        tag=ACCOUNT,
        answers={200: {"success": True, "notification": NOTIFICATION}},
    ),
    "GET /api/audit": Description(
        summary="Who did what to your batches and keys",
        tag=ACCOUNT,
        parameters=(Parameter("batchId", {"type": "string", "maxLength": 64}), *PAGED),
        answers={
            200: {
                "success": True,
                "entries": [
                    {
                        "id": "5",
                        "action": "cancel",
                        "actor": Maybe("ada"),
                        "batchId": Maybe(BATCH_ID),
                        "details": Free({}),
                        "at": AT,
                    }
                ],
                **PAGE,
            }
        },
    ),
    "GET /api/usage": Description(
        summary="What you used, by day and operation",
        tag=ACCOUNT,
        parameters=(
            Parameter("from", {"type": "string", "format": "date"}, "The first day (UTC)."),
            Parameter("to", {"type": "string", "format": "date"}, "The last day (UTC)."),
        ),
        answers={
            200: {
                "success": True,
                "from": "2026-01-01",
                "to": "2026-01-30",
                "usage": [{"day": "2026-01-05", "operation": "rate_photos", **USED}],
                "total": USED,
            }
        },
    ),
    "GET /api/keys": Description(
        summary="Your API keys",
        tag=ACCOUNT,
        parameters=PAGED,
        answers={200: {"success": True, "keys": [KEY], **PAGE}},
    ),
    "POST /api/keys": Description(
        summary="Make an API key; its secret is shown this once",
        tag=ACCOUNT,
        body=bodies.KEY,
        body_example={"name": "laptop", "scopes": ["read"]},
        answers={201: {"success": True, "key": {**KEY, "secret": "bsk_Zx81..."}}},
        statuses=(429,),
    ),
    "DELETE /api/keys/{key_id}": Description(
        summary="Revoke an API key", tag=ACCOUNT, answers={200: {"success": True, "key": KEY}}
    ),
    "GET /api/providers": Description(
        summary="Which providers a batch may name",
        tag=ACCOUNT,
        answers={
            200: {
                "success": True,
                "providers": [
                    {
                        "id": "openai-gpt-5",
                        "model": Maybe("gpt-5"),
                        "kinds": ["chat"],
                        "isDefault": True,
                        "usable": True,
                        "available": True,
                        "hindrances": [
                            {"code": "closed", "message": "It asked everybody to wait.", "until": Maybe(AT)}
                        ],
                        "usesSandbox": Maybe(True),
                        "credentials": Maybe("environment"),
                        "modes": ["fast", "economy"],
                        "closedUntil": Maybe(AT),
                        "limits": Maybe(
                            {
                                "requestsPerMinute": Maybe(500.0),
                                "tokensPerMinute": Maybe(200_000.0),
                                "maxInFlight": Maybe(100),
                                "smsPerSecond": Free({"normal": 5.0}),
                                "learned": {
                                    "requestsPerMinute": Maybe(3000.0),
                                    "tokensPerMinute": Maybe(200_000.0),
                                    "concurrency": Maybe(48.0),
                                },
                            }
                        ),
                        "prices": Maybe(
                            {
                                "currency": "USD",
                                "asOf": "2026-11-21",
                                "perSegment": Maybe("0.0083"),
                                "inputPerMillion": Maybe("1.25"),
                                "outputPerMillion": Maybe("10"),
                                "economyInputPerMillion": Maybe("0.625"),
                                "economyOutputPerMillion": Maybe("5"),
                                "markup": "2",
                            }
                        ),
                        "callbacks": Maybe(
                            {
                                "receipts": True,
                                "inboundUrl": Maybe("https://example.com/api/inbound/twilio"),
                                "why": Maybe("PUBLIC_URL is not set: no receipts are asked for."),
                            }
                        ),
                    }
                ],
            }
        },
    ),
    "POST /api/batch/{batch_id}/settle": Description(
        summary="Settle messages in doubt",
        tag=SMS,
        body=bodies.SETTLE,
        body_example={"as": "sent", "positions": [3]},
        answers={200: {"success": True, "settled": 1}},
        details="Items are `unknown` where a message may have left and its answer never came. Receipts and look-ups at "
        "the provider settle them; so may you, who has seen the provider's own log: `sent` makes them succeed, "
        "`notSent` fail, after which they can be retried. Without `positions` all of them.",
    ),
    "GET /api/opt-outs": Description(
        summary="Who wants no messages of you",
        tag=SMS,
        parameters=(Parameter("phoneNumber", {"type": "string", "minLength": 1, "maxLength": 64}), *PAGED),
        answers={200: {"success": True, "optOuts": [OPT_OUT], **PAGE}},
        details="Asked when a batch is created, and again right before each message.",
    ),
    "POST /api/opt-outs": Description(
        summary="Put numbers on the list",
        tag=SMS,
        body=bodies.OPT_OUTS,
        body_example={"phoneNumbers": ["+14155552671"]},
        answers={200: {"success": True, "added": 1, "alreadyListed": 0}},
        details="`fileId`: an uploaded CSV file with a column phoneNumber, in place of phoneNumbers.",
    ),
    "DELETE /api/opt-outs": Description(
        summary="Take numbers off the list",
        tag=SMS,
        body=bodies.OPT_OUT_NUMBERS,
        body_example={"phoneNumbers": ["+14155552671"]},
        answers={200: {"success": True, "removed": 1}},
    ),
    "POST /api/receipts/{alias}": Description(
        summary="What a provider of messages tells of one",
        tag=SMS,
        answers={204: None},
        statuses=(403, 404),
        details="Called by the provider alone, who signs it: nothing else is let in, and nothing else lets it in.",
        is_open=True,
    ),
    "GET /api/receipts/{alias}": Description(
        summary="The same, as some accounts send it", tag=SMS, answers={204: None}, statuses=(400, 403), is_open=True
    ),
    "POST /api/inbound/{alias}": Description(
        summary="What a person answers to a message",
        tag=SMS,
        answers={204: None},
        statuses=(403, 404),
        details="Signed as receipts are. STOP and its kin put the number on the opt-out list of every owner who has "
        "texted it through this account; START takes it off again.",
        is_open=True,
    ),
    "GET /api/inbound/{alias}": Description(
        summary="The same, as some accounts send it", tag=SMS, answers={204: None}, statuses=(400, 403), is_open=True
    ),
    "POST /api/ws-ticket": Description(
        summary="A one-minute ticket for /ws",
        tag=ACCOUNT,
        answers={200: {"success": True, "ticket": "eyJ1c2VyIjoxfQ:1x:y", "expiresIn": 60}},
        details="Goes into the address of the socket, where a key would end up in logs: `/ws?token=<ticket>`.",
    ),
}

"""Any batch: what it would cost, its verbs and changes, its items, errors, figures and exports."""

from __future__ import annotations

from dataclasses import replace

from batches.api.documentation import bodies
from batches.api.documentation.descriptions import Description, Free, Maybe, Parameter, Sometimes
from batches.api.documentation.examples import (
    AT,
    BATCH,
    BATCH_ID,
    BATCHES,
    BILLED,
    COST,
    COUNTS,
    FILE,
    PAGE,
    PAGED,
    SMS,
)
from batches.states import ItemStatus
from providers.base import ErrorCategory

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


def verb(summary: str, message: str) -> Description:
    """One of the verbs on a batch."""
    answer = {"success": True, "message": message, "batchId": BATCH_ID, "status": "processing"}
    return Description(summary=summary, tag=BATCHES, answers={200: answer}, statuses=(409,))


ROUTES: dict[str, Description] = {
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
}

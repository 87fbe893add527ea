"""Examples that several subjects answer with, and the tags of the subjects."""

from __future__ import annotations

from typing import Any

from batches.api.documentation.descriptions import Free, Maybe, Parameter, Sometimes

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
COST = {
    "amount": "0.431600",
    "simulatedAmount": "0.000000",
    "charge": "0.863200",
    "currency": "USD",
    "pricesAsOf": Maybe("2026-11-21"),
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
PHOTOS, SMS, BATCHES, ACCOUNT, FILES = "Photos (document 001)", "SMS (document 002)", "Batches", "Account", "Files"
OPERATIONS = "Operations (document 004)"

"""The bodies of requests as JSON Schema. The API itself reads them by hand; these say the same to a machine."""

from __future__ import annotations

from typing import Any

from batches.api.documentation.descriptions import Schema
from batches.operations.batch_options import DESCRIPTION_LENGTH, LARGEST_CONCURRENCY, LONGEST_TIMEOUT_MS, NAME_LENGTH
from batches.operations.unavailability import MOST_FALLBACKS
from batches.states import Priority, Scope, WhenUnavailable
from batches.steering import MOST_POSITIONS

TEXT: Schema = {"type": "string"}
FREE: Schema = {"type": "object", "additionalProperties": True}


def body(required: list[str], **properties: Schema) -> Schema:
    """An object with these properties and no others."""
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": required} if required else {})


MAX_COST: Schema = {
    "type": ["number", "string"],
    "exclusiveMinimum": 0,
    "pattern": r"^[0-9]{1,9}(\.[0-9]{1,10})?$",
    "description": "No call begins once so much was spent, in the currency of the prices and before any markup.",
}
OPTION_PROPERTIES: dict[str, Schema] = {
    "batchSize": {"type": "integer", "minimum": 1, "maximum": LARGEST_CONCURRENCY, "description": "Calls at once."},
    "concurrency": {"type": "integer", "minimum": 1, "maximum": LARGEST_CONCURRENCY, "description": "The same."},
    "rateLimit": {"type": "number", "exclusiveMinimum": 0, "description": "Calls a minute."},
    "retryAttempts": {"type": "integer", "minimum": 0, "description": "Failed calls repeated so often."},
    "retries": {"type": "integer", "minimum": 0, "description": "The same."},
    "retryWindowSeconds": {"type": "integer", "minimum": 1},
    "backoff": {"type": "integer", "minimum": 1, "description": "The first delay between attempts, in ms."},
    "timeout": {"type": "integer", "minimum": 1, "maximum": LONGEST_TIMEOUT_MS, "description": "Of one call, in ms."},
    "priority": {"type": "string", "enum": Priority.values},
    "scheduleTime": {"type": "string", "format": "date-time", "description": "Not before this instant."},
    "autoStart": {"type": "boolean", "description": "false: wait for POST /api/batch/{id}/start."},
    "notifyOnComplete": {"type": "boolean", "description": "Leave a notification when it is over."},
    "maxCost": MAX_COST,
    "whenUnavailable": {
        "type": "string",
        "enum": WhenUnavailable.values,
        "description": "While the provider takes no calls: items wait, go to a fallback, or fail.",
    },
    "fallbacks": {
        "type": "array",
        "items": {"type": "string"},
        "maxItems": MOST_FALLBACKS,
        "description": "Aliases of the same kind, best first.",
    },
    "dryRun": {"type": "boolean", "description": "Say what it would be, and store nothing."},
    "model": {"type": "string", "description": "Alias or model of a provider."},
}
COMMON: dict[str, Schema] = {
    "options": {"type": "object", "properties": OPTION_PROPERTIES, "description": "How the batch runs."},
    "name": {"type": "string", "maxLength": NAME_LENGTH},
    "description": {"type": "string", "maxLength": DESCRIPTION_LENGTH},
}

IMAGE = body(
    ["id"],
    id={"type": "string", "minLength": 1, "maxLength": 200},
    url={"type": "string", "description": "http(s), or a data URL of a JPEG, PNG, WebP or GIF image."},
    fileId={"type": "string", "description": "Instead of url: an uploaded file."},
    filename={"type": "string", "maxLength": 255},
    tags={"type": "array", "items": TEXT, "maxItems": 100},
    metadata=FREE,
)
PHOTOS: Schema = {
    "type": "object",
    "required": ["shootId"],
    "properties": {
        "shootId": {"type": "string", "minLength": 1, "maxLength": 200},
        "images": {"type": "array", "items": IMAGE, "minItems": 1},
        "imagesFile": {"type": "string", "description": "Instead of images: an uploaded file of JSON lines."},
        "providerId": {"type": "string", "description": "Alias or model of a provider."},
        "prompt": TEXT,
        "systemPrompt": TEXT,
        "mode": {"type": "string", "enum": ["fast", "economy"]},
        "economyRetries": {"type": "string", "enum": ["economy", "fast"], "description": "How failed lines run again."},
        "deadline": {"type": "string", "format": "date-time", "description": "What is left when it nears runs fast."},
        **COMMON,
    },
}
SMS: Schema = {
    "type": "object",
    "required": ["text", "recipients"],
    "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": 10_000, "description": "With {{name}} variables."},
        "recipients": {
            "type": "array",
            "minItems": 1,
            "items": body(
                ["phoneNumber"],
                phoneNumber={"type": "string", "description": "International format: +14155552671."},
                variables={"type": "object", "additionalProperties": TEXT},
            ),
        },
        "quietHours": body(
            ["start", "end"],
            start={"type": "string", "description": "Time of day of the recipient: 21:00."},
            end={"type": "string", "description": "08:00"},
        ),
        "validityPeriod": {"type": "integer", "minimum": 1, "description": "Seconds until the provider gives it up."},
        **COMMON,
    },
}
CREATE: Schema = {
    "type": "object",
    "required": ["operation"],
    "properties": {
        "operation": {"type": "string", "description": "One of GET /api/operations."},
        "filters": {
            "type": "object",
            "description": "Which records; a list means any of.",
            "additionalProperties": True,
        },
        "dryRun": {"type": "boolean", "description": "Say what it would be, and store nothing."},
        **COMMON,
    },
    "description": "Beside these, the operation's own fields: see GET /api/operations. Others are refused by name.",
}
ANY_CREATE: Schema = {"anyOf": [CREATE, PHOTOS, SMS]}
CLEANUP = body([], daysToKeep={"type": "integer", "minimum": 0, "maximum": 36_500})
CHANGES: Schema = body(
    [],
    rateLimit={"type": ["number", "null"], "exclusiveMinimum": 0, "description": "Calls a minute."},
    concurrency={"type": ["integer", "null"], "minimum": 1, "maximum": LARGEST_CONCURRENCY},
    batchSize={"type": ["integer", "null"], "minimum": 1, "maximum": LARGEST_CONCURRENCY, "description": "The same."},
    priority={"type": "string", "enum": Priority.values},
    maxCost=MAX_COST | {"type": ["number", "string", "null"]},
) | {"minProperties": 1}
RESUME = body([], maxCost=MAX_COST)
RETRY = body(
    [],
    positions={
        "type": "array",
        "items": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
        "minItems": 1,
        "maxItems": MOST_POSITIONS,
        "description": "Which items, by their position.",
    },
)
_SETTLE: dict[str, dict[str, Any]] = {
    "as": {"type": "string", "enum": ["sent", "notSent"]},
    "positions": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "maxItems": 1_000},
}
SETTLE = body(
    ["as"],
    **_SETTLE,
)
NUMBERS: Schema = {"type": "array", "items": TEXT, "minItems": 1, "description": "International format."}
OPT_OUTS = body([], phoneNumbers=NUMBERS, fileId={"type": "string", "description": "Instead: an uploaded CSV file."})
OPT_OUT_NUMBERS = body(["phoneNumbers"], phoneNumbers=NUMBERS)
KEY = body(
    ["name"],
    name={"type": "string", "minLength": 1, "maxLength": 100},
    scopes={"type": "array", "items": {"type": "string", "enum": Scope.values}, "minItems": 1},
)
UPLOAD: Schema = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "format": "binary", "description": "One or many."}},
}


def document_004() -> dict[str, Any]:
    """Document 004's example of a create."""
    return {
        "operation": "annotate",
        "filters": {"status": "pending", "category": "invoice"},
        "options": {"model": "gpt-4", "batchSize": 50, "retryAttempts": 3},
        "name": "Monthly invoice annotation",
        "description": "Annotate all pending invoices",
    }


def document_001() -> dict[str, Any]:
    """Document 001's example of a create."""
    return {
        "shootId": "shoot123",
        "images": [
            {
                "id": "img1",
                "filename": "photo1.jpg",
                "url": "https://example.com/photo1.jpg",
                "metadata": {"camera": "Nikon", "iso": 400},
                "tags": ["wedding", "ceremony"],
            }
        ],
        "providerId": "openai-gpt-5",
        "prompt": "Rate these wedding photos",
        "systemPrompt": "You are an expert wedding photographer",
        "mode": "fast",
    }


def document_002() -> dict[str, Any]:
    """A body of document 002's ``BatchCreate``."""
    return {
        "text": "Hello {{name}}, your order {{order}} is ready.",
        "recipients": [{"phoneNumber": "+14155552671", "variables": {"name": "Ada", "order": "1815"}}],
        "options": {"priority": "normal", "autoStart": True},
    }

"""What an owner has beside batches: notifications, the audit trail, usage, keys, tickets."""

from __future__ import annotations

from batches.api.documentation import bodies
from batches.api.documentation.descriptions import Description, Free, Maybe, Parameter
from batches.api.documentation.examples import ACCOUNT, AT, BATCH_ID, COST, PAGE, PAGED

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

ROUTES: dict[str, Description] = {
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
    "POST /api/ws-ticket": Description(
        summary="A one-minute ticket for /ws",
        tag=ACCOUNT,
        answers={200: {"success": True, "ticket": "eyJ1c2VyIjoxfQ:1x:y", "expiresIn": 60}},
        details="Goes into the address of the socket, where a key would end up in logs: `/ws?token=<ticket>`.",
    ),
}

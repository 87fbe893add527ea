"""Which providers a batch may name."""

from __future__ import annotations

from batches.api.documentation.descriptions import Description, Free, Maybe
from batches.api.documentation.examples import ACCOUNT, AT

ROUTES: dict[str, Description] = {
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
}

"""Photo batches, as document 001 has them."""

from __future__ import annotations

from batches.api.documentation import bodies
from batches.api.documentation.descriptions import Description, Free, Maybe, Sometimes
from batches.api.documentation.examples import (
    BATCH_ID,
    BILLED,
    ECONOMY,
    IDEMPOTENCY_KEY,
    PAGE,
    PAGED,
    PHOTOS,
    UNAVAILABLE,
)

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

ROUTES: dict[str, Description] = {
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
}

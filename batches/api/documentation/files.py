"""Files, uploaded and made."""

from __future__ import annotations

from batches.api.documentation import bodies
from batches.api.documentation.descriptions import Description, Sometimes
from batches.api.documentation.examples import FILE, FILES, PAGE, PAGED

ROUTES: dict[str, Description] = {
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
}

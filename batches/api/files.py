"""``/api/files``: uploads, and getting them back."""

from __future__ import annotations

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse
from django.utils.http import content_disposition_header
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from batches.api.base import ApiView, user_id
from batches.api.parsers import LimitedMultiPartParser
from batches.api.shapes import file_shape
from batches.files import (
    FileMissing,
    Upload,
    check_lines,
    check_upload,
    file_content,
    find_file,
    is_list_of_items,
    store_uploads,
)
from batches.problems import InvalidInput, Problem


class FilesView(ApiView):
    """``POST /api/files``: the form field ``file``, once or more often; all are stored or none."""

    parser_classes = (LimitedMultiPartParser,)

    def post(self, request: Request) -> Response:
        """Check and store."""
        files = request.FILES.getlist("file")
        if not files:
            raise InvalidInput([Problem("file", "Is required, as a file of a multipart form.", "required")])
        stored = store_uploads(user_id(request), _checked(files))
        shapes = [file_shape(one) for one in stored]
        body = shapes[0] if len(shapes) == 1 else {"files": shapes}
        return Response({"success": True, **body}, 201)


def _checked(files: list[UploadedFile[bytes]]) -> list[Upload]:
    uploads: list[Upload] = []
    problems: list[Problem] = []
    for index, file in enumerate(files):
        path = "file" if len(files) == 1 else f"file.{index}"
        try:
            uploads.append(_check(file, path))
        except InvalidInput as refused:
            problems.extend(refused.problems)
    if problems:
        raise InvalidInput(problems)
    return uploads


def _check(file: UploadedFile[bytes], path: str) -> Upload:
    name, media_type = file.name or "", file.content_type or ""
    if is_list_of_items(name, media_type):
        return check_lines(name, file, path=path)
    # One byte past the limit is enough to be refused.
    return check_upload(name, media_type, file.read(settings.MAX_FILE_BYTES + 1), path=path)


class FileView(ApiView):
    """``GET /api/files/{id}``."""

    def get(self, request: Request, file_id: str) -> HttpResponse:
        """The bytes, as a download that no browser will run."""
        try:
            stored = find_file(user_id(request), file_id)
            content = file_content(stored.owner_id, stored.public_id)
        except FileMissing:
            raise NotFound("File not found.") from None
        return HttpResponse(
            content,
            content_type=stored.media_type,
            headers={
                "Content-Disposition": content_disposition_header(True, stored.name) or "attachment",
                "Content-Security-Policy": "default-src 'none'; sandbox",
                "X-Content-Type-Options": "nosniff",
            },
        )

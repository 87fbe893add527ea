"""``/api/files``: uploads, getting them back, and getting rid of them."""

from __future__ import annotations

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import StreamingHttpResponse
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from batches.api.base import ApiView, page_of, user_id
from batches.api.downloads import download
from batches.api.parsers import LimitedMultiPartParser
from batches.api.shapes import file_shape
from batches.files import (
    FileMissing,
    Upload,
    check_table,
    check_upload,
    delete_file,
    files_of,
    find_file,
    store_uploads,
    table_type,
)
from batches.problems import InvalidInput, Problem


class FilesView(ApiView):
    """``/api/files``. An upload is the form field ``file``, once or more often; all are stored or none."""

    parser_classes = (LimitedMultiPartParser,)

    def get(self, request: Request) -> Response:
        """A page of what was uploaded and of what batches made, newest first."""
        page = page_of(files_of(user_id(request)), request)
        shapes = [file_shape(one) for one in page.rows]
        return Response({"success": True, "files": shapes, **page.position})

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
    if (table := table_type(name, media_type)) is not None:
        return check_table(name, table, file, path=path)
    # One byte past the limit is enough to be refused.
    return check_upload(name, media_type, file.read(settings.MAX_FILE_BYTES + 1), path=path)


class FileView(ApiView):
    """``/api/files/{id}``."""

    def get(self, request: Request, file_id: str) -> StreamingHttpResponse:
        """The bytes, as a download that no browser will run."""
        try:
            return download(request, find_file(user_id(request), file_id))
        except FileMissing:
            raise NotFound("File not found.") from None

    def delete(self, request: Request, file_id: str) -> Response:
        """Forget it. 409 while a batch reads its items from it."""
        try:
            delete_file(user_id(request), file_id, actor_id=user_id(request))
        except FileMissing:
            raise NotFound("File not found.") from None
        return Response({"success": True, "message": "File deleted"})

"""Files that come with a form: kept as any upload, so that the form names them by id from then on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest

from batches.files import (
    FileMissing,
    Upload,
    check_table,
    check_upload,
    delete_file,
    files_of,
    store_uploads,
    table_type,
)
from batches.models import StoredFile
from batches.problems import Conflict, InvalidInput, Problem


def keep_uploads(request: HttpRequest, name: str) -> list[StoredFile]:
    """Store what came in the field; all of it or nothing. Raises :class:`InvalidInput`."""
    files: Sequence[UploadedFile[bytes]] = request.FILES.getlist(name)
    uploads: list[Upload] = []
    problems: list[Problem] = []
    for file in files:
        try:
            uploads.append(_checked(file))
        except InvalidInput as refused:
            problems += [Problem(name, f"{file.name}: {one.message}", one.code) for one in refused.problems]
    if problems:
        raise InvalidInput(problems)
    return store_uploads(int(request.user.pk or 0), uploads) if uploads else []


def _checked(file: UploadedFile[bytes]) -> Upload:
    name, media_type = file.name or "", file.content_type or ""
    if (table := table_type(name, media_type)) is not None:
        return check_table(name, table, file)
    return check_upload(name, media_type, file.read(settings.MAX_FILE_BYTES + 1))


def own_upload(owner_id: int, public_id: str) -> StoredFile | None:
    """The row of an upload of theirs; None where there is none of that id."""
    if not public_id or len(public_id) > 64 or "\0" in public_id:
        return None
    return files_of(owner_id).filter(public_id=public_id).first()


def forget_upload(owner_id: int, public_id: str) -> None:
    """What a form needed and a batch does not: addresses of people are not kept longer than they are used."""
    with suppress(FileMissing, Conflict):
        delete_file(owner_id, public_id, actor_id=owner_id)

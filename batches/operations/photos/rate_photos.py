"""Rating photos with a vision model (document 001)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import orjson
from django.conf import settings
from jsonschema import Draft202012Validator

from batches.files import FileMissing, file_content, find_file
from batches.loading import check_source
from batches.models import StoredFile
from batches.operations.base import Attempt, Operation
from batches.operations.batch_options import read_description, read_list, read_name, read_options, read_provider
from batches.operations.modes import read_mode
from batches.operations.payload import Fields, Problems
from batches.operations.photos.photo_images import PhotoImages
from batches.operations.source_lines import read_lines
from batches.options import NewBatch, NewItem
from batches.outcomes import Fault, Outcome, Rejected, Retry, Succeeded
from batches.states import Channel
from providers.base import ChatRequest, ErrorCategory, Image

NAME = "rate_photos"
LONGEST_PROMPT = 20_000
DEFAULT_PROMPT = (
    "Rate this photo. Judge sharpness, exposure, composition and the moment. Give a star rating from 1 (discard) to"
    " 5 (outstanding), a colour label, a short title, a description of one or two sentences, and a few tags."
)
DEFAULT_SYSTEM_PROMPT = "You are an expert photo editor who culls photo shoots. Be consistent and sparing with stars."

COLOR_LABELS = ("red", "yellow", "green", "blue", "purple", "none")
ANSWER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "starRating": {"type": "integer", "minimum": 1, "maximum": 5},
        "colorLabel": {"type": "string", "enum": list(COLOR_LABELS)},
        "title": {"type": "string"},
        "description": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["starRating", "colorLabel", "title", "description", "tags"],
    "additionalProperties": False,
}
_VALIDATOR = Draft202012Validator(ANSWER_SCHEMA)
_INVALID_ANSWER = Retry(
    Fault(ErrorCategory.CONTENT, "invalid_answer", "The model's answer does not have the form that was asked for.")
)
_MISSING_FILE = Rejected(Fault(ErrorCategory.NOT_FOUND, "file_missing", "The photo's file is not there any more."))


def build_photo_batch(owner_id: int, payload: Mapping[str, Any]) -> NewBatch:
    """Read the body of ``POST /api/batch/process``. Raises :class:`InvalidInput` with every problem in it.

    Images given as data URLs are stored as files, after everything else was found good.
    """
    problems = Problems()
    fields = Fields(payload, problems)
    images = PhotoImages(problems)
    file = _images_file(owner_id, payload, problems)
    if payload.get("imagesFile") is None:
        images.read(read_list(payload.get("images"), "images", problems))
        images.check_files(owner_id)
    shoot = fields.text("shootId", maximum=200, required=True)
    parameters = {
        "prompt": fields.text("prompt", maximum=LONGEST_PROMPT, default=DEFAULT_PROMPT),
        "systemPrompt": fields.text("systemPrompt", maximum=LONGEST_PROMPT, default=DEFAULT_SYSTEM_PROMPT),
    }
    name, description, options = read_name(fields), read_description(fields), read_options(fields)
    provider = read_provider(
        fields, "providerId", "provider", "model", kind="chat", default=settings.DEFAULT_CHAT_PROVIDER
    )
    mode = read_mode(fields, RatePhotos, provider)
    fields.knows("images", "imagesFile")
    fields.refuse_unknown()
    problems.raise_if_any()
    source = check_source(RatePhotos(), owner_id, file) if file is not None else None
    return NewBatch(
        operation=NAME,
        provider=provider,
        items=images.stored(owner_id),
        parameters=parameters,
        options=options,
        name=name or f"Photos of {shoot}"[:200],
        description=description,
        subject=shoot,
        mode=mode,
        warnings=fields.warnings,
        source=source,
        stored_files=images.stored_files,
    )


def _images_file(owner_id: int, payload: Mapping[str, Any], problems: Problems) -> StoredFile | None:
    """The uploaded file of JSON lines that stands for ``images``, where one is named."""
    file_id = payload.get("imagesFile")
    if file_id is None:
        return None
    if payload.get("images") is not None:
        problems.add("imagesFile", "Goes instead of images, not with it.", "contradiction")
    try:
        return find_file(owner_id, file_id if isinstance(file_id, str) else "")
    except FileMissing:
        problems.add("imagesFile", "Must be the id of an uploaded file of JSON lines.", "unknown_file")
        return None


class RatePhotos(Operation):
    """One image, one question, one rating."""

    name: ClassVar[str] = NAME
    channel: ClassVar[Channel] = Channel.AI
    summary: ClassVar[str] = "Rates photos with a vision model: stars, colour label, title, description, tags."
    accepts: ClassVar[Mapping[str, str]] = {
        "shootId": "What the photos belong to, in your own words.",
        "images": "The photos: id, url or fileId, filename, tags, metadata.",
        "imagesFile": "Instead of images: the id of an uploaded file of JSON lines, an image in each.",
        "providerId": "Alias or model of the provider.",
        "prompt": "What to ask about each photo.",
        "systemPrompt": "Who the model is to be.",
    }
    asks_models: ClassVar[bool] = True

    def build(self, owner_id: int, payload: Mapping[str, Any]) -> NewBatch:
        """The body of document 001."""
        return build_photo_batch(owner_id, payload)

    def items_of_lines(self, owner_id: int, first: int, lines: Sequence[bytes]) -> Sequence[NewItem]:
        """An image per line, as an element of ``images``; data URLs belong into uploads of their own."""
        problems = Problems()
        images = PhotoImages(problems, path="line")
        images.read_numbered(read_lines(lines, first, problems))
        images.check_files(owner_id)
        images.refuse_data_urls()
        problems.raise_if_any()
        return images.stored(owner_id)

    def run(self, attempt: Attempt) -> Outcome:
        """Ask the model; an answer of the wrong form is worth another try."""
        try:
            image = _image(attempt)
        except FileMissing:
            return _MISSING_FILE
        request = ChatRequest(
            prompt=attempt.parameters.get("prompt", DEFAULT_PROMPT),
            system_prompt=attempt.parameters.get("systemPrompt"),
            images=(image,),
            schema=ANSWER_SCHEMA,
            schema_name="photo_rating",
            reference=attempt.reference,
            timeout_seconds=attempt.timeout_seconds,
        )
        answer = attempt.ask(request)
        rating = read_rating(answer.text)
        if rating is None:
            return _INVALID_ANSWER
        return Succeeded(rating, quality=(rating["starRating"] - 1) / 4)


def _image(attempt: Attempt) -> Image:
    url = attempt.input.get("url")
    if url is not None:
        return Image(url=url)
    content = file_content(attempt.owner_id, attempt.input["fileId"])
    return Image(data=content, media_type=attempt.input["mediaType"])


def _is_plainly_valid(rating: Any) -> bool:
    """Accepts what models usually answer twenty times faster than the schema does; any doubt goes to the schema."""
    return (
        type(rating) is dict
        and len(rating) == len(ANSWER_SCHEMA["required"])
        and type(stars := rating.get("starRating")) is int
        and 1 <= stars <= 5
        and rating.get("colorLabel") in COLOR_LABELS
        and type(rating.get("title")) is str
        and type(rating.get("description")) is str
        and type(tags := rating.get("tags")) is list
        and all(type(tag) is str for tag in tags)
    )


def read_rating(text: str) -> dict[str, Any] | None:
    """The rating in a model's answer, or None where it breaks the schema."""
    try:
        rating = orjson.loads(text)
        if not (_is_plainly_valid(rating) or _VALIDATOR.is_valid(rating)):
            return None
    except ValueError:
        return None
    rating["starRating"] = int(rating["starRating"])  # to JSON Schema 5.0 is an integer
    return cast(dict[str, Any], rating)

"""Images made from prompts, each in several variations (document 000)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, cast

from django.conf import settings

from batches.extraction.problems import Unreadable
from batches.extraction.readers import ReaderLost, ReadersBusy
from batches.files import image_type
from batches.models import Batch
from batches.operations.base import Attempt, Operation
from batches.operations.batch_options import read_description, read_list, read_name, read_provider
from batches.operations.item_files import keep_file, keep_thumbnail
from batches.operations.paced_options import read_paced_options
from batches.operations.payload import Fields, Problems, text_fault, unknown_fields
from batches.operations.result_lines import keep_result_lines
from batches.options import NewBatch, NewItem
from batches.outcomes import Fault, Outcome, Retry, Succeeded
from batches.states import Channel
from providers.base import ErrorCategory, ImageProvider, ImageRequest
from providers.prices import tokens_of

NAME = "generate_images"
TIMEOUT_MS = 180_000
LONGEST_PROMPT = 30_000
LONGEST_ID = 150
LONGEST_VARIATION = 1_000
MOST_VARIATIONS = 50
SIZES = ("auto", "1024x1024", "1536x1024", "1024x1536")
QUALITIES = ("auto", "low", "medium", "high")
BACKGROUNDS = ("auto", "transparent", "opaque")
FORMATS = ("png", "jpeg", "webp")
ANOTHER = (
    "\n\nThis is variation {number} of {total}: choose another composition than the others, while everything above"
    " holds."
)
_NO_IMAGE = Retry(Fault(ErrorCategory.CONTENT, "invalid_answer", "What the provider sent is no image."))


class GenerateImages(Operation):
    """One prompt in one variation, one image and its thumbnail."""

    name: ClassVar[str] = NAME
    channel: ClassVar[Channel] = Channel.AI
    summary: ClassVar[str] = "Makes images from prompts, each in several variations, with thumbnails."
    accepts: ClassVar[Mapping[str, str]] = {
        "prompts": "What to show: texts, or objects with id and prompt.",
        "variations": "How many images of each prompt, or a list of texts that are added to it in turn.",
        "size": ", ".join(SIZES),
        "quality": ", ".join(QUALITIES),
        "background": ", ".join(BACKGROUNDS),
        "outputFormat": ", ".join(FORMATS),
        "provider": "Alias or model of the provider.",
    }
    uses_database: ClassVar[bool] = True
    finishes: ClassVar[bool] = True

    def build(self, owner_id: int, payload: Mapping[str, Any]) -> NewBatch:
        """Prompts times variations."""
        problems = Problems()
        fields = Fields(payload, problems)
        prompts = _prompts(read_list(payload.get("prompts"), "prompts", problems), problems)
        variations = _variations(fields)
        parameters = {
            "size": fields.choice("size", choices=SIZES, default="auto"),
            "quality": fields.choice("quality", choices=QUALITIES, default="auto"),
            "background": fields.choice("background", choices=BACKGROUNDS, default="auto"),
            "outputFormat": fields.choice("outputFormat", choices=FORMATS, default="png"),
        }
        if parameters["background"] == "transparent" and parameters["outputFormat"] == "jpeg":
            problems.add("background", "A JPEG cannot be transparent.", "contradiction")
        name, description = read_name(fields), read_description(fields)
        options = read_paced_options(fields, timeout_ms=TIMEOUT_MS)
        provider = read_provider(fields, "provider", "model", kind="images", default=settings.DEFAULT_IMAGE_PROVIDER)
        fields.knows("prompts")
        fields.refuse_unknown()
        most = int(settings.BATCH_MAX_INLINE_ITEMS)
        if len(prompts) * len(variations) > most:
            problems.add("variations", f"Prompts times variations must be at most {most}.", "too_many")
        problems.raise_if_any()
        return NewBatch(
            operation=NAME,
            provider=provider,
            items=list(_items(prompts, variations)),
            parameters=parameters,
            options=options,
            name=name,
            description=description,
            warnings=fields.warnings,
        )

    def run(self, attempt: Attempt) -> Outcome:
        """Have it made and keep it. Made again, it takes the place of the first one."""
        parameters = attempt.parameters
        request = ImageRequest(
            prompt=attempt.input["prompt"],
            reference=attempt.reference,
            timeout_seconds=attempt.timeout_seconds,
            size=_chosen(parameters["size"]),
            quality=_chosen(parameters["quality"]),
            background=_chosen(parameters["background"]),
            output_format=parameters["outputFormat"],
        )
        image = cast(ImageProvider, attempt.provider).generate(request)
        attempt.used.update(tokens_of(image))
        media_type = image_type(image.data)
        if media_type is None:
            return _NO_IMAGE
        kept = keep_file(attempt.item_id, f"{attempt.key}.{media_type.partition('/')[2]}", media_type, image.data)
        try:
            thumbnail = keep_thumbnail(attempt.item_id, attempt.key, image.data)
        except (Unreadable, ReaderLost, ReadersBusy):  # the image is there and was paid for
            thumbnail = None
        result = {"prompt": attempt.input["prompt"], "image": kept, "thumbnail": thumbnail}
        return Succeeded({**result, "revisedPrompt": image.revised_prompt} if image.revised_prompt else result)

    def finish(self, batch: Batch) -> Mapping[str, Any]:
        """Which prompt became which file, in one file of JSON lines."""
        return keep_result_lines(batch)


def _chosen(value: str) -> str | None:
    """What is left to the provider is not sent: not every model knows the word."""
    return None if value == "auto" else value


def _prompts(listed: Sequence[Any], problems: Problems) -> list[tuple[str, str]]:
    """Ids and prompts; a prompt without an id has its number."""
    prompts: dict[str, str] = {}
    for index, entry in enumerate(listed):
        path = f"prompts.{index}"
        document = {"prompt": entry} if isinstance(entry, str) else entry
        if not isinstance(document, dict):
            problems.add(path, "Must be a string or an object with a prompt.", "invalid_type")
            continue
        problems.extend(unknown_fields(document, ("id", "prompt"), f"{path}."))
        own_id, prompt = document.get("id", str(index + 1)), document.get("prompt")
        if fault := text_fault(own_id, maximum=LONGEST_ID):
            problems.add(f"{path}.id", *fault)
        elif fault := text_fault(prompt, maximum=LONGEST_PROMPT):
            problems.add(path if isinstance(entry, str) else f"{path}.prompt", *fault)
        elif own_id in prompts:
            problems.add(f"{path}.id", "Is the id of another prompt as well.", "duplicate")
        else:
            prompts[own_id] = str(prompt)
    return list(prompts.items())


def _variations(fields: Fields) -> list[str]:
    """What is added to each prompt in turn."""
    path, value = fields.find("variations")
    if not isinstance(value, list):
        total = fields.integer("variations", minimum=1, maximum=MOST_VARIATIONS) or 1
        return ["", *(ANOTHER.format(number=number, total=total) for number in range(2, total + 1))]
    if not 1 <= len(value) <= MOST_VARIATIONS:
        fields.problems.add(path, f"Must hold 1 to {MOST_VARIATIONS} texts.", "out_of_range")
    for index, text in enumerate(value[: MOST_VARIATIONS + 1]):
        if fault := text_fault(text, maximum=LONGEST_VARIATION):
            fields.problems.add(f"{path}.{index}", *fault)
    return [f"\n\n{text}" for text in value]


def _items(prompts: Sequence[tuple[str, str]], variations: Sequence[str]) -> Iterator[NewItem]:
    for own_id, prompt in prompts:
        for number, variation in enumerate(variations, start=1):
            document = {"prompt": f"{prompt}{variation}", "promptId": own_id, "variation": number}
            yield NewItem(f"{own_id}-{number}", document)

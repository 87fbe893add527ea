"""Prompts times variations: what is asked, what is kept, what is refused, and the whole of it on the engine."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import User

from batches.extraction.readers import readers
from batches.files import file_content
from batches.operations.photos.generate_images import GenerateImages
from batches.outcomes import Retry, Succeeded
from batches.problems import InvalidInput
from batches.result_files import result_files
from providers.base import GeneratedImage, ImageRequest, Limits
from tests.extraction.files import picture
from tests.operations.submitted import run_to_the_end, submitted


@pytest.fixture(autouse=True)
def no_readers_are_left() -> Any:
    yield
    if readers.cache_info().currsize:
        readers().close()


class Painter:
    """A provider of images that keeps what it was asked."""

    idempotent: ClassVar[bool] = True
    departs: ClassVar[bool] = False

    def __init__(self, data: bytes) -> None:
        self.alias = self.model = "painter"
        self.limits = Limits()
        self.uses_sandbox = True
        self.data = data
        self.requests: list[ImageRequest] = []

    def generate(self, request: ImageRequest) -> GeneratedImage:
        self.requests.append(request)
        return GeneratedImage(data=self.data, media_type="image/png", revised_prompt="revised")


def test_every_prompt_in_every_variation(owner: User) -> None:
    payload = {"prompts": ["a lighthouse", {"id": "sea", "prompt": "the sea {calm}"}], "variations": 3}
    new = GenerateImages().build(owner.pk, payload)
    assert [item.key for item in new.items] == ["1-1", "1-2", "1-3", "sea-1", "sea-2", "sea-3"]
    assert new.items[0].input["prompt"] == "a lighthouse"
    assert new.items[4].input["prompt"].startswith("the sea {calm}\n\nThis is variation 2 of 3: ")
    assert (new.options.rate_limit, new.options.timeout_ms, new.provider) == (10.0, 180_000, "openai-images")


def test_variations_may_be_told(owner: User) -> None:
    new = GenerateImages().build(owner.pk, {"prompts": ["x"], "variations": ["at night", "as a woodcut"]})
    assert [item.input["prompt"] for item in new.items] == ["x\n\nat night", "x\n\nas a woodcut"]


@pytest.mark.parametrize(
    ("payload", "paths"),
    [
        ({}, {"prompts"}),
        ({"prompts": [""]}, {"prompts.0"}),
        ({"prompts": [5, {"prompt": 5}, {"id": "a"}]}, {"prompts.0", "prompts.1.prompt", "prompts.2.prompt"}),
        ({"prompts": [{"id": "a", "prompt": "x"}, {"id": "a", "prompt": "y"}]}, {"prompts.1.id"}),
        ({"prompts": [{"prompt": "x", "seed": 1}]}, {"prompts.0.seed"}),
        ({"prompts": ["x"], "variations": 0}, {"variations"}),
        ({"prompts": ["x"], "variations": []}, {"variations"}),
        ({"prompts": ["x"], "variations": ["ok", 5]}, {"variations.1"}),
        ({"prompts": ["x"] * 2001, "variations": 50}, {"variations"}),
        ({"prompts": ["x"], "size": "7x7", "quality": "best"}, {"size", "quality"}),
        ({"prompts": ["x"], "background": "transparent", "outputFormat": "jpeg"}, {"background"}),
        ({"prompts": ["x"], "provider": "openai-gpt-5"}, {"provider"}),
    ],
)
def test_what_is_wrong_is_named(owner: User, payload: dict[str, Any], paths: set[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        GenerateImages().build(owner.pk, payload)
    assert {problem.path for problem in refused.value.problems} == paths


def test_an_image_is_kept_once_however_often_it_is_made(owner: User) -> None:
    batch = submitted(owner.pk, "generate_images", {"prompts": ["x"], "size": "1536x1024", "quality": "low"})
    item = batch.items.select_related("batch").get()
    painter = Painter(picture(900, 600, "PNG"))
    for _ in range(2):
        outcome = run_to_the_end(item, painter)
    assert isinstance(outcome, Succeeded)
    request = painter.requests[0]
    assert (request.size, request.quality, request.background) == ("1536x1024", "low", None)
    assert file_content(owner.pk, outcome.result["image"]["fileId"]) == painter.data
    assert [file.name for file in result_files(batch)] == ["1-1.png", "1-1-thumbnail.webp"]
    assert outcome.result["revisedPrompt"] == "revised"


def test_what_is_no_image_is_asked_for_again(owner: User) -> None:
    batch = submitted(owner.pk, "generate_images", {"prompts": ["x"]})
    outcome = run_to_the_end(batch.items.select_related("batch").get(), Painter(b"no image"))
    assert isinstance(outcome, Retry)
    assert not result_files(batch).exists()

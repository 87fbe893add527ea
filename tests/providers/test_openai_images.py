"""OpenAI's images: what is asked, what is read out of the answer, and the sandbox's picture."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from PIL import Image

from providers.ai.openai_images import OpenAIImages
from providers.base import ErrorCategory, ImageRequest, Limits, ProviderError
from providers.http import Ceilings
from tests.client.scripted import Reply, ScriptedServer
from tests.sandbox_fixture import SandboxServer


def generator(url: str) -> OpenAIImages:
    return OpenAIImages(alias="openai-images", base_url=url, key="k", model="gpt-image-1", limits=Limits())


def generate(url: str, prompt: str = "a lighthouse", **options: str) -> Any:
    return generator(url).generate(ImageRequest(prompt=prompt, reference="r1", timeout_seconds=5, **options))


def test_only_what_was_chosen_is_asked() -> None:
    answer = {"created": 1, "data": [{"b64_json": "aW1hZ2U=", "revised_prompt": "a tall lighthouse"}]}
    usage = {"input_tokens": 9, "output_tokens": 272}
    with ScriptedServer(Reply(200, answer | {"usage": usage, "output_format": "webp"})) as server:
        image = generate(f"{server.url}/v1", size="1536x1024", quality="low")
    [asked] = server.asked
    assert (asked.path, asked.headers["authorization"]) == ("/v1/images/generations", "Bearer k")
    assert json.loads(asked.body) == {
        "model": "gpt-image-1",
        "prompt": "a lighthouse",
        "n": 1,
        "size": "1536x1024",
        "quality": "low",
    }
    assert (image.data, image.media_type, image.revised_prompt) == (b"image", "image/webp", "a tall lighthouse")
    assert (image.input_tokens, image.output_tokens) == (9, 272)


@pytest.mark.parametrize(
    "body", [{}, {"data": []}, {"data": [{"url": "https://x.test"}]}, {"data": [{"b64_json": "%"}]}, [], {"data": 5}]
)
def test_an_answer_without_an_image_is_worth_another_try(body: Any) -> None:
    with ScriptedServer(Reply(200, body)) as server, pytest.raises(ProviderError) as caught:
        generate(server.url)
    assert (caught.value.code, caught.value.permanent) == ("invalid_response", False)


def test_a_prompt_that_moderation_blocks_is_not_tried_again() -> None:
    error = {"message": "no", "type": "image_generation_user_error", "code": "moderation_blocked"}
    with ScriptedServer(Reply(400, {"error": error})) as server, pytest.raises(ProviderError) as caught:
        generate(server.url)
    assert (caught.value.category, caught.value.permanent) == (ErrorCategory.CONTENT, True)


def test_the_sandbox_draws_the_same_picture_for_the_same_prompt(sandbox: SandboxServer) -> None:
    url = f"{sandbox.url}/openai-images/v1"
    first = generate(url, size="1024x1536")
    with Image.open(io.BytesIO(first.data)) as image:
        assert (image.format, image.size) == ("PNG", (1024, 1536))
        assert len(image.convert("P", palette=Image.Palette.ADAPTIVE).getcolors() or []) > 4
    assert generate(url, size="1024x1536").data == first.data
    assert generate(url, "another", size="1024x1536").data != first.data
    assert generate(url, output_format="jpeg").media_type == "image/jpeg"


@pytest.mark.parametrize("options", [{"size": "7x7"}, {"quality": "best"}, {"output_format": "gif"}])
def test_the_sandbox_refuses_what_the_provider_would(sandbox: SandboxServer, options: dict[str, str]) -> None:
    with pytest.raises(ProviderError) as caught:
        generate(f"{sandbox.url}/openai-images/v1", **options)
    assert (caught.value.status, caught.value.code) == (400, "invalid_value")


def test_the_limits_of_the_account_are_read_off_the_answers(sandbox: SandboxServer) -> None:
    sandbox.configure(accounts={"openai-images": {"requests_per_minute": 600, "tokens_per_minute": 90_000}})
    images = generator(f"{sandbox.url}/openai-images/v1")
    images.generate(ImageRequest(prompt="a lighthouse", reference="r1", timeout_seconds=5))
    assert images.told.answers == 1
    assert images.told.ceilings == Ceilings(requests_per_minute=600, tokens_per_minute=90_000)

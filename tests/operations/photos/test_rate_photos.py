"""The photo operation: what it asks, and what it makes of the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from batches.files import store_file
from batches.operations.photos.rate_photos import (
    ANSWER_SCHEMA,
    COLOR_LABELS,
    RatePhotos,
    _is_plainly_valid,
    build_photo_batch,
    read_rating,
)
from batches.outcomes import Rejected, Retry, Succeeded
from batches.problems import InvalidInput
from providers.base import Image
from tests.api.conftest import jpeg
from tests.operations.conftest import Answering, attempt_of

RATING = {"starRating": 4, "colorLabel": "green", "title": "A", "description": "B", "tags": ["c"]}
PARAMETERS = {"prompt": "Rate", "systemPrompt": "Be strict"}

junk = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 6) | st.floats() | st.text(max_size=3) | st.sampled_from(COLOR_LABELS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
near_ratings = st.fixed_dictionaries(
    {},
    optional={
        "starRating": st.integers(1, 5) | junk,
        "colorLabel": st.sampled_from(COLOR_LABELS) | junk,
        "title": st.text(max_size=3) | junk,
        "description": st.text(max_size=3) | junk,
        "tags": st.lists(st.text(max_size=3), max_size=3) | junk,
        "more": junk,
    },
)


def rate(answer: Any, **image: str) -> tuple[Any, Answering]:
    provider = Answering(answer if isinstance(answer, str) else json.dumps(answer))
    item = image or {"url": "https://x.test/1.jpg"}
    return RatePhotos().run(attempt_of(provider, item, PARAMETERS)), provider


def test_a_good_answer_is_the_result() -> None:
    outcome, provider = rate(RATING)
    assert outcome == Succeeded(RATING, quality=0.75)
    [request] = provider.requests
    assert (request.prompt, request.system_prompt) == ("Rate", "Be strict")
    assert (request.reference, request.timeout_seconds) == ("attempt-1", 5.0)
    assert request.images == (Image(url="https://x.test/1.jpg"),)
    assert request.schema == ANSWER_SCHEMA


@pytest.mark.parametrize(
    "answer",
    [
        "no JSON",
        "[]",
        "null",
        "[" * 100_000,
        {**RATING, "starRating": 6},
        {**RATING, "starRating": True},
        {**RATING, "starRating": 4.5},
        {**RATING, "colorLabel": "pink"},
        {**RATING, "tags": "c"},
        {**RATING, "tags": [1]},
        {**RATING, "extra": 1},
        {"starRating": 4},
    ],
)
def test_a_bad_answer_is_tried_again(answer: Any) -> None:
    outcome, _ = rate(answer)
    assert isinstance(outcome, Retry)
    assert outcome.fault.code == "invalid_answer"


def test_a_rating_like_5_0_becomes_whole() -> None:
    assert json.dumps(read_rating(json.dumps({**RATING, "starRating": 5.0}))).startswith('{"starRating": 5,')


@given(near_ratings | junk)
def test_the_quick_check_accepts_nothing_that_the_schema_refuses(rating: Any) -> None:
    if _is_plainly_valid(rating):
        assert Draft202012Validator(ANSWER_SCHEMA).is_valid(rating)


def test_a_stored_photo_is_sent_as_bytes(owner: User) -> None:
    stored = store_file(owner.pk, "a.jpg", "image/jpeg", jpeg())
    provider = Answering(json.dumps(RATING))
    item = {"fileId": stored.public_id, "mediaType": stored.media_type}
    RatePhotos().run(attempt_of(provider, item, PARAMETERS, owner.pk))
    assert provider.requests[0].images == (Image(data=jpeg(), media_type="image/jpeg"),)


def test_a_photo_whose_file_is_gone_is_not_tried_again() -> None:
    outcome, provider = rate(RATING, fileId="file_0", mediaType="image/jpeg")
    assert isinstance(outcome, Rejected)
    assert outcome.fault.code == "file_missing"
    assert not provider.requests


def test_the_command_line_may_build_a_batch_without_http(owner: User, media: Path) -> None:
    new = build_photo_batch(owner.pk, {"shootId": "s", "images": [{"id": "1", "url": "https://x.test/1.jpg"}]})
    assert (new.operation, new.provider, new.subject, new.mode.name) == ("rate_photos", "openai-gpt-5", "s", "fast")
    assert new.parameters["prompt"]
    assert new.items[0].input == {"filename": "1", "url": "https://x.test/1.jpg"}


def test_numbers_that_json_has_not_are_refused(owner: User) -> None:
    image = {"id": "1", "url": "https://x.test/1.jpg", "metadata": {"a": [float("nan")], "b": {"c": {1, 2}}}}
    with pytest.raises(InvalidInput) as refused:
        build_photo_batch(owner.pk, {"shootId": "s", "images": [image], "rateLimit": float("inf")})
    found = {problem.path: problem.code for problem in refused.value.problems}
    assert found == {
        "images.0.metadata.a.0": "invalid_number",
        "images.0.metadata.b.c": "invalid_type",
        "rateLimit": "out_of_range",
    }

"""The rendered photos are what their names say, to somebody who only measures them."""

from __future__ import annotations

import io
import time

import pytest
from PIL import Image

from batches.samples import SamplePhoto, sample_photos
from providers.sandbox.photos import measure, rate

PHOTOS = list(sample_photos())
TAGS = {
    "sharp": {"sharp", "well-exposed", "good-contrast"},
    "blurred": {"blurred"},
    "dark": {"underexposed"},
    "overexposed": {"overexposed"},
    "pale": {"pale", "low-contrast"},
}
STARS = {"sharp": {5}, "blurred": {1, 2}, "dark": {1, 2}, "overexposed": {1, 2, 3}, "pale": {2, 3}}


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.name)
def test_a_photo_is_what_its_name_says(photo: SamplePhoto) -> None:
    fault = photo.name.removesuffix(".jpg").partition("-")[2]
    rating = rate(measure(photo.content))
    assert set(rating["tags"]) >= TAGS[fault]
    assert rating["starRating"] in STARS[fault]
    assert Image.open(io.BytesIO(photo.content)).format == "JPEG"


def test_they_are_the_same_at_every_run_and_quick_to_render() -> None:
    started = time.perf_counter()
    assert list(sample_photos()) == PHOTOS
    assert time.perf_counter() - started < 3
    assert len({photo.content for photo in PHOTOS}) == 25

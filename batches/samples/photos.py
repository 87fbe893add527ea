"""Each motif as a good photo and as four that went wrong, so that anybody can see whether ratings make sense."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PIL import Image, ImageFilter

from batches.samples.scenes import SCENES

MEDIA_TYPE = "image/jpeg"


@dataclass(frozen=True, slots=True)
class SamplePhoto:
    """A JPEG whose name says what is in it and what went wrong."""

    name: str
    content: bytes


def as_it_is(picture: Image.Image) -> Image.Image:
    """Sharp and well exposed."""
    return picture


def blurred(picture: Image.Image) -> Image.Image:
    """Out of focus."""
    return picture.filter(ImageFilter.GaussianBlur(6))


def dark(picture: Image.Image) -> Image.Image:
    """Three stops too little light."""
    return picture.point(lambda level: int(level * 0.16))


def overexposed(picture: Image.Image) -> Image.Image:
    """Too much light: the bright parts are white and nothing else."""
    return picture.point(lambda level: min(255, int(level * 2.1 + 40)))


def pale(picture: Image.Image) -> Image.Image:
    """Fog: neither dark nor bright parts."""
    return picture.point(lambda level: int(150 + (level - 128) * 0.24))


VARIANTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "sharp": as_it_is,
    "blurred": blurred,
    "dark": dark,
    "overexposed": overexposed,
    "pale": pale,
}


def sample_photos() -> Iterator[SamplePhoto]:
    """Every motif in every variant, 25 JPEGs; the same bytes at every run of one Pillow."""
    for motif, paint in SCENES.items():
        picture = paint(random.Random(motif))  # noqa: S311  a picture, not a secret
        for variant, develop in VARIANTS.items():
            yield SamplePhoto(f"{motif}-{variant}.jpg", encode(develop(picture)))


def encode(picture: Image.Image) -> bytes:
    """The picture as a camera would write it."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()

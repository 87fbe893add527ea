"""The sandbox's ratings, on the real photographs that scikit-learn and scikit-image carry."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy
import pytest
from PIL import Image, ImageFilter
from skimage import data
from sklearn.datasets import load_sample_images

from providers.sandbox.photos import measure, rate, rate_address

PHOTOS = ["china", "flower", "astronaut", "coffee", "chelsea", "camera", "coins"]
COLORS = {"red", "yellow", "green", "blue", "purple", "none"}


@cache
def photograph(name: str) -> Image.Image:
    if name in {"china", "flower"}:
        return Image.fromarray(load_sample_images().images[["china", "flower"].index(name)])
    return Image.fromarray(getattr(data, name)()).convert("RGB")


def toned(change: Callable[[Any], Any]) -> Callable[[Image.Image], Image.Image]:
    def apply(photo: Image.Image) -> Image.Image:
        pixels = change(numpy.asarray(photo).astype(float))
        return Image.fromarray(numpy.clip(pixels, 0, 255).astype("uint8"))

    return apply


DAMAGES: list[tuple[str, Callable[[Image.Image], Image.Image], str]] = [
    ("blurred", lambda photo: photo.filter(ImageFilter.GaussianBlur(2)), "blurred"),
    ("very blurred", lambda photo: photo.filter(ImageFilter.GaussianBlur(8)), "blurred"),
    ("darkened", toned(lambda pixels: pixels * 0.15), "underexposed"),
    ("overexposed", toned(lambda pixels: pixels * 2.5), "overexposed"),
    ("lifted", toned(lambda pixels: pixels + 110), "overexposed"),
    ("grey", toned(lambda pixels: 128 + (pixels - 128) * 0.2), "low-contrast"),
    ("pale", toned(lambda pixels: pixels * 0.25 + 170), "pale"),
]


def rating(photo: Image.Image, kind: str = "JPEG") -> dict[str, Any]:
    file = io.BytesIO()
    photo.save(file, kind)
    return rate(measure(file.getvalue()))


@pytest.mark.parametrize("name", PHOTOS)
def test_a_good_photograph_rates_well(name: str) -> None:
    answer = rating(photograph(name))
    assert answer["starRating"] >= 4
    assert answer["tags"][:3] == ["sharp", "well-exposed", "good-contrast"]
    assert "sharp, well exposed, good contrast" in answer["description"]
    assert answer["colorLabel"] in COLORS


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize(("damage", "tag"), [damage[1:] for damage in DAMAGES], ids=[damage[0] for damage in DAMAGES])
@pytest.mark.parametrize("name", PHOTOS)
def test_damage_costs_stars_and_is_named(
    name: str, damage: Callable[[Image.Image], Image.Image], tag: str, kind: str
) -> None:
    whole, damaged = rating(photograph(name), kind), rating(damage(photograph(name)), kind)
    assert damaged["starRating"] < whole["starRating"]
    assert tag in damaged["tags"]


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA"])
def test_every_kind_of_pixel_is_measured(mode: str) -> None:
    assert 1 <= rating(photograph("astronaut").convert(mode), "PNG")["starRating"] <= 5


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 4000), (3, 3)])
def test_tiny_pictures_are_measured(size: tuple[int, int]) -> None:
    assert rating(Image.new("RGB", size, "red"), "PNG")["starRating"] == 1


def test_an_address_is_rated_steadily_and_says_so() -> None:
    answers = [rate_address(f"https://example.com/{number}.jpg") for number in range(50)]
    assert answers == [rate_address(f"https://example.com/{number}.jpg") for number in range(50)]
    assert {answer["starRating"] for answer in answers} == {1, 2, 3, 4, 5}
    assert all(answer["description"].startswith("Rated from its address") for answer in answers)

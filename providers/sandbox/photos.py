"""Rates a photo by what can be measured in its pixels: sharpness, exposure, contrast."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import Any

from PIL import Image as Pillow
from PIL import ImageFilter, ImageStat

LONGEST_SIDE = 512
COLOR_OF_STARS = {5: "green", 4: "blue", 3: "yellow", 2: "purple", 1: "red"}
# What brightness in whole numbers alone adds to the variance of the Laplacian.
ROUNDING_NOISE = 0.4
LITTLE_DETAIL = 0.017
LAPLACIAN = ImageFilter.Kernel((3, 3), (0, -1, 0, -1, 4, -1, 0, -1, 0), scale=2, offset=128)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the pixels say. Brightness runs from 0 to 255."""

    width: int
    height: int
    detail: float
    """How much of the photo's contrast is fine detail."""
    crispness: float
    """How many times more fine detail the photo has than a slightly blurred copy of itself: 1 means none."""
    mean: float
    dark_end: float
    bright_end: float
    clipped: float
    """Share of pixels that are pure white."""

    @property
    def tonal_range(self) -> float:
        return self.bright_end - self.dark_end

    @property
    def underexposed(self) -> bool:
        return self.bright_end < 85 or self.mean < 25

    @property
    def overexposed(self) -> bool:
        washed_out = self.dark_end > 95 and self.bright_end >= 235
        return self.clipped >= 0.09 or washed_out or (self.mean >= 190 and self.clipped >= 0.02)

    @property
    def low_contrast(self) -> bool:
        return self.tonal_range < 85 and not (self.underexposed and self.tonal_range > 0.4 * self.bright_end)

    @property
    def blurred(self) -> bool:
        # Both: in a dark or pale photo rounding hides crispness, but not detail; a plain wall has little detail.
        return self.detail < LITTLE_DETAIL and self.crispness < 2.4

    @property
    def soft(self) -> bool:
        return self.detail < LITTLE_DETAIL and 2.4 <= self.crispness < 3.2


def measure(data: bytes) -> Measurement:
    """Decode and measure one photo. Raises whatever Pillow raises for bytes that are no picture."""
    with Pillow.open(io.BytesIO(data)) as picture:
        width, height = picture.size
        picture.draft("L", (LONGEST_SIDE, LONGEST_SIDE))
        gray = picture.convert("L")
    gray.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Pillow.Resampling.LANCZOS)
    histogram = gray.histogram()
    statistics = ImageStat.Stat(gray)
    fine = _fine_detail(gray)
    return Measurement(
        width=width,
        height=height,
        detail=max(0.0, fine - ROUNDING_NOISE) / max(statistics.var[0], 1.0),
        crispness=fine / max(_fine_detail(gray.filter(ImageFilter.GaussianBlur(1))), 0.01),
        mean=statistics.mean[0],
        dark_end=_level(histogram, 0.02),
        bright_end=_level(histogram, 0.98),
        clipped=sum(histogram[246:]) / sum(histogram),
    )


def _level(histogram: list[int], share: float) -> int:
    wanted = share * sum(histogram)
    seen = 0
    for brightness, count in enumerate(histogram):
        seen += count
        if seen >= wanted:
            return brightness
    return 255


def _fine_detail(gray: Pillow.Image) -> float:
    """The variance of the Laplacian, without the border that the filter leaves as it was."""
    if min(gray.size) < 3:
        return 0.0
    edges = gray.filter(LAPLACIAN).crop((1, 1, gray.width - 1, gray.height - 1))
    return ImageStat.Stat(edges).var[0]


def rate(photo: Measurement) -> dict[str, Any]:
    """The answer to the rating task: stars, colour, title, description and tags."""
    focus = "blurred" if photo.blurred else "slightly soft" if photo.soft else "sharp"
    exposure = "underexposed" if photo.underexposed else "overexposed" if photo.overexposed else "well exposed"
    contrast = "low contrast" if photo.low_contrast else "good contrast"
    stars = _stars(photo)
    tags = [word.replace(" ", "-") for word in (focus, exposure, contrast)]
    if photo.low_contrast and not photo.underexposed:
        tags.append("pale")
    tags.append("landscape" if photo.width > photo.height else "portrait" if photo.height > photo.width else "square")
    return {
        "starRating": stars,
        "colorLabel": COLOR_OF_STARS[stars],
        "title": f"{focus.capitalize()}, {exposure} photo",
        "description": (
            f"Measured by the sandbox: {focus}, {exposure}, {contrast} "
            f"(mean brightness {photo.mean / 2.55:.0f} %, {photo.clipped:.0%} clipped, {photo.width} x {photo.height})."
        ),
        "tags": tags,
    }


def _stars(photo: Measurement) -> int:
    stars = 5.0
    if photo.blurred:
        stars -= 2.5
    elif photo.soft:
        stars -= 1
    if photo.underexposed:
        stars -= 2.5 if photo.bright_end < 50 or photo.mean < 12 else 1.5
    elif photo.overexposed:
        stars -= 2.5 if photo.clipped >= 0.35 else 1.5
    if photo.low_contrast:
        stars -= 2.5 if photo.tonal_range < 45 else 1.5
    if photo.tonal_range < 120:
        stars -= 0.5
    return max(1, int(stars))


def rate_address(address: str) -> dict[str, Any]:
    """The answer for a photo given by URL: steady, but it says nothing about the picture."""
    stars = 1 + hashlib.sha256(address.encode()).digest()[0] % 5
    return {
        "starRating": stars,
        "colorLabel": COLOR_OF_STARS[stars],
        "title": "Photo at an address",
        "description": "Rated from its address; the sandbox fetches nothing.",
        "tags": ["not-measured"],
    }

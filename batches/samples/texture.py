"""What a camera sees on every surface: gradients and irregular texture, the same at every run."""

from __future__ import annotations

import random

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

Size = tuple[int, int]
Color = tuple[int, int, int]
Box = tuple[int, int, int, int]


def gradient(size: Size, top: Color, bottom: Color) -> Image.Image:
    """From one colour at the top to another at the bottom."""
    ramp = Image.linear_gradient("L").resize(size, Image.Resampling.BILINEAR)
    return ImageOps.colorize(ramp, top, bottom)


def noise(size: Size, dice: random.Random, cell: Size) -> Image.Image:
    """Random brightness in patches of about ``cell`` pixels."""
    small = (max(2, size[0] // cell[0]), max(2, size[1] // cell[1]))
    grain = Image.frombytes("L", small, dice.randbytes(small[0] * small[1]))
    return grain.resize(size, Image.Resampling.BICUBIC)


def clouds(size: Size, dice: random.Random) -> Image.Image:
    """Large, medium and small patches on top of each other."""
    coarse = Image.blend(noise(size, dice, (160, 60)), noise(size, dice, (60, 24)), 0.4)
    return Image.blend(coarse, noise(size, dice, (16, 8)), 0.18)


def textured(surface: Image.Image, dice: random.Random, cell: Size, strength: float) -> Image.Image:
    """The surface, lightened and darkened irregularly around its own colour."""
    grain = noise(surface.size, dice, cell).point(lambda level: int(128 + (level - 128) * strength))
    return ImageChops.overlay(surface, Image.merge("RGB", (grain, grain, grain)))


def paste_polygon(picture: Image.Image, surface: Image.Image, corners: list[tuple[float, float]]) -> None:
    """Put the surface into the picture within these corners."""
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).polygon(corners, fill=255)
    picture.paste(surface, mask=mask)


def ridge(width: int, base: float, height: float, dice: random.Random, steps: int) -> list[tuple[float, float]]:
    """A jagged line from the left edge to the right one."""
    places = (width * index / steps for index in range(steps + 1))
    return [(place, base - height * dice.random()) for place in places]


def ball(picture: Image.Image, box: Box, color: Color, dice: random.Random) -> None:
    """A round thing with light from the upper left, freckles, and a shadow below it."""
    left, top, right, bottom = box
    size = (right - left, bottom - top)
    shadow = Image.new("L", picture.size)
    ImageDraw.Draw(shadow).ellipse((left, bottom - size[1] // 6, right + size[0] // 4, bottom + size[1] // 8), fill=150)
    picture.paste((30, 18, 12), mask=shadow.filter(ImageFilter.GaussianBlur(7)))
    light = ImageOps.invert(Image.radial_gradient("L").resize((size[0] * 2, size[1] * 2)))
    light = light.crop((size[0] * 6 // 10, size[1] * 6 // 10, size[0] * 16 // 10, size[1] * 16 // 10))
    dark: Color = (color[0] // 4, color[1] // 4, color[2] // 4)
    surface = ImageOps.colorize(light, dark, (255, 250, 240), color, whitepoint=250, midpoint=150)
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse((0, 0, size[0] - 1, size[1] - 1), fill=255)
    picture.paste(textured(surface, dice, (2, 2), 0.5), (left, top), mask)

"""The five motifs, painted with gradients, shapes and texture."""

from __future__ import annotations

import random

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from batches.samples.texture import Color, ball, clouds, gradient, noise, paste_polygon, ridge, textured

LANDSCAPE = (640, 480)
PORTRAIT = (480, 640)


def meadow(dice: random.Random) -> Image.Image:
    """Grass and flowers under a summer sky."""
    width, height = LANDSCAPE
    picture = gradient(LANDSCAPE, (64, 124, 214), (206, 226, 244))
    picture.paste((250, 250, 250), mask=clouds(LANDSCAPE, dice).point(lambda level: max(0, (level - 120) * 3)))
    hills = textured(gradient(LANDSCAPE, (60, 110, 70), (40, 86, 48)), dice, (6, 3), 0.5)
    far = ridge(width, height * 0.55, 50, dice, 9)
    paste_polygon(picture, hills, [*far, (width, height), (0, height)])
    grass = textured(gradient(LANDSCAPE, (120, 160, 60), (40, 90, 24)), dice, (2, 5), 0.9)
    near = ridge(width, height * 0.6, 12, dice, 7)
    paste_polygon(picture, grass, [*near, (width, height), (0, height)])
    pen = ImageDraw.Draw(picture)
    for _ in range(2600):
        x, y = dice.uniform(0, width), height * (0.62 + 0.4 * dice.random() ** 0.7)
        length = (y - height * 0.55) * 0.14
        shade = dice.randint(-30, 60)
        pen.line((x, y, x + dice.uniform(-5, 5), y - length), fill=(70 + shade, 130 + shade, 40 + shade // 2))
    for _ in range(170):
        x, y = dice.uniform(0, width), height * (0.64 + 0.36 * dice.random())
        radius = 1 + (y - height * 0.6) / 45
        petal = dice.choice([(250, 240, 240), (245, 205, 40), (214, 40, 60), (150, 90, 200)])
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=petal)
    return picture


def lake(dice: random.Random) -> Image.Image:
    """Mountains with snow and their reflection."""
    width, height = LANDSCAPE
    shore = height * 58 // 100
    picture = gradient(LANDSCAPE, (52, 96, 170), (250, 214, 180))
    for base, rise, color in ((0.52, 230, (96, 108, 140)), (0.57, 150, (58, 70, 90)), (0.6, 60, (28, 52, 40))):
        rocks = textured(gradient(LANDSCAPE, (235, 238, 245), color), dice, (5, 7), 1.0)
        rocks = textured(rocks, dice, (2, 2), 0.6)
        line = ridge(width, height * base, rise, dice, 11)
        paste_polygon(picture, rocks, [*line, (width, height), (0, height)])
    reflection = ImageOps.flip(picture.crop((0, 2 * shore - height, width, shore)))
    water = textured(reflection.filter(ImageFilter.GaussianBlur(1.5)), dice, (28, 2), 0.7)
    picture.paste(ImageChops.multiply(water, Image.new("RGB", water.size, (190, 205, 220))), (0, shore))
    return picture


def dunes(dice: random.Random) -> Image.Image:
    """Sand in the evening light."""
    width, height = LANDSCAPE
    picture = gradient(LANDSCAPE, (70, 120, 190), (255, 226, 180))
    ImageDraw.Draw(picture).ellipse((460, 60, 520, 120), fill=(255, 246, 214))
    for index in range(4):
        base = height * (0.5 + 0.14 * index)
        sand = gradient(LANDSCAPE, (238, 190, 120), (120 - 20 * index, 66 - 10 * index, 30))
        sand = textured(textured(sand, dice, (30, 4), 0.6), dice, (1, 1), 0.35)
        crest = ridge(width, base, 90, dice, 4 + index)
        paste_polygon(picture, sand, [*crest, (width, height), (0, height)])
    return picture


def city(dice: random.Random) -> Image.Image:
    """Towers with lit windows after sunset."""
    width, height = PORTRAIT
    picture = gradient(PORTRAIT, (44, 62, 130), (255, 176, 110))
    pen = ImageDraw.Draw(picture)
    x = -10
    while x < width:
        breadth, top = dice.randint(44, 90), dice.randint(120, 420)
        shade = dice.randint(34, 120)
        front = gradient((breadth, height - top), (shade + 30, shade + 34, shade + 60), (shade // 2, shade // 2, shade))
        picture.paste(textured(front, dice, (3, 3), 0.4), (x, top))
        for row in range(top + 10, height - 50, 14):
            for column in range(x + 7, x + breadth - 9, 12):
                lit = dice.random() < 0.6
                light: Color = dice.choice([(255, 226, 150), (255, 244, 214)]) if lit else (22, 26, 44)
                pen.rectangle((column, row, column + 5, row + 7), fill=light)
        x += breadth + dice.randint(-6, 10)
    street = textured(gradient((width, 50), (70, 62, 70), (120, 100, 90)), dice, (12, 2), 1.0)
    picture.paste(street, (0, height - 50))
    return picture


def fruit(dice: random.Random) -> Image.Image:
    """A still life: fruit on a wooden table before a wall."""
    width, height = LANDSCAPE
    wall = textured(gradient(LANDSCAPE, (196, 190, 176), (120, 116, 110)), dice, (3, 3), 0.35)
    picture = textured(wall, dice, (90, 70), 0.4)
    table = gradient((width, 190), (150, 96, 52), (92, 52, 26))
    grain = ImageChops.overlay(
        textured(table, dice, (120, 2), 1.0), Image.merge("RGB", [noise(table.size, dice, (40, 1))] * 3)
    )
    picture.paste(grain, (0, height - 190))
    kinds: list[tuple[int, int, int, Color]] = [
        (60, 210, 130, (200, 40, 36)),
        (390, 190, 140, (236, 150, 30)),
        (180, 170, 160, (110, 160, 40)),
        (300, 250, 130, (214, 60, 40)),
        (120, 300, 110, (240, 190, 50)),
        (430, 300, 120, (120, 40, 90)),
    ]
    for x, y, size, color in kinds:
        ball(picture, (x, y, x + size, y + size), color, dice)
    pen = ImageDraw.Draw(picture)
    for x, y, size, _ in kinds:
        pen.line((x + size // 2, y + 10, x + size // 2 + 8, y - 12), fill=(60, 40, 20), width=4)
    return picture


SCENES = {"meadow": meadow, "lake": lake, "dunes": dunes, "city": city, "fruit": fruit}

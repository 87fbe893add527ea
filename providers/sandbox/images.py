"""OpenAI's image generation: draws a picture out of the prompt's hash, the same one every time."""

from __future__ import annotations

import asyncio
import base64
import colorsys
import hashlib
import io
import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from PIL import Image, ImageDraw

from providers.sandbox.wire import Answer, Call, Request

SIZES = {"1024x1024": (1024, 1024), "1536x1024": (1536, 1024), "1024x1536": (1024, 1536), "auto": (1024, 1024)}
CHOICES = {
    "size": frozenset(SIZES),
    "quality": frozenset({"low", "medium", "high", "auto"}),
    "background": frozenset({"transparent", "opaque", "auto"}),
    "output_format": frozenset({"png", "jpeg", "webp"}),
}
MOST_IMAGES = 10
LONGEST_PROMPT = 32_000
CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded", 503: "server_is_overloaded"}


class Images:
    """Speaks OpenAI."""

    name = "openai"

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        # Encoding releases the interpreter lock, so the loop keeps answering meanwhile.
        self._painters = ThreadPoolExecutor(max_workers=2, thread_name_prefix="painter")

    def read(self, request: Request) -> Call:
        call = Call(reference=request.header(b"x-client-request-id"))
        try:
            call.work = body = json.loads(request.body)
            problem = _problem(body)
        except (ValueError, TypeError, AttributeError, RecursionError):
            problem = "The body is not an image generation request."
        if not (request.header(b"authorization") or "").startswith("Bearer "):
            call.refusal = self._refuse(401, "invalid_api_key", "You didn't provide an API key.")
        elif request.method != "POST":
            call.refusal = self._refuse(405, "method_not_supported", "Only POST is supported.")
        elif problem:
            call.refusal = self._refuse(400, "invalid_value", problem)
        return call

    async def act(self, call: Call) -> Answer:
        body: dict[str, Any] = call.work
        kind = body.get("output_format") or "png"
        number = int(body.get("n") or 1)
        loop = asyncio.get_running_loop()
        painted = [
            loop.run_in_executor(self._painters, paint, body["prompt"], body.get("size") or "auto", kind, variation)
            for variation in range(number)
        ]
        images = [base64.b64encode(await image).decode() for image in painted]
        tokens = {"low": 272, "high": 4160}.get(body.get("quality") or "auto", 1056) * number
        prompt_tokens = 1 + len(body["prompt"]) // 4
        return Answer.of(
            200,
            {
                "created": int(time.time()),
                "data": [{"b64_json": image} for image in images],
                "background": "opaque",
                "output_format": kind,
                "size": body.get("size") or "1024x1024",
                "usage": {
                    "input_tokens": prompt_tokens,
                    "output_tokens": tokens,
                    "total_tokens": prompt_tokens + tokens,
                    "input_tokens_details": {"text_tokens": prompt_tokens, "image_tokens": 0},
                },
            },
            (b"x-request-id", b"req_sandbox%d" % next(self._numbers)),
        )

    def error(self, status: int, *, permanent: bool = False, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
        code = "moderation_blocked" if permanent else CODES.get(status, "server_error" if status >= 500 else None)
        return self._refuse(status, code, "The sandbox was told to fail.", headers)

    def _refuse(
        self, status: int, code: str | None, message: str, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> Answer:
        kind = "server_error" if status >= 500 else "requests" if status == 429 else "image_generation_user_error"
        error = {"message": message, "type": kind, "param": None, "code": code}
        return Answer.of(status, {"error": error}, (b"x-request-id", b"req_sandbox%d" % next(self._numbers)), *headers)


def _problem(body: dict[str, Any]) -> str | None:
    prompt, number = body.get("prompt"), body.get("n", 1)
    if not isinstance(prompt, str) or not 0 < len(prompt) <= LONGEST_PROMPT:
        return f"prompt must be a string of 1 to {LONGEST_PROMPT} characters."
    if not isinstance(body.get("model"), str):
        return "model must be a string."
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MOST_IMAGES:
        return f"n must be a whole number from 1 to {MOST_IMAGES}."
    for name, choices in CHOICES.items():
        if name in body and body[name] not in choices:
            return f"{name} must be one of {', '.join(sorted(choices))}."
    return None


def paint(prompt: str, size: str, kind: str, variation: int) -> bytes:
    """Hills under a sky and a sun, their colours and lines taken from the hash of prompt and variation."""
    seed = hashlib.sha256(f"{variation}:{prompt}".encode("utf-8", "replace")).digest()
    width, height = SIZES[size]
    hue = seed[0] / 255
    image = Image.new("RGB", (width, height), _color(hue, 0.25, 0.95))
    draw = ImageDraw.Draw(image)
    radius = height // 14 + seed[1] * height // 2560
    sun = (width * (40 + seed[2] * 3 // 5) // 256, height * (40 + seed[3] // 3) // 256)
    draw.ellipse((sun[0] - radius, sun[1] - radius, sun[0] + radius, sun[1] + radius), fill=_color(hue + 0.5, 0.5, 1.0))
    for hill in range(4):
        base = height * (110 + 34 * hill) // 256
        heights = [base + (seed[4 + hill * 6 + place] - 128) * height // 1400 for place in range(6)]
        line = [(width * place // 5, top) for place, top in enumerate(heights)]
        draw.polygon([*line, (width, height), (0, height)], fill=_color(hue + 0.08 * hill, 0.5, 0.8 - 0.16 * hill))
    out = io.BytesIO()
    image.save(out, kind.upper())
    return out.getvalue()


def _color(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)

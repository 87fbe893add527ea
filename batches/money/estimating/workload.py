"""What an item asks of outside: how many calls, tokens and segments, each between a lowest and a highest number.

Tokens are guessed from characters and images: providers count them each in their own way, and only their answers say
how many they were. So what is given are spans; the cost of the higher end is what a careful reader reckons with.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from providers.base import ChatRequest, Image, ImageRequest
from providers.prices import (
    ECONOMY_INPUT_TOKENS,
    ECONOMY_OUTPUT_TOKENS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    SEGMENTS,
)
from providers.sms.segments import segments

MOST_LETTERS_PER_TOKEN = 5
"""English has about four; numbers, code and most other languages have fewer."""
FEWEST_BYTES_PER_TOKEN = 3
FRAME_TOKENS = 40
"""What a provider adds at most around a question: roles, names, the frame of a form."""
IMAGE_TOKENS = (85, 1_600)
"""Of a small or coarsely read picture, and of a large one that is read in detail."""
FORM_TOKENS = (20, 600)
"""Of an answer under a schema."""
ANSWER_TOKENS = (30, 2_000)
"""Of one in free words, reasoning included."""
GENERATED_TOKENS: Mapping[str | None, tuple[int, int]] = {
    "low": (272, 408),
    "medium": (1_056, 1_584),
    "high": (4_160, 6_240),
    None: (1_056, 6_240),
}
"""Of an image that is made, by its quality: of a square one, and of a wide or tall one."""


@dataclass(frozen=True, slots=True)
class Span:
    """From the lowest number to the highest."""

    low: int = 0
    high: int = 0

    def __add__(self, other: Span) -> Span:
        """Both together."""
        return Span(self.low + other.low, self.high + other.high)

    def scaled(self, numerator: int, denominator: int) -> Span:
        """As many times as much; rounded outwards."""
        return Span(self.low * numerator // denominator, -(-self.high * numerator // denominator))


NONE = Span()
ONE = Span(1, 1)


@dataclass(frozen=True, slots=True)
class Workload:
    """What one item asks of outside, or many together."""

    calls: Span = NONE
    input_tokens: Span = NONE
    output_tokens: Span = NONE
    segments: Span = NONE

    def __add__(self, other: Workload) -> Workload:
        """Both together."""
        return Workload(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.segments + other.segments,
        )

    def scaled(self, numerator: int, denominator: int) -> Workload:
        """Of a part of the items to all of them."""
        return Workload(
            self.calls.scaled(numerator, denominator),
            self.input_tokens.scaled(numerator, denominator),
            self.output_tokens.scaled(numerator, denominator),
            self.segments.scaled(numerator, denominator),
        )

    def used(self, *, highest: bool, economy: bool = False) -> dict[str, int]:
        """In the units that providers bill, at one end of the span."""
        end = "high" if highest else "low"
        names = (ECONOMY_INPUT_TOKENS, ECONOMY_OUTPUT_TOKENS) if economy else (INPUT_TOKENS, OUTPUT_TOKENS)
        numbers = {
            names[0]: getattr(self.input_tokens, end),
            names[1]: getattr(self.output_tokens, end),
            SEGMENTS: getattr(self.segments, end),
        }
        return {unit: number for unit, number in numbers.items() if number}


@dataclass(slots=True)
class Total:
    """Workloads being added up, one after the other: of a hundred thousand recipients as of one."""

    items: int = 0
    workload: Workload = field(default_factory=Workload)

    def add(self, workload: Workload) -> None:
        """One item's."""
        self.items += 1
        self.workload += workload


def of_texts(*texts: str | None) -> Span:
    """The tokens of texts."""
    characters = sum(len(text) for text in texts if text)
    size = sum(len(text.encode("utf-8", "replace")) for text in texts if text)
    return of_characters(characters, size)


def of_characters(fewest: int, most_bytes: int) -> Span:
    """The tokens of a text of which no more is known."""
    return Span(fewest // MOST_LETTERS_PER_TOKEN, -(-most_bytes // FEWEST_BYTES_PER_TOKEN) + FRAME_TOKENS)


def of_images(images: Iterable[Image]) -> Span:
    """The tokens of pictures that are looked at."""
    number = sum(1 for _ in images)
    return Span(number * IMAGE_TOKENS[0], number * IMAGE_TOKENS[1])


def of_question(request: ChatRequest) -> Workload:
    """One question to a model."""
    form = json.dumps(request.schema) if request.schema else ""
    asked = of_texts(request.prompt, request.system_prompt) + of_images(request.images)
    low, high = FORM_TOKENS if request.schema else ANSWER_TOKENS
    if request.max_output_tokens is not None:
        high = min(high, request.max_output_tokens)
    return Workload(
        calls=ONE,
        input_tokens=asked + Span(0, len(form) // FEWEST_BYTES_PER_TOKEN),
        output_tokens=Span(min(low, high), high),
    )


def of_picture(request: ImageRequest) -> Workload:
    """One image to be made."""
    low, high = GENERATED_TOKENS.get(request.quality, GENERATED_TOKENS[None])
    return Workload(calls=ONE, input_tokens=of_texts(request.prompt), output_tokens=Span(low, high))


def of_long_text(request: ChatRequest, fewest: int, most: int, part: int, *, combines: bool) -> Workload:
    """A question about a text of so many characters, asked about each part of it; ``combines``: and about the answers.

    ``request`` is the question without the text.
    """
    asked = of_question(request)
    parts = Span(max(1, -(-fewest // part)), max(1, -(-most // part)))
    answers = parts.high * asked.output_tokens.high if combines and parts.high > 1 else 0
    again = -(-answers * MOST_LETTERS_PER_TOKEN // part)
    calls = Span(parts.low + (combines and parts.low > 1), parts.high + again)
    return Workload(
        calls=calls,
        input_tokens=of_characters(fewest, most + answers * FEWEST_BYTES_PER_TOKEN)
        + Span(asked.input_tokens.low * calls.low, asked.input_tokens.high * calls.high),
        output_tokens=Span(asked.output_tokens.low * calls.low, asked.output_tokens.high * calls.high),
    )


@functools.lru_cache(maxsize=4096)
def of_message(body: str) -> Workload:
    """One text message: exact."""
    number = segments(body).number
    return Workload(calls=ONE, segments=Span(number, number))

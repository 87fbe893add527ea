"""How many tokens a question takes, guessed before it is asked: good enough to reserve; what was billed corrects it."""

from __future__ import annotations

import orjson

from providers.base import ChatRequest

CHARACTERS_PER_TOKEN = 4
TOKENS_PER_IMAGE = 800
TOKENS_AROUND = 10
"""Of the form that every question has."""


def tokens_of_question(request: ChatRequest) -> int:
    """What it will count as, going in: its texts, its schema, its pictures."""
    characters = len(request.prompt) + len(request.system_prompt or "")
    if request.schema is not None:
        characters += len(orjson.dumps(request.schema))
    return TOKENS_AROUND + characters // CHARACTERS_PER_TOKEN + TOKENS_PER_IMAGE * len(request.images)

"""What goes through all conversations of a batch: counted, and said by a model that reads their summaries."""

from __future__ import annotations

import logging
import secrets
import time
from collections import Counter
from typing import Any, cast

from batches.limits import limits_of, reserve
from batches.models import Batch
from batches.money.costs import count_used
from batches.operations.conversations.conversation_analysis import (
    ACROSS_PROMPT,
    ACROSS_SCHEMA,
    SYSTEM_PROMPT,
    read_answer,
)
from batches.operations.long_texts import framed
from batches.operations.result_lines import items_in_pages
from batches.states import ItemStatus
from providers.base import ChatProvider, ChatRequest, ProviderError
from providers.prices import tokens_of
from providers.registry import get_provider

logger = logging.getLogger(__name__)

MOST_CHARACTERS = 90_000
"""Of the summaries that the model reads; of more conversations it reads some, taken evenly."""
MOST_TOPICS = 50
LAST_ATTEMPT = 3
"""From this one on the batch ends without the model's word rather than with a failure."""
LONGEST_WAIT_SECONDS = 120.0


class NotAnswered(Exception):
    """The model did not answer as it was asked to; the finish is tried again."""


def themes_across(batch: Batch) -> dict[str, Any]:
    """Counts of sentiments and topics, and, where it was wanted, the themes that a model sees in the summaries."""
    sentiments: Counter[str] = Counter()
    topics: Counter[str] = Counter()
    summaries: list[str] = []
    messages = 0
    for page in items_in_pages(batch):
        for item in page:
            if item.status != ItemStatus.SUCCEEDED or item.result is None:
                continue
            messages += item.result["messageCount"]
            sentiments[item.result["sentiment"]] += 1
            topics.update({topic.strip().lower() for topic in item.result["topics"]})
            summaries.append(item.result["summary"])
    counted: dict[str, Any] = {
        "conversations": len(summaries),
        "messages": messages,
        "sentiments": dict(sentiments.most_common()),
        "topics": [{"topic": topic, "conversations": count} for topic, count in topics.most_common(MOST_TOPICS)],
    }
    if not summaries or not batch.parameters["across"]:
        return counted
    return {**counted, **_said(batch, summaries)}


def _said(batch: Batch, summaries: list[str]) -> dict[str, Any]:
    batch.refresh_from_db(fields=["max_cost", "spent"])
    if batch.max_cost is not None and batch.spent >= batch.max_cost:
        return {"summariesRead": 0, "error": {"code": "budget_spent", "message": "The batch has spent its budget."}}
    read = evenly(summaries, MOST_CHARACTERS)
    try:
        answer = _ask(batch, read, len(summaries))
    except ProviderError as error:
        if not error.permanent and batch.finish_attempts < LAST_ATTEMPT:
            raise
        logger.warning("Batch %s ends without themes: %s", batch.public_id, error.code)
        return {"summariesRead": 0, "error": {"code": error.code, "message": error.message}}
    except NotAnswered:
        if batch.finish_attempts < LAST_ATTEMPT:
            raise
        return {"summariesRead": 0, "error": {"code": "invalid_answer", "message": "The model did not answer in form."}}
    return {"summariesRead": len(read), **answer}


def _ask(batch: Batch, summaries: list[str], total: int) -> dict[str, Any]:
    provider = cast(ChatProvider, get_provider(batch.provider))
    _await_slot(batch, provider)
    numbered = "\n".join(f"{number}. {summary}" for number, summary in enumerate(summaries, start=1))
    prompt = "\n".join(
        line
        for line in (
            ACROSS_PROMPT.format(read=len(summaries), total=total),
            batch.parameters["question"],
            framed(numbered),
        )
        if line
    )
    request = ChatRequest(
        prompt=prompt,
        system_prompt=SYSTEM_PROMPT,
        schema=ACROSS_SCHEMA,
        schema_name="conversations",
        reference=f"{batch.public_id}-{secrets.token_hex(4)}",
        timeout_seconds=batch.timeout_ms / 1000,
    )
    answered = provider.complete(request)
    count_used(batch, provider, tokens_of(answered))
    answer = read_answer(answered.text, ACROSS_SCHEMA)
    if answer is None:
        raise NotAnswered
    return answer


def _await_slot(batch: Batch, provider: ChatProvider) -> None:
    """This call, too, keeps the limits of the batch and of the account. Raises ``redis.RedisError``, NotAnswered."""
    limits = limits_of(batch, provider)
    given_up_at = time.monotonic() + LONGEST_WAIT_SECONDS
    while limits:
        reservation = reserve(limits, 1)
        if reservation.slots:
            time.sleep(max(0.0, reservation.slots[0] - time.monotonic()))
            return
        if time.monotonic() > given_up_at:
            raise NotAnswered
        time.sleep(max(0.05, reservation.next_wait_seconds - 0.5))


def evenly(texts: list[str], most_characters: int) -> list[str]:
    """As many of the texts as fit, taken at equal distances.

    >>> evenly(["one", "two", "three", "four"], 8)
    ['one', 'three']
    """
    total = sum(map(len, texts))
    if total <= most_characters:
        return texts
    number = max(1, len(texts) * most_characters // total)
    while number > 1:
        chosen = [texts[place * len(texts) // number] for place in range(number)]
        if sum(map(len, chosen)) <= most_characters:
            return chosen
        number -= max(1, number // 20)
    return [texts[0][:most_characters]]

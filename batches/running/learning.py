"""What this process learns of the accounts that it calls: the limits in their answers' headers, the tokens of a call.

Answers in a row say the same, so only what changed is written, by one statement; all others read it within half a
second (:mod:`batches.provider_accounts.account_states`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import gevent
from django.db import Error, connection

from batches.limits import introduce
from batches.provider_accounts.account_states import known_accounts
from batches.provider_accounts.accounts import known_provider
from providers.base import ChatRequest
from providers.http import Ceilings
from providers.registry import provider_aliases
from providers.tokens import tokens_of_question

logger = logging.getLogger(__name__)

LEARN_SECONDS = 0.25
USUAL_OUTPUT = 300.0
"""Tokens of an answer, before the first ones of an account tell."""
WEIGHT = 0.05
"""Of the newest call in an average."""
WORTH_WRITING = 0.2
"""An average that moved by less is not written."""


@dataclass(slots=True)
class Average:
    """Of an account's calls lately. ``per_guess``: what was billed for a question's guessed token."""

    total: float
    output: float = USUAL_OUTPUT
    per_guess: float = 1.0


class Usage:
    """How many tokens the calls of each account use; told only of accounts whose tokens are limited."""

    def __init__(self) -> None:
        self._averages: dict[str, Average] = {}

    def usual(self, alias: str) -> float | None:
        """Tokens of a call on average; None before the first."""
        average = self._averages.get(alias)
        return average.total if average else None

    def expected(self, alias: str, request: ChatRequest) -> int:
        """What a call will use, going in and coming out."""
        average = self._averages.get(alias) or Average(0.0)
        output = average.output
        if request.max_output_tokens is not None:
            output = min(output, request.max_output_tokens)
        return round(tokens_of_question(request) * average.per_guess + output)

    def note(self, alias: str, *, guessed: int, input_tokens: int, output_tokens: int) -> None:
        """Take note of what a call was billed; ``guessed``: what its question was thought to be, 0 for several."""
        total = input_tokens + output_tokens
        average = self._averages.get(alias)
        if average is None:
            average = self._averages[alias] = Average(total, output_tokens)
            average.per_guess = input_tokens / guessed if guessed else 1.0
        average.total += WEIGHT * (total - average.total)
        average.output += WEIGHT * (output_tokens - average.output)
        if guessed:
            average.per_guess += WEIGHT * (input_tokens / guessed - average.per_guess)


_LEARN = """
    INSERT INTO batches_provideraccount AS account
           (alias, reason, requests_per_minute, tokens_per_minute, tokens_per_call, learned_at)
    VALUES (%(alias)s, '', %(requests)s, %(tokens)s, %(per_call)s, clock_timestamp())
    ON CONFLICT (alias) DO UPDATE
       SET requests_per_minute = EXCLUDED.requests_per_minute, tokens_per_minute = EXCLUDED.tokens_per_minute,
           tokens_per_call = COALESCE(EXCLUDED.tokens_per_call, account.tokens_per_call),
           learned_at = EXCLUDED.learned_at
"""


class Learning:
    """The loop of one worker process."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._heard: dict[str, int] = {}
        self._written: dict[str, tuple[Ceilings, float | None]] = {}
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> None:
        """Begin to learn."""
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Stop learning."""
        if self._greenlet is not None:
            self._greenlet.kill()

    def _run(self) -> None:
        while True:
            gevent.sleep(LEARN_SECONDS)
            try:
                self.learn()
            except Error as error:
                logger.warning("What accounts said of their limits was not written: %s", type(error).__name__)
            except Exception:
                logger.exception("Learning the limits of accounts failed")

    def learn(self) -> None:
        """Write what is new. What could not be written is tried again with the next answer."""
        for alias, told in _heard_providers():
            if self._heard.get(alias) == told.answers:
                continue
            ceilings, per_call = told.ceilings, self._usage.usual(alias)
            if self._is_new(alias, ceilings, per_call):
                self._write(alias, ceilings, per_call)
            self._heard[alias] = told.answers

    def _is_new(self, alias: str, ceilings: Ceilings, per_call: float | None) -> bool:
        """Whether an answer here says something else than the last one here did; what others heard is theirs."""
        if not known_accounts.state(alias).is_known or alias not in self._written:
            return True
        before, average = self._written[alias]
        moved = per_call is not None and (average is None or abs(per_call - average) > WORTH_WRITING * average)
        return ceilings != before or moved

    def _write(self, alias: str, ceilings: Ceilings, per_call: float | None) -> None:
        values = {
            "alias": alias,
            "requests": ceilings.requests_per_minute,
            "tokens": ceilings.tokens_per_minute,
            "per_call": per_call,
        }
        try:
            with connection.cursor() as cursor:
                cursor.execute(_LEARN, values)
        finally:
            connection.close()
        self._written[alias] = (ceilings, per_call)
        state = replace(
            known_accounts.state(alias),
            requests_per_minute=ceilings.requests_per_minute,
            tokens_per_minute=ceilings.tokens_per_minute,
            is_known=True,
        )
        known_accounts.learn(alias, state)
        if provider := known_provider(alias):
            introduce(provider)


def _heard_providers() -> Iterator[tuple[str, Any]]:
    """Those of this process that have answered, with what they said."""
    for alias in provider_aliases():
        told = getattr(known_provider(alias), "told", None)
        if told is not None and told.answers:
            yield alias, told

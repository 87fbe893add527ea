"""What a worker learns of its accounts is written when it changes, and known here at once."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from batches.connections import redis_client
from batches.models import ProviderAccount
from batches.provider_accounts.account_states import known_accounts
from batches.running.learning import USUAL_OUTPUT, Learning, Usage
from providers.base import ChatRequest, Image
from providers.http import Told
from providers.http.ceilings import of_openai
from providers.registry import get_provider
from providers.tokens import TOKENS_PER_IMAGE, tokens_of_question
from tests.engine.scripted import REPEATABLE, Repeatable, entry

pytestmark = pytest.mark.django_db(transaction=True)

ALIAS = REPEATABLE


class Talkative(Repeatable):
    """Names its limits in its answers, as a chat adapter does."""

    told = Told(of_openai)


@pytest.fixture(autouse=True)
def provider(settings: Any) -> Iterator[Any]:
    """The account's adapter in this process."""
    settings.PROVIDERS = {ALIAS: {**entry(Repeatable), "adapter": f"{__name__}.Talkative"}}
    known_accounts.replace({})
    made: Any = get_provider(ALIAS)
    made.told = Told(of_openai)
    yield made
    known_accounts.replace({})


def answered(provider: Any, requests: str | None = None, tokens: str | None = None) -> None:
    named = {"x-ratelimit-limit-requests": requests, "x-ratelimit-limit-tokens": tokens}
    provider.told.hear(200, {name: value for name, value in named.items() if value is not None})


def row() -> tuple[float | None, float | None]:
    account = ProviderAccount.objects.get(pk=ALIAS)
    return account.requests_per_minute, account.tokens_per_minute


def test_the_first_answer_is_written_also_one_that_names_nothing(provider: Any) -> None:
    learning = Learning(Usage())
    learning.learn()
    assert not ProviderAccount.objects.exists()
    answered(provider)
    learning.learn()
    assert row() == (None, None)
    assert ProviderAccount.objects.get().learned_at is not None
    assert known_accounts.state(ALIAS).is_known


def test_what_changes_is_written_and_known_at_once(provider: Any) -> None:
    learning = Learning(Usage())
    for requests, tokens in (("3000", "180000"), ("1500", "180000"), ("3000", None)):
        answered(provider, requests, tokens)
        learning.learn()
        assert row() == (float(requests), float(tokens) if tokens else None)
        assert known_accounts.state(ALIAS).requests_per_minute == float(requests)


def test_the_first_call_under_a_learned_limit_does_not_wait_for_it_to_be_known(provider: Any, settings: Any) -> None:
    settings.REDIS_PREFIX = f"test-{secrets.token_hex(6)}"
    answered(provider, "1")
    Learning(Usage()).learn()
    assert redis_client().exists(f"{settings.REDIS_PREFIX}:limit:requests:{ALIAS}")


def test_answers_that_say_the_same_cost_nothing(provider: Any) -> None:
    learning = Learning(Usage())
    answered(provider, "3000")
    learning.learn()
    for _ in range(3):
        answered(provider, "3000")
        with CaptureQueriesContext(connection) as queries:
            learning.learn()
        assert not queries.captured_queries


def test_what_another_worker_heard_later_is_not_written_over(provider: Any) -> None:
    learning = Learning(Usage())
    answered(provider, "3000")
    learning.learn()
    ProviderAccount.objects.update(requests_per_minute=500.0)
    answered(provider, "3000")
    learning.learn()
    assert row() == (500.0, None)


def test_the_usual_size_of_a_call_is_written_when_it_moved(provider: Any) -> None:
    usage = Usage()
    learning = Learning(usage)
    usage.note(ALIAS, guessed=100, input_tokens=150, output_tokens=50)
    answered(provider, "3000", "60000")
    learning.learn()
    assert ProviderAccount.objects.get().tokens_per_call == 200.0
    usage.note(ALIAS, guessed=100, input_tokens=160, output_tokens=50)
    answered(provider, "3000", "60000")
    learning.learn()
    assert ProviderAccount.objects.get().tokens_per_call == 200.0
    for _ in range(50):
        usage.note(ALIAS, guessed=100, input_tokens=450, output_tokens=50)
    answered(provider, "3000", "60000")
    learning.learn()
    assert (ProviderAccount.objects.get().tokens_per_call or 0) > 400


def test_an_estimate_follows_what_calls_were_billed() -> None:
    usage = Usage()
    question = ChatRequest(
        prompt="x" * 4_000, reference="r", timeout_seconds=1.0, images=(Image(url="https://x.test"),)
    )
    guessed = tokens_of_question(question)
    assert guessed == pytest.approx(1_000 + TOKENS_PER_IMAGE, abs=20)
    assert usage.usual(ALIAS) is None
    assert usage.expected(ALIAS, question) == pytest.approx(guessed + USUAL_OUTPUT, abs=1)
    for _ in range(200):
        usage.note(ALIAS, guessed=guessed, input_tokens=guessed // 2, output_tokens=40)
    assert usage.expected(ALIAS, question) == pytest.approx(guessed / 2 + 40, rel=0.02)
    short = ChatRequest(prompt="x", reference="r", timeout_seconds=1.0, max_output_tokens=5)
    assert usage.expected(ALIAS, short) <= 15

"""A real dispatcher, a real worker, the real sandbox: limits learned on the way, accounts that are shut, fallbacks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from batches.models import Batch, Item, ProviderAccount
from batches.operations.photos.rate_photos import build_photo_batch
from batches.provider_accounts.breakers import close_breaker
from batches.submission import submit_batch
from tests.engine.ledger import assert_counters, assert_no_lease
from tests.engine_fixture import Engine
from tests.sandbox_fixture import SandboxServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("engine")]

DEADLINE_SECONDS = 60.0
OPENAI, ANTHROPIC = "openai-gpt-5", "anthropic-haiku"


def submit(number: int, provider: str = OPENAI, **options: Any) -> Batch:
    owner, _ = User.objects.get_or_create(username="alice")
    images = [{"id": f"i{place}", "url": f"https://x.test/{place}.jpg"} for place in range(number)]
    payload = {"shootId": "s", "images": images, "providerId": provider, **options}
    return submit_batch(owner_id=owner.pk, new=build_photo_batch(owner.pk, payload))


def until(condition: Callable[[], object], engine: Engine, what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what}\n{engine.output()}"
        time.sleep(0.05)


def done(batch: Batch) -> bool:
    batch.refresh_from_db()
    return batch.settled_at is not None


def finish(batch: Batch, engine: Engine) -> None:
    until(lambda: done(batch), engine, "the batch did not end")
    until(lambda: not Item.objects.filter(lease_id__isnull=False).exists(), engine, "a lease is left")
    assert_no_lease()


def answers(sandbox: SandboxServer, provider: str) -> Counter[int]:
    return Counter(entry["status"] for entry in sandbox.log() if entry["provider"] == provider)


@pytest.mark.parametrize("provider", ["openai-gpt-6-luna", "anthropic-sonnet"])  # that the worker has not met yet
def test_a_limit_that_nobody_configured_is_learned_and_kept(
    engine: Engine, sandbox: SandboxServer, provider: str
) -> None:
    sandbox.configure(latency_ms=100, accounts={provider: {"requests_per_minute": 3_000}})
    batch = submit(250, provider)
    began = time.monotonic()
    finish(batch, engine)
    assert_counters(batch, succeeded=250)
    account = ProviderAccount.objects.get(alias=provider)
    assert account.requests_per_minute == 3_000
    assert answers(sandbox, provider)[429] <= 10
    assert time.monotonic() - began > 250 / 50 - 2.5


def test_tokens_are_reserved_before_the_call(engine: Engine, sandbox: SandboxServer) -> None:
    sandbox.configure(latency_ms=50, accounts={OPENAI: {"tokens_per_minute": 300_000}})
    batch = submit(80)
    finish(batch, engine)
    assert_counters(batch, succeeded=80)
    learned = ProviderAccount.objects.filter(alias=OPENAI, tokens_per_minute=300_000, tokens_per_call__gt=0)
    until(learned.exists, engine, "nothing was learned of its tokens")
    assert answers(sandbox, OPENAI)[429] <= 4


def test_a_wrong_key_lets_the_items_wait_until_it_is_mended(engine: Engine, sandbox: SandboxServer) -> None:
    sandbox.configure(accounts={OPENAI: {"refuse": 401}})
    batch = submit(200)
    until(lambda: ProviderAccount.objects.filter(opened_at__isnull=False).exists(), engine, "no breaker opened")
    until(lambda: not Item.objects.filter(status="running").exists(), engine, "items are still under way")
    assert_counters(batch)
    called = len(sandbox.log())
    assert called < 200, "it went on calling"
    assert set(Item.objects.values_list("attempts", flat=True)) == {0}

    sandbox.configure(accounts={})
    assert close_breaker(OPENAI, actor_id=None)
    finish(batch, engine)
    assert_counters(batch, succeeded=200)


def test_one_that_may_switch_is_answered_by_its_fallback(engine: Engine, sandbox: SandboxServer) -> None:
    sandbox.configure(accounts={OPENAI: {"refuse": 402}})
    batch = submit(60, fallbacks=[ANTHROPIC])
    finish(batch, engine)
    assert_counters(batch, succeeded=60)
    assert set(Item.objects.values_list("provider", flat=True)) == {ANTHROPIC}
    assert ProviderAccount.objects.get(alias=OPENAI).opened_for == "budget (credit_balance_exhausted)"
    assert answers(sandbox, ANTHROPIC)[200] == 60


def test_an_account_that_bears_few_at_once_is_asked_for_no_more(engine: Engine, sandbox: SandboxServer) -> None:
    """Gemini names no limits: what it bears shows in what it refuses."""
    gemini = "gemini-flash"
    sandbox.configure(latency_ms=150, accounts={gemini: {"most_in_flight": 10}})
    batch = submit(300, gemini, options={"backoff": 100})
    finish(batch, engine)
    assert_counters(batch, succeeded=300)
    concurrency = ProviderAccount.objects.get(alias=gemini).concurrency
    assert concurrency is not None
    assert concurrency < 60

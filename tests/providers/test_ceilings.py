"""What answers' headers say of an account's limits, provider by provider."""

from __future__ import annotations

from typing import Any

import pytest

from providers.http.ceilings import NO_CEILINGS, SILENT_ANSWERS, Ceilings, Told, seconds_of
from providers.registry import get_provider
from tests.sandbox_fixture import SandboxServer


def openai(requests: str | None, tokens: str | None = None, reset: str | None = None) -> dict[str, str]:
    given = {
        "x-ratelimit-limit-requests": requests,
        "x-ratelimit-limit-tokens": tokens,
        "x-ratelimit-reset-requests": reset,
    }
    return {name: value for name, value in given.items() if value is not None}


@pytest.mark.parametrize(
    ("alias", "headers", "named"),
    [
        ("openai-gpt-5", openai("3000", "180000", "12ms"), Ceilings(3000, 180_000)),
        ("openai-gpt-5", openai("500", None, "1m0s"), Ceilings(500, None)),
        ("openai-gpt-5", openai("200", "40000", "7m12s"), Ceilings(None, 40_000)),  # by the day
        ("openai-gpt-5", openai("0", "-1"), Ceilings(None, None)),  # as some gateways send
        ("openai-gpt-5", openai("many", "nan"), Ceilings(None, None)),
        ("openai-gpt-5", {"content-type": "application/json"}, NO_CEILINGS),
        ("grok", openai("480", "2000000"), Ceilings(480, 2_000_000)),
        ("groq-qwen", openai("14400", "6000", "2m59.56s"), Ceilings(None, 6_000)),
        ("groq-qwen", openai("14400", "6000", "6s"), Ceilings(None, 6_000)),
        (
            "anthropic-haiku",
            {"anthropic-ratelimit-requests-limit": "50", "anthropic-ratelimit-tokens-limit": "40000"},
            Ceilings(50, 40_000),
        ),
        (
            "anthropic-haiku",
            {"anthropic-ratelimit-input-tokens-limit": "30000", "anthropic-ratelimit-output-tokens-limit": "8000"},
            Ceilings(None, 38_000),
        ),
        ("anthropic-haiku", openai("50"), NO_CEILINGS),
        ("gemini-flash", openai("50"), NO_CEILINGS),
    ],
)
def test_each_adapter_reads_its_own(
    sandbox: SandboxServer, settings: Any, alias: str, headers: dict[str, str], named: Ceilings
) -> None:
    settings.SANDBOX_URL = sandbox.url
    provider: Any = get_provider(alias)
    assert provider.ceilings(headers) == named


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("12ms", 0.012), ("1s", 1.0), ("6m0s", 360.0), ("1h2m3.5s", 3723.5), ("1d", 86_400.0), ("", None), ("soon", None)],
)
def test_durations(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


def told() -> Told:
    def read(headers: Any) -> Ceilings:
        limit = headers.get("limit")
        return NO_CEILINGS if limit is None else Ceilings(float(limit))

    return Told(read)


def test_the_newest_answer_counts_whatever_its_status() -> None:
    heard = told()
    heard.hear(200, {"limit": "3000"})
    heard.hear(429, {"limit": "1500"})
    assert (heard.ceilings, heard.answers) == (Ceilings(1500), 2)


@pytest.mark.parametrize(("limit", "answers"), [("3000", SILENT_ANSWERS), ("60", 5), ("1", 1)])
def test_a_limit_that_is_named_no_more_is_forgotten(limit: str, answers: int) -> None:
    heard = told()
    heard.hear(200, {"limit": limit})
    for _ in range(50):
        heard.hear(503, {})  # of a proxy that knows nothing
    for _ in range(answers - 1):
        heard.hear(200, {})
    assert heard.ceilings == Ceilings(float(limit))
    heard.hear(200, {})
    assert heard.ceilings is NO_CEILINGS

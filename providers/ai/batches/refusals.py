"""Why a provider refused a batch as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from providers.base import ErrorCategory, ProviderError
from providers.http import Verdict, classify, refined

if TYPE_CHECKING:
    from providers.ai.batches.adapter import BatchAdapter

# The account has too much waiting there already: later there is room.
NO_ROOM = frozenset({"enqueued_token_limit_exceeded", "rate_limit_exceeded", "slow_down", "token_limit_exceeded"})
MOST_LINES_NAMED = 10
MOST_LINES_KEPT = 1000


def batch_refusal(adapter: BatchAdapter, problems: list[Any]) -> ProviderError:
    """The error for the provider's own list of problems, each with a ``code`` and perhaps a ``line``."""
    known = [problem for problem in problems if isinstance(problem, dict)]
    first = known[0] if known else {}
    verdict = adapter.refine(400, {"error": first}, classify(400))
    if verdict.code in NO_ROOM:
        verdict = refined(verdict, verdict.code, category=ErrorCategory.RATE_LIMIT, permanent=False)
    return refusal(adapter, verdict, list(refused_lines(known)))


def refusal(adapter: BatchAdapter, verdict: Verdict, lines: list[str]) -> ProviderError:
    """The error for a batch of which no line was run."""
    where = ""
    if lines:
        more = len(lines) - MOST_LINES_NAMED
        where = f" in line{'s' if len(lines) > 1 else ''} {', '.join(lines[:MOST_LINES_NAMED])}"
        where += f" and {more} more" if more > 0 else ""
    code = "batch_refused" if verdict.code.startswith("http_") else verdict.code
    return ProviderError(
        f"{adapter.alias} refused the batch: {code}{where}",
        category=verdict.category,
        code=code,
        permanent=verdict.permanent,
        surely_not_sent=True,
        retry_after=verdict.retry_after,
    )


def refused_lines(problems: list[Any]) -> dict[str, str]:
    """The codes of the lines that were named, by their number from 1 on, as text."""
    named: dict[str, str] = {}
    for problem in problems:
        line = problem.get("line") if isinstance(problem, dict) else None
        if isinstance(line, int) and not isinstance(line, bool) and line > 0 and len(named) < MOST_LINES_KEPT:
            named[str(line)] = refined(classify(400), problem.get("code")).code
    return named

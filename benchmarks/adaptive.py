"""A provider that admits so many requests a minute, and changes its mind twice: how much is used, and what is refused.

Nothing is configured: the limit is learned from the headers of the answers, in which the sandbox names it as the real
provider does. The sandbox's journal is the witness.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.photos import images
from benchmarks.stack import Stack

ALIAS = "openai-gpt-5"
CHANGES = ((0.4, 0.5), (0.6, 1.0))
"""After this share of the items the limit becomes this share of what it was at first."""
WINDOW_SECONDS = 5.0
RECOVERED_SHARE = 0.9
"""Of the new limit, used over a window with hardly a refusal: it has recovered."""
GOAL_SHARE, GOAL_REFUSED, GOAL_SECONDS = 0.95, 0.01, 30.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One call as the provider saw it: when, and whether it was within the limit."""

    at: float
    admitted: bool


@dataclass(frozen=True, slots=True)
class Change:
    """From ``at`` on the limit was this, a minute."""

    at: float
    per_minute: float


@dataclass(frozen=True, slots=True)
class Adapted:
    """What was measured. ``recovered``: seconds after each change, None where it never came so far."""

    calls: int
    refused: int
    share: float
    recovered: tuple[float | None, ...]
    seconds: float

    @property
    def refused_share(self) -> float:
        """Of all calls."""
        return self.refused / self.calls


def measure(stack: Stack, *, items: int, per_minute: float, latency_ms: int) -> Adapted:
    """One batch through a limit that is halved and restored on the way."""
    stack.sandbox("PUT", "config", {"latency_ms": latency_ms, "jitter_ms": latency_ms / 10})
    _limit(stack, per_minute)
    stack.sandbox("DELETE", "log")
    job = stack.call(
        "POST", "/api/batch/process", {"shootId": "adaptive", "images": images(items), "providerId": ALIAS}
    )
    changes = [Change(time.time(), per_minute)]
    waiting = list(CHANGES)
    while True:
        status = stack.call("GET", f"/api/batch/status/{job['jobId']}")
        if status.get("completedAt"):
            break
        if waiting and status["processedImages"] >= waiting[0][0] * items:
            changed = per_minute * waiting.pop(0)[1]
            _limit(stack, changed)
            changes.append(Change(time.time(), changed))
            print(f"  {status['processedImages']:,} done, now {changed:,.0f} a minute", flush=True)
        time.sleep(0.2)
    if status["status"] != "completed" or status["succeededImages"] != items:
        raise RuntimeError(f"The batch did not complete: {status}")
    log = [entry for entry in stack.sandbox("GET", "log") if entry["provider"] == ALIAS]
    return evaluate([Seen(entry["at"], entry["status"] == 200) for entry in log], changes)


def _limit(stack: Stack, per_minute: float) -> None:
    stack.sandbox("PUT", "config", {"accounts": {ALIAS: {"requests_per_minute": per_minute}}})


def evaluate(seen: Sequence[Seen], changes: Sequence[Change]) -> Adapted:
    """The figures, from what the provider saw between its first call and the last one that it admitted. Pure."""
    calls = sorted(seen, key=lambda call: call.at)
    admitted = [call.at for call in calls if call.admitted]
    began, ended = calls[0].at, admitted[-1]
    starts = [began, *(change.at for change in changes[1:])]
    ends = [*starts[1:], ended]
    possible = sum(
        max(0.0, end - start) * change.per_minute / 60 for start, end, change in zip(starts, ends, changes, strict=True)
    )
    return Adapted(
        calls=len(calls),
        refused=len(calls) - len(admitted),
        share=len(admitted) / possible,
        recovered=tuple(
            _recovered(calls, start, end, change.per_minute / 60)
            for start, end, change in zip(starts[1:], ends[1:], changes[1:], strict=True)
        ),
        seconds=ended - began,
    )


def _recovered(calls: Sequence[Seen], start: float, end: float, per_second: float) -> float | None:
    """Seconds from ``start`` until the first window in which the new limit is used and hardly exceeded."""
    offset = 0.0
    while start + offset + WINDOW_SECONDS <= end:
        first = start + offset
        window = [call for call in calls if first <= call.at < first + WINDOW_SECONDS]
        admitted = sum(call.admitted for call in window)
        refused = len(window) - admitted
        if admitted >= RECOVERED_SHARE * per_second * WINDOW_SECONDS and refused <= GOAL_REFUSED * len(window):
            return offset
        offset += 0.5
    return None


def report(measured: Adapted, *, items: int, per_minute: float, workers: int) -> str:
    """A Markdown table."""
    slowest = max((seconds if seconds is not None else float("inf") for seconds in measured.recovered), default=0.0)
    verdicts = (
        (f"{measured.share:.1%}", f"at least {GOAL_SHARE:.0%}", measured.share >= GOAL_SHARE),
        (f"{measured.refused_share:.2%}", f"under {GOAL_REFUSED:.0%}", measured.refused_share < GOAL_REFUSED),
        (
            ", ".join("never" if seconds is None else f"{seconds:.1f} s" for seconds in measured.recovered),
            f"under {GOAL_SECONDS:.0f} s",
            slowest < GOAL_SECONDS,
        ),
    )
    names = ("of what the limit admits, used", "of the calls, answered 429", "until it recovered, halved and restored")
    lines = [
        f"### {items:,} photos, {per_minute:,.0f} requests a minute learned from headers, {workers} workers",
        "",
        f"{measured.calls:,} calls in {measured.seconds:,.0f} s; the limit was halved after {CHANGES[0][0]:.0%} of the"
        f" items and restored after {CHANGES[1][0]:.0%}.",
        "",
        "| | measured | goal | |",
        "|---|---|---|---|",
    ]
    for name, (value, goal, met) in zip(names, verdicts, strict=True):
        lines.append(f"| {name} | {value} | {goal} | {'met' if met else '**missed**'} |")
    return "\n".join(lines)

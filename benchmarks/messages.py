"""The SMS priorities' rates with several workers, by the sandbox's clock: each alone, then all at once."""

from __future__ import annotations

import bisect
import time
from dataclasses import dataclass

from benchmarks.stack import Stack

RATES = {"high": 8.0, "normal": 5.0, "low": 2.0}


@dataclass(frozen=True, slots=True)
class Rate:
    """What one lane did: messages a second over the whole span, and its fullest sliding second."""

    lane: str
    limit: float
    messages: int
    per_second: float
    busiest_second: int


def measure(stack: Stack, *, seconds: float, latency_ms: int) -> list[Rate]:
    """Run each priority alone for a while, then the three together."""
    stack.sandbox("PUT", "config", {"latency_ms": latency_ms, "jitter_ms": 0})
    rates = []
    for group in [[name] for name in RATES] + [list(RATES)]:
        stack.sandbox("DELETE", "log")
        prefixes = {name: f"+1{area}456" for name, area in zip(RATES, (202, 212, 303), strict=True)}
        batches = [submit(stack, name, prefixes[name], int(RATES[name] * seconds)) for name in group]
        wait_until_completed(stack, batches)
        log = stack.sandbox("GET", "log")
        for name in group:
            instants = sorted(e["at"] for e in log if (e["to"] or "").startswith(prefixes[name]))
            label = f"{name} alone" if len(group) == 1 else f"{name}, all together"
            rates.append(rate(label, RATES[name], instants))
            print(f"  {label}: {rates[-1].per_second:.3f}/s, busiest second {rates[-1].busiest_second}", flush=True)
    return rates


def submit(stack: Stack, priority: str, prefix: str, number: int) -> str:
    recipients = [{"phoneNumber": f"{prefix}{n:04d}", "variables": {"name": f"N{n}"}} for n in range(number)]
    content = {"text": "Hello {{name}}", "recipients": recipients, "options": {"priority": priority}}
    identifier: str = stack.call("POST", "/api/batch", content)["batchId"]
    return identifier


def wait_until_completed(stack: Stack, batches: list[str]) -> None:
    while any(stack.call("GET", f"/api/batch/{batch}")["status"] != "completed" for batch in batches):
        time.sleep(0.5)


def rate(lane: str, limit: float, instants: list[float]) -> Rate:
    """The lane's figures from the instants at which its calls arrived."""
    busiest = max(bisect.bisect_left(instants, start + 1.0) - index for index, start in enumerate(instants))
    per_second = (len(instants) - 1) / (instants[-1] - instants[0])
    return Rate(lane, limit, len(instants), per_second, busiest)


def report(rates: list[Rate], *, workers: int) -> str:
    """A Markdown table."""
    lines = [
        f"### SMS rates, {workers} workers",
        "",
        "| lane | limit, /s | messages | measured, /s | off by | busiest second |",
        "|---|---|---|---|---|---|",
    ]
    for each in rates:
        off = f"{(each.per_second / each.limit - 1) * 100:+.2f} %"
        counted = f"{each.messages} | {each.per_second:.3f} | {off} | {each.busiest_second}"
        lines.append(f"| {each.lane} | {each.limit:g} | {counted} |")
    return "\n".join(lines)

"""An estimate as people read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console

from batches.commandline.screen import plain

MOST_REFUSED = 20
DECIDED_BY = {
    "rate_limit": "its rate limit",
    "concurrency": "how many calls may run at once",
    "capacity": "the workers that are up",
    "calls": "how long a call takes",
    "provider": "the provider's own batch API",
}


def show_estimate(console: Console, shape: Mapping[str, Any]) -> None:
    """What ``POST /api/batch/estimate`` answers, in lines."""
    for line in _lines(shape):
        console.print(plain(line), soft_wrap=True)
    for one in shape["refused"][:MOST_REFUSED]:
        console.print(plain(f"  refused: {one['path']}: {one['message']}", "yellow"), soft_wrap=True)
    if (more := shape["refusedItems"] - MOST_REFUSED) > 0:
        console.print(plain(f"  ... and {more:,} more that would be refused", "yellow"))


def _lines(shape: Mapping[str, Any]) -> Iterator[str]:
    who = f" by {shape['provider']}" if shape["provider"] else ""
    sandbox = " (no key: the sandbox plays it, and nobody pays)" if shape["usesSandbox"] else ""
    yield f"{shape['operation']}: {shape['items']:,} items, {_span(shape['calls'])} calls{who}{sandbox}"
    if shape["tokens"]:
        yield f"  tokens    {_span(shape['tokens']['input'])} in, {_span(shape['tokens']['output'])} out"
    if shape["segments"] is not None:
        yield f"  segments  {shape['segments']:,}"
    for name, mode in shape["modes"].items():
        if mode is not None:
            chosen = " <- asked for" if name == shape["mode"] and shape["modes"]["economy"] else ""
            yield f"  {name:<9} {_money(mode, shape['currency'])}; {_duration(mode['duration'])}{chosen}"
    if shape["maxCost"] is not None:
        pays = {True: "pays for all of it", False: "may not pay for all of it", None: "cannot be compared"}
        yield f"  budget    {shape['maxCost']} {shape['currency']} {pays[shape['withinMaxCost']]}"
    if shape["refusedItems"]:
        yield f"  refused   {shape['refusedItems']:,} items, which are not counted above"


def _span(span: Mapping[str, int]) -> str:
    low, high = span["low"], span["high"]
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _money(mode: Mapping[str, Any], currency: str | None) -> str:
    if mode["cost"] is None:
        return "no known price"
    return f"{_from_to(mode['cost'])} {currency}, charged {_from_to(mode['charge'])}"


def _from_to(span: Mapping[str, str]) -> str:
    return span["low"] if span["low"] == span["high"] else f"{span['low']} to {span['high']}"


def _duration(duration: Mapping[str, Any]) -> str:
    low, high = (_time(duration[end]) for end in ("low", "high"))
    return f"{low if low == high else f'{low} to {high}'}, by {DECIDED_BY[duration['decidedBy']]}"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3600:.0f} h"

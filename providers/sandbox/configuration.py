"""What the sandbox does to its callers, and the checks that keep a wrong setting out."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from providers.sandbox import quotas
from providers.sandbox.batches.settings import BatchSettings, problem_of
from providers.sandbox.receipts import ReceiptSettings
from providers.sandbox.receipts import problem_of as problem_of_receipts
from providers.sandbox.shares import draw_of, is_number

SILENT_FAULTS = frozenset({"timeout", "disconnect"})
FAULTS = SILENT_FAULTS | {"garbage"}
PERMANENT = "permanent"


class InvalidConfiguration(Exception):
    """The settings are refused as a whole; ``problems`` says why, one entry per setting."""

    def __init__(self, problems: list[dict[str, str]]) -> None:
        super().__init__("; ".join(f"{problem['path']}: {problem['message']}" for problem in problems))
        self.problems = problems


class Configuration:
    """The current settings. :meth:`change` takes all of the given values or none."""

    def __init__(self, *, latency_ms: float = 0, jitter_ms: float = 0) -> None:
        self.latency_ms = latency_ms
        self.jitter_ms = jitter_ms
        self.requests_per_minute: float | None = None
        self.error_rates: dict[str, float] = {}
        self.permanent_error_rate: float = 0
        self.seed: int | None = None
        self.accounts: dict[str, dict[str, Any]] = {}
        self.batches = BatchSettings()
        self.receipts = ReceiptSettings()

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "batches": self.batches.as_dict(), "receipts": self.receipts.as_dict()}

    def change(self, wanted: Any) -> None:
        """Take over new values; raises :class:`InvalidConfiguration` and changes nothing if one is wrong."""
        if not isinstance(wanted, Mapping):
            raise InvalidConfiguration([{"path": "", "message": "must be a JSON object"}])
        checks = {
            "latency_ms": _milliseconds,
            "jitter_ms": _milliseconds,
            "requests_per_minute": _requests_per_minute,
            "error_rates": _error_rates,
            "permanent_error_rate": _rate,
            "seed": _seed,
            "accounts": quotas.problem_of,
            "batches": problem_of,
            "receipts": problem_of_receipts,
        }
        problems = []
        for name, value in wanted.items():
            check = checks.get(name)
            problem = check(value) if check else f"unknown setting; known are {', '.join(checks)}"
            if problem:
                problems.append({"path": name, "message": problem})
        if problems:
            raise InvalidConfiguration(problems)
        if wanted.get("seed") is not None:
            random.seed(wanted["seed"])  # every draw of this process follows from it, and from the order of the calls
        self.batches.change(wanted.get("batches", {}))
        self.receipts.change(wanted.get("receipts", {}))
        vars(self).update({name: value for name, value in wanted.items() if name not in {"batches", "receipts"}})

    def account(self, alias: str) -> quotas.Account:
        """The limits of an account: its own, or what is set for all."""
        own = self.accounts.get(alias, {})
        return quotas.Account(**{"requests_per_minute": self.requests_per_minute, **own})

    def draw_fault(self) -> str | None:
        """What goes wrong with this call: a fault, an HTTP status as text, ``permanent``, or nothing."""
        if self.permanent_error_rate and random.random() < self.permanent_error_rate:  # noqa: S311
            return PERMANENT
        return draw_of(self.error_rates)

    def draw_latency(self) -> float:
        """Seconds that this call takes."""
        if self.jitter_ms:
            return max(0.0, self.latency_ms + random.uniform(-self.jitter_ms, self.jitter_ms)) / 1000  # noqa: S311
        return self.latency_ms / 1000


def _milliseconds(value: Any) -> str | None:
    return None if is_number(value) and value >= 0 else "must be a number of at least 0"


def _requests_per_minute(value: Any) -> str | None:
    return None if value is None or (is_number(value) and value > 0) else "must be a number above 0, or null"


def _rate(value: Any) -> str | None:
    return None if is_number(value) and 0 <= value <= 1 else "must be a number from 0 to 1"


def _seed(value: Any) -> str | None:
    return (
        None if value is None or (isinstance(value, int) and not isinstance(value, bool)) else "must be a whole number"
    )


def _error_rates(value: Any) -> str | None:
    if not isinstance(value, Mapping):
        return "must be an object of fault: rate"
    for fault, rate in value.items():
        if fault not in FAULTS and not (fault.isascii() and fault.isdigit() and 300 <= int(fault) <= 599):
            return f"unknown fault {fault!r}; known are HTTP statuses from 300 to 599, {', '.join(sorted(FAULTS))}"
        if problem := _rate(rate):
            return f"{fault}: {problem}"
    return "the rates must not sum to more than 1" if sum(value.values()) > 1 + 1e-9 else None

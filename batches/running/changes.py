"""From an outcome to what is written of the item: pure, so the rules are a table of tests."""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson

from batches.backoff import RetryPolicy, retry_delay
from batches.outcomes import Fault, Outcome, Rejected, Retry, Snooze, Succeeded, Unknown
from batches.running.leases import LeasedItem
from batches.states import ItemStatus
from providers.base import ErrorCategory
from providers.prices import cost_at

MESSAGE_LIMIT = 2_000
CLOSED_AT_MOST_SECONDS = 3600.0
"""However long a provider asks everybody to wait: one odd header must not end an account for ever."""
SNOOZED_AT_MOST_SECONDS = 24 * 3600.0
"""An item that waits is looked at again once a day at least."""

MOST_USED = 2**31
"""Of one unit by one attempt: an odd answer must not end the sum of all."""
_UNIT = re.compile(r"[a-z_]{1,32}")

UNSTORABLE = Fault(ErrorCategory.INTERNAL, "unstorable_result", "The result could not be stored by the database.")
NO_OUTCOME = Fault(ErrorCategory.INTERNAL, "operation_failed", "The operation returned no outcome.")


@dataclass(frozen=True, slots=True)
class Change:
    """One item's row after an attempt, and what the batch's figures learn of it.

    ``closes_account_seconds``: how long the provider asked everybody to wait. ``opens_account``: for what the account's
    breaker opens, see :mod:`batches.running.account_health`. ``used``: what was billed, by unit;
    ``simulated``: by the sandbox, so nobody pays it. ``cost``: of what was used, at the prices of this moment; None
    where nothing was, or has no price. ``waited_ms``: for limits, until the call left or, where it did not, until it
    may be tried again. ``queued_ms``: from when the item was due until a worker began with it; None where none did.
    ``detour``: the fallback that it goes to next, empty where it goes with its batch again, None where that stays as
    it is; ``refused_by``: the providers that will never take it.
    """

    item_id: int
    batch_id: int
    lease_id: int
    provider: str
    attempt_id: uuid.UUID | None
    status: str
    delay_seconds: float = 0.0
    attempts: int = 0
    failures: int = 0
    result: str | None = None
    quality: float | None = None
    provider_reference: str = ""
    duration_ms: int | None = None
    fault: Fault | None = None
    idempotent: bool = True
    closes_account_seconds: float = 0.0
    opens_account: str = ""
    used: Mapping[str, int] = field(default_factory=dict)
    simulated: bool = False
    cost: Decimal | None = None
    waited_ms: int = 0
    queued_ms: int | None = None
    detour: str | None = None
    refused_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """The item an outcome belongs to, and under which lease and policy it ran."""

    item: LeasedItem
    batch_id: int
    lease_id: int
    provider: str
    idempotent: bool
    policy: RetryPolicy
    simulated: bool = False


def change_of(
    outcome: Outcome,
    held: Held,
    *,
    attempt_id: uuid.UUID | None = None,
    duration_seconds: float = 0.0,
    elapsed_seconds: float = 0.0,
    waited_seconds: float = 0.0,
    queued_seconds: float | None = None,
    used: Mapping[str, int] | None = None,
) -> Change:
    """What to write. ``elapsed_seconds``: from the item's first attempt until now; ``waited_seconds``: for limits;
    ``queued_seconds``: until a worker began with it.
    """
    billed = countable(used) if used else {}
    common: dict[str, Any] = {
        "item_id": held.item.id,
        "batch_id": held.batch_id,
        "lease_id": held.lease_id,
        "provider": held.provider,
        "attempt_id": attempt_id,
        "idempotent": held.idempotent,
        "used": billed,
        "simulated": held.simulated,
        "cost": cost_at(held.provider, billed),
        "waited_ms": round(waited_seconds * 1000),
        "queued_ms": None if queued_seconds is None else max(0, round(queued_seconds * 1000)),
    }
    if isinstance(outcome, Snooze):
        if not math.isfinite(outcome.delay_seconds):
            raise ValueError("A snooze ends some day: Postgres would store the infinite, and nobody wake the item.")
        delay = min(outcome.delay_seconds, SNOOZED_AT_MOST_SECONDS)
        if outcome.for_limits:
            common["waited_ms"] += round(delay * 1000)
        return Change(**common, status=ItemStatus.PENDING, delay_seconds=delay)
    common |= {"attempts": 1, "duration_ms": round(duration_seconds * 1000)}
    match outcome:
        case Succeeded():
            return _success(outcome, held, common)
        case Rejected(fault, attempted=False):
            nothing = {"attempt_id": None, "attempts": 0, "duration_ms": None}
            return Change(**common | nothing, status=ItemStatus.FAILED, fault=fault)
        case Rejected(fault):
            return Change(**common, status=ItemStatus.FAILED, failures=1, fault=fault)
        case Unknown(fault):
            return Change(**common, status=ItemStatus.UNKNOWN, failures=1, fault=fault)
        case Retry(fault):
            return _retry(fault, held, common, elapsed_seconds)
        case _:  # an operation of somebody else's may return anything
            return Change(**common, status=status_of_bug(held.idempotent), failures=1, fault=NO_OUTCOME)


def status_of_bug(idempotent: bool) -> ItemStatus:
    """What an item becomes when our side failed around its call, which may have reached a person."""
    return ItemStatus.FAILED if idempotent else ItemStatus.UNKNOWN


def _success(outcome: Succeeded, held: Held, common: dict[str, Any]) -> Change:
    try:
        return Change(
            **common,
            status=ItemStatus.SUCCEEDED,
            result=encode(outcome.result),
            quality=_share(outcome.quality),
            provider_reference=clean(outcome.provider_reference)[:100],
        )
    except (TypeError, ValueError, AttributeError, RecursionError):
        return Change(**common, status=status_of_bug(held.idempotent), failures=1, fault=UNSTORABLE)


def _retry(fault: Fault, held: Held, common: dict[str, Any], elapsed_seconds: float) -> Change:
    """A 429 spends only the time window; every other fault the retry count as well."""
    limited = fault.category == ErrorCategory.RATE_LIMIT
    failures = 0 if limited else 1
    delay = retry_delay(
        fault,
        held.policy,
        attempts=held.item.attempts + 1,
        failures=held.item.failures + failures,
        elapsed_seconds=elapsed_seconds,
    )
    common |= {"failures": failures, "fault": fault}
    if limited:
        common["closes_account_seconds"] = closed_seconds(fault)
    if delay is None:
        return Change(**common, status=ItemStatus.FAILED)
    if limited:
        common["waited_ms"] += round(delay * 1000)
    return Change(**common, status=ItemStatus.PENDING, delay_seconds=delay)


def countable(used: Mapping[str, int]) -> dict[str, int]:
    """What can be added up of what an operation says was used: whole numbers above zero under plain names."""
    return {
        unit: min(number, MOST_USED)
        for unit, number in used.items()
        if isinstance(unit, str) and _UNIT.fullmatch(unit) and type(number) is int and number > 0
    }


def closed_seconds(fault: Fault) -> float:
    """How long a 429 closes its account for everybody: what the provider asked for, within reason."""
    asked = fault.retry_after
    return min(asked, CLOSED_AT_MOST_SECONDS) if asked is not None and asked > 0 else 0.0


_STRICT = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""A NUL as JSON spells it; after an odd number of backslashes it is not one, but a text about one."""


def encode(result: Mapping[str, Any]) -> str:
    """JSON that Postgres stores: no NUL, no lone surrogate, no NaN. Raises for what is no JSON document."""
    if not isinstance(result, Mapping):
        raise TypeError("A result is a mapping.")
    try:
        document = orjson.dumps(result, option=_STRICT).decode()
    except TypeError:  # what it will not write, the standard library may: large numbers, odd keys, deep documents
        document = _encode_oddity(result)
    if "\\u0000" in document:
        document = _ESCAPED_NUL.sub(r"\1", document)
    return clean(document)


def _encode_oddity(result: Mapping[str, Any]) -> str:
    try:
        return json.dumps(result, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_without_nan(result), ensure_ascii=False)


def _share(quality: float | None) -> float | None:
    """A quality in [0, 1]; None for what is no number."""
    if not isinstance(quality, int | float) or not math.isfinite(quality):
        return None
    return min(1.0, max(0.0, float(quality)))


def clean(text: str) -> str:
    """Text that Postgres stores: NUL dropped, lone surrogates replaced."""
    text = text.replace("\x00", "")
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(inner) for inner in value]
    return value

"""From an outcome to what is written of the item."""

from __future__ import annotations

import json
import math
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batches.backoff import RetryPolicy
from batches.outcomes import (
    Fault,
    Outcome,
    Rejected,
    Retry,
    Snooze,
    Succeeded,
    Unknown,
    outcome_of_error,
)
from batches.running.changes import Change, change_of, clean, encode
from batches.running.leases import LeasedItem
from providers.base import ErrorCategory, ProviderError
from tests.engine.conftest import quick
from tests.engine.ledger import FAULT, PATIENT, held

ATTEMPT = uuid.uuid4()
LIMITED = Fault(ErrorCategory.RATE_LIMIT, "too_many", "Too many requests.", retry_after=30.0)


def written(outcome: Outcome, *, policy: RetryPolicy = PATIENT, item: LeasedItem | None = None, **facts: Any) -> Change:
    facts = {"attempt_id": ATTEMPT, "duration_seconds": 1.5, **facts}
    return change_of(outcome, held(item, policy=policy), **facts)


def tried(attempts: int, failures: int) -> LeasedItem:
    return LeasedItem(1, "key", {}, attempts, failures, 0.0)


def test_a_success_is_written_with_all_that_came_of_it() -> None:
    change = written(Succeeded({"stars": 4}, quality=0.8, provider_reference="SM1"))
    assert (change.status, change.result, change.quality) == ("succeeded", '{"stars":4}', 0.8)
    assert (change.attempts, change.failures, change.duration_ms) == (1, 0, 1500)
    assert (change.attempt_id, change.provider_reference, change.fault) == (ATTEMPT, "SM1", None)


@pytest.mark.parametrize(("outcome", "status"), [(Rejected(FAULT), "failed"), (Unknown(FAULT), "unknown")])
def test_a_final_fault_spends_an_attempt(outcome: Outcome, status: str) -> None:
    change = written(outcome)
    assert (change.status, change.attempts, change.failures, change.fault) == (status, 1, 1, FAULT)


def test_what_nobody_was_asked_for_spends_nothing() -> None:
    change = written(Rejected(FAULT, attempted=False))
    assert (change.status, change.fault) == ("failed", FAULT)
    assert (change.attempts, change.failures, change.duration_ms, change.attempt_id) == (0, 0, None, None)


def test_a_snooze_spends_nothing() -> None:
    change = written(Snooze(2.5))
    assert (change.status, change.delay_seconds) == ("pending", 2.5)
    assert (change.attempts, change.failures, change.duration_ms, change.fault) == (0, 0, None, None)


def test_a_retry_waits_on_its_ladder_and_spends_both_counts() -> None:
    change = written(Retry(FAULT), item=tried(3, 3))
    assert (change.status, change.attempts, change.failures) == ("pending", 1, 1)
    assert 8.0 <= change.delay_seconds <= 16.0


def test_a_429_spends_no_retry_and_closes_the_account() -> None:
    change = written(Retry(LIMITED), policy=RetryPolicy(0, 21_600, None))
    assert (change.status, change.attempts, change.failures) == ("pending", 1, 0)
    assert change.closes_account_seconds == change.delay_seconds == 30.0


def test_another_fault_with_retry_after_closes_nothing() -> None:
    assert written(Retry(Fault(ErrorCategory.SERVER, "x", "x", retry_after=30.0))).closes_account_seconds == 0.0


def test_a_retry_that_is_not_allowed_any_more_is_a_failure() -> None:
    change = written(Retry(FAULT), policy=RetryPolicy(3, 21_600, None), item=tried(3, 3))
    assert (change.status, change.failures, change.fault) == ("failed", 1, FAULT)


def test_the_window_counts_from_the_first_attempt() -> None:
    assert written(Retry(FAULT), elapsed_seconds=21_599.0).status == "failed"


@pytest.mark.parametrize("seconds", [1e9, 1e15, 1e300, float("inf"), float("nan")])
def test_a_provider_cannot_close_its_account_for_ever(seconds: float) -> None:
    change = written(Retry(Fault(ErrorCategory.RATE_LIMIT, "x", "x", retry_after=seconds)))
    assert 0.0 <= change.closes_account_seconds <= 3600
    assert math.isfinite(change.delay_seconds)


@pytest.mark.parametrize(
    ("quality", "stored"),
    [
        (None, None),
        (0.5, 0.5),
        (1, 1.0),
        (float("nan"), None),
        (float("inf"), None),
        (1.7, 1.0),
        (-0.2, 0.0),
        ("x", None),
    ],
)
def test_quality_is_a_share_or_nothing(quality: Any, stored: float | None) -> None:
    assert written(Succeeded({}, quality=quality)).quality == stored


@pytest.mark.parametrize(
    ("result", "stored"),
    [
        ({"a": float("nan"), "b": [float("inf"), 1.5]}, {"a": None, "b": [None, 1.5]}),
        ({"a": "x\x00y"}, {"a": "xy"}),
        ({"a\x00": 1}, {"a": 1}),
        ({"a": "x\ud800y"}, {"a": "x?y"}),
        ({"a": "\\u0000"}, {"a": "\\u0000"}),
        ({"a": "\\\x00"}, {"a": "\\"}),
        ({"a": "C:\\u0000\x00"}, {"a": "C:\\u0000"}),
        ({"a": "ä\U0001f600"}, {"a": "ä\U0001f600"}),
        ({"a": (1, 2)}, {"a": [1, 2]}),
    ],
)
def test_a_result_is_stored_as_json_that_postgres_takes(result: dict[str, Any], stored: dict[str, Any]) -> None:
    assert json.loads(encode(result)) == stored


@quick
@given(st.dictionaries(st.text(), st.floats() | st.text() | st.lists(st.text(), max_size=3), max_size=3))
def test_any_document_is_encoded_without_what_postgres_refuses(result: dict[str, Any]) -> None:
    document = encode(result)
    document.encode("utf-8")
    decoded = json.loads(document, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert "\x00" not in json.dumps(decoded, ensure_ascii=False)
    assert not contains_nul(decoded)


def contains_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return any(contains_nul(key) or contains_nul(inner) for key, inner in value.items())
    if isinstance(value, list):
        return any(contains_nul(inner) for inner in value)
    return isinstance(value, str) and "\x00" in value


def deeply_nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "result",
    [
        {"at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"price": Decimal(1)},
        {"bytes": b"x"},
        {"set": {1}},
        {("tuple", "key"): 1},
        {"number": 10**5000},
        {"nan": float("nan"), "set": {1}},
        deeply_nested(100_000),
        ["no", "mapping"],
        None,
    ],
    ids=["datetime", "decimal", "bytes", "set", "tuple-key", "huge-number", "nan-and-set", "deep", "list", "none"],
)
def test_a_result_that_is_no_json_document_fails_its_item_and_nothing_else(result: Any) -> None:
    change = written(Succeeded(result))
    assert (change.status, change.attempts, change.result) == ("failed", 1, None)
    assert change.fault is not None
    assert change.fault.code == "unstorable_result"


@pytest.mark.parametrize("outcome", [None, "done", {"stars": 5}, 3])
def test_an_operation_that_returns_no_outcome_fails_its_item(outcome: Any) -> None:
    change = written(outcome)
    assert (change.status, change.attempts) == ("failed", 1)
    assert change.fault is not None
    assert change.fault.category == ErrorCategory.INTERNAL


def test_an_operation_without_outcome_may_have_sent_its_message() -> None:
    change = change_of(None, held(idempotent=False), attempt_id=ATTEMPT)  # type: ignore[arg-type]
    assert change.status == "unknown"


def test_a_reference_is_cut_to_its_column() -> None:
    assert len(written(Succeeded({}, provider_reference="x" * 500)).provider_reference) == 100


@pytest.mark.parametrize(("text", "stored"), [("a\x00b", "ab"), ("\udfff", "?"), ("é", "é"), ("", "")])
def test_text_is_cleaned(text: str, stored: str) -> None:
    assert clean(text) == stored


def error(*, permanent: bool, surely_not_sent: bool) -> ProviderError:
    return ProviderError(
        "x", category=ErrorCategory.SERVER, code="x", permanent=permanent, surely_not_sent=surely_not_sent
    )


@pytest.mark.parametrize(
    ("permanent", "surely_not_sent", "idempotent", "kind"),
    [
        (True, True, True, Rejected),
        (True, False, True, Rejected),
        (True, False, False, Unknown),
        (False, True, False, Retry),
        (False, False, True, Retry),
        (False, False, False, Unknown),
    ],
)
def test_a_failed_call_is_repeated_only_where_that_is_harmless(
    permanent: bool, surely_not_sent: bool, idempotent: bool, kind: type[Outcome]
) -> None:
    outcome = outcome_of_error(error(permanent=permanent, surely_not_sent=surely_not_sent), idempotent=idempotent)
    assert isinstance(outcome, kind)

"""Memory operations: document 003's call, and lists of any length."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchsite.client import OperationsInterrupted, OperationsResult
from batchsite.client.memory import MOST_BYTES, run_operations
from tests.client.conftest import Serve
from tests.client.scripted import Asked, Reply

SUMMARY = {"create": "creates", "read": "reads", "update": "updates", "delete": "deletes", "search": "searches"}


def executed(operations: list[Any], *, continue_on_error: bool, batch_id: str = "batch_1") -> dict[str, Any]:
    """What the server makes of them: an operation with the id "bad" fails."""
    entries: list[dict[str, Any]] = []
    for index, operation in enumerate(operations):
        status = "failed" if operation.get("id") == "bad" else "success"
        if not continue_on_error and any(entry["status"] == "failed" for entry in entries):
            status = "skipped"
        entry: dict[str, Any] = {"index": index, "type": operation["type"], "status": status}
        if status == "success":
            entry["result"] = {"id": operation.get("id")}
        if status == "failed":
            entry["error"] = {"code": "NOT_FOUND", "message": "Memory not found"}
        entries.append(entry)
    statuses = [entry["status"] for entry in entries]
    done = [entry["type"] for entry in entries if entry["status"] == "success"]
    return {
        "batch_id": batch_id,
        "processed": statuses.count("success"),
        "failed": statuses.count("failed"),
        "total": len(operations),
        "execution_time": 10,
        "operations": entries,
        "summary": {name: done.count(kind) for kind, name in SUMMARY.items()},
    }


def answer(asked: Asked) -> Reply:
    body = asked.parsed
    data = executed(
        body["operations"],
        continue_on_error=body["options"]["continue_on_error"],
        batch_id=asked.headers.get("x-batch-id", "batch_1"),
    )
    return Reply(207 if data["failed"] else 200, {"success": True, "data": data})


operations = st.lists(
    st.fixed_dictionaries({"type": st.sampled_from(list(SUMMARY)), "id": st.sampled_from(["good"] * 9 + ["bad"])}),
    max_size=350,
)


@given(operations, st.booleans())
def test_many_parts_read_as_one(listed: list[dict[str, str]], continue_on_error: bool) -> None:
    sizes = []

    def send(part: list[Any], number: int) -> dict[str, Any]:
        sizes.append(len(part))
        return executed(part, continue_on_error=continue_on_error)

    result = run_operations(listed, send, continue_on_error=continue_on_error)
    whole = executed(listed, continue_on_error=continue_on_error)
    assert [(one.index, one.type, one.status) for one in result.operations] == [
        (one["index"], one["type"], one["status"]) for one in whole["operations"]
    ]
    assert (result.processed, result.failed, result.total) == (whole["processed"], whole["failed"], whole["total"])
    assert result.summary == whole["summary"]
    assert result.skipped == sum(one.status == "skipped" for one in result.operations)
    assert max(sizes) <= 100


def test_the_documents_call(serve: Serve) -> None:
    client, server = serve(answer)
    batch_result = client.batch_operations(
        [
            {"type": "create", "data": {"content": "User profile data", "tags": ["user", "profile"]}},
            {"type": "create", "data": {"content": "Product catalog entry"}},
            {"type": "search", "query": "user authentication", "options": {"limit": 5}},
        ],
        continue_on_error=True,
        max_retries=3,
        timeout=30000,
    )
    assert f"Processed {batch_result.processed} operations" == "Processed 3 operations"
    assert (batch_result.failed, batch_result.batch_id, batch_result.execution_time) == (0, "batch_1", 10)
    [asked] = server.asked
    assert asked.path == "/api/v1/batch"
    assert asked.parsed["options"] == {
        "continue_on_error": True,
        "max_retries": 3,
        "timeout": 30000,
        "parallel": True,
        "validate_only": False,
    }
    assert asked.headers["idempotency-key"]


def test_250_operations_are_three_requests_that_wait_for_the_limit(serve: Serve, waits: list[float]) -> None:
    busy = Reply(429, {"success": False, "error": {"code": "RATE_LIMITED", "message": "x"}}, {"Retry-After": "6"})
    client, server = serve(answer, busy, answer)
    result = client.batch_operations([{"type": "read", "id": f"m{n}"} for n in range(250)], batch_id="migration")
    assert [one.result["id"] for one in result.operations] == [f"m{n}" for n in range(250)]
    assert [asked.headers["x-batch-id"] for asked in server.asked] == ["migration"] + ["migration-2"] * 2 + [
        "migration-3"
    ]
    assert result.batch_ids == ["migration", "migration-2", "migration-3"]
    assert waits == [6.0]


def test_requests_stay_below_the_servers_size(serve: Serve) -> None:
    client, server = serve(answer)
    listed = [{"type": "create", "data": {"content": "ä" * 1_500_000}} for _ in range(9)]
    assert client.batch_operations(listed).processed == 9
    assert all(len(asked.parsed["operations"]) == 3 for asked in server.asked)
    assert MOST_BYTES < 10_000_000


def test_what_was_done_is_known_when_a_later_part_cannot_be_sent(serve: Serve) -> None:
    client, _ = serve(answer, Reply(401, {"success": False, "error": "The key was revoked."}))
    with pytest.raises(OperationsInterrupted, match="from index 100 on") as raised:
        client.batch_operations([{"type": "read", "id": f"m{n}"} for n in range(230)])
    result: OperationsResult = raised.value.result
    assert (result.processed, result.skipped, len(result.operations)) == (100, 130, 230)
    assert raised.value.__cause__ is not None


def test_failures_are_easy_to_find(serve: Serve) -> None:
    client, _ = serve(answer)
    listed = [{"type": "read", "id": "bad" if n == 140 else "good"} for n in range(200)]
    [failure] = client.batch_operations(listed, continue_on_error=True).failures
    assert (failure.index, failure.is_success, failure.error) == (
        140,
        False,
        {"code": "NOT_FOUND", "message": "Memory not found"},
    )

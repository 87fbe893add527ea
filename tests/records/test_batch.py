"""``POST /api/v1/batch`` beyond its examples: order, failures, options, limits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from batches.models import AuditEntry, IdempotentReply
from records.models import Record, Topic
from tests.records.conftest import (
    JSON,
    Batch,
    Remember,
    client_of,
    create,
    delete,
    errors,
    read,
    results,
    search,
    statuses,
    update,
)


def test_each_operation_sees_what_those_before_it_did(batch: Batch, remember: Remember) -> None:
    memory = remember("one")
    response = batch(
        read(memory),
        update(memory, content="two"),
        read(memory),
        search("two"),
        update(memory, content="three", tags=["x"]),
        update(memory, metadata={"a": 1}),
        read(memory),
        delete(memory),
        read(memory),
        search("three"),
        continue_on_error=True,
    )
    assert statuses(response) == ["success"] * 8 + ["failed", "success"]
    found = results(response)
    assert [found[index]["content"] for index in (0, 2, 6)] == ["one", "two", "three"]
    assert (found[6]["tags"], found[6]["metadata"], found[6]["access_count"]) == (["x"], {"a": 1}, 3)
    assert (found[3]["total"], found[9]["total"]) == (1, 0)
    assert errors(response)[8] == "NOT_FOUND"
    assert not Record.objects.exists()


def test_one_by_one_it_is_the_same(batch: Batch, remember: Remember) -> None:
    def outcome(**options: Any) -> list[Any]:
        one, other = remember("one apple"), remember("one pear")
        response = batch(
            update(one, content="two apples"),
            delete(other),
            update(other, content="never"),
            create("three apples"),
            search("apples"),
            delete(one),
            read(one),
            **options,
        )
        shapes = json.loads(
            json.dumps(
                [statuses(response), errors(response), [len((r or {}).get("results", [])) for r in results(response)]]
            )
        )
        left = sorted(Record.objects.values_list("content", flat=True))
        Record.objects.all().delete()
        return [shapes, left, response.status_code]

    for continue_on_error in (True, False):
        set_wise = outcome(continue_on_error=continue_on_error, parallel=True)
        assert set_wise == outcome(continue_on_error=continue_on_error, parallel=False)


def test_the_first_failure_stops_the_rest(batch: Batch, remember: Remember) -> None:
    memory = remember("kept")
    response = batch(create("done"), read("mem_nothing"), create("never"), delete(memory), search("done"))
    assert response.status_code == 207
    assert statuses(response) == ["success", "failed", "skipped", "skipped", "skipped"]
    assert errors(response) == [None, "NOT_FOUND", "SKIPPED", "SKIPPED", "SKIPPED"]
    data = response.json()["data"]
    assert (data["processed"], data["failed"], data["skipped"], data["total"]) == (1, 1, 3, 5)
    assert data["operations"][3]["error"]["details"] == {"failed_index": 1}
    assert sorted(Record.objects.values_list("content", flat=True)) == ["done", "kept"]


def test_bad_operations_fail_by_themselves(batch: Batch) -> None:
    response = batch(
        "nothing", {"type": "destroy"}, {"type": ["read"]}, create("good"), {"type": "read"}, continue_on_error=True
    )
    assert statuses(response) == ["failed", "failed", "failed", "success", "failed"]
    details = [one.get("error", {}).get("details") for one in response.json()["data"]["operations"]]
    assert details[1] == {"field": "type", "reason": "invalid_operation_type"}
    assert details[4] == {"field": "id"}
    assert Record.objects.count() == 1


BAD_DATA: list[tuple[dict[str, Any], str, str]] = [
    ({}, "content", "required"),
    ({"content": ""}, "content", "required"),
    ({"content": None}, "content", "required"),
    ({"content": 1}, "content", "invalid_type"),
    ({"content": "x" * 100_001}, "content", "too_long"),
    ({"content": "x", "colour": 1}, "colour", "unknown_field"),
    ({"content": "x", "tags": "a"}, "tags", "invalid_type"),
    ({"content": "x", "tags": None}, "tags", "invalid_type"),
    ({"content": "x", "tags": ["a", 1]}, "tags.1", "invalid_type"),
    ({"content": "x", "tags": ["a"] * 101}, "tags", "too_many"),
    ({"content": "x", "tags": ["a" * 101]}, "tags.0", "too_long"),
    ({"content": "x", "metadata": []}, "metadata", "invalid_type"),
    ({"content": "x", "metadata": None}, "metadata", "invalid_type"),
    ({"content": "x", "title": "x" * 501}, "title", "too_long"),
    ({"content": "x", "title": None}, "title", "invalid_type"),
    ({"content": "x", "memory_type": "fact"}, "memory_type", "invalid_choice"),
    ({"content": "x", "status": 1}, "status", "invalid_choice"),
    ({"content": "x", "topic_id": "x"}, "topic_id", "invalid_uuid"),
    ({"content": "x", "topic_id": "00000000-0000-0000-0000-000000000000"}, "topic_id", "unknown_topic"),
]


@pytest.mark.parametrize(("data", "path", "reason"), BAD_DATA)
def test_bad_data_is_named_and_not_stored(batch: Batch, data: dict[str, Any], path: str, reason: str) -> None:
    response = batch({"type": "create", "data": data})
    assert response.status_code == 207
    error = response.json()["data"]["operations"][0]["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert error["details"]["field"] == path
    assert error["details"].get("reason", "required") == reason
    assert error["message"]
    assert not Record.objects.exists()


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ({"type": "create"}, "data"),
        ({"type": "create", "data": []}, "data"),
        ({"type": "create", "data": {"content": "x"}, "id": "y"}, "id"),
        ({"type": "read", "id": 1}, "id"),
        ({"type": "read", "id": "x" * 65}, "id"),
        ({"type": "update", "id": "x"}, "data"),
        ({"type": "update", "id": "x", "data": {}}, "data"),
        ({"type": "update", "data": {"content": "x"}}, "id"),
        ({"type": "search"}, "query"),
        ({"type": "search", "query": " "}, "query"),
        ({"type": "search", "query": "x" * 1001}, "query"),
        ({"type": "search", "query": "x", "options": []}, "options"),
        ({"type": "search", "query": "x", "options": {"limit": 0}}, "options.limit"),
        ({"type": "search", "query": "x", "options": {"limit": 101}}, "options.limit"),
        ({"type": "search", "query": "x", "options": {"limit": True}}, "options.limit"),
        ({"type": "search", "query": "x", "options": {"threshold": 2}}, "options.threshold"),
        ({"type": "search", "query": "x", "options": {"ofset": 2}}, "options.ofset"),
        ({"type": "search", "query": "x", "options": {"filters": []}}, "options.filters"),
        ({"type": "search", "query": "x", "options": {"filters": {"status": 1}}}, "options.filters.status"),
        ({"type": "search", "query": "x", "options": {"filters": {"a": [[1]]}}}, "options.filters.a.0"),
    ],
)
def test_bad_operations_are_named(batch: Batch, operation: dict[str, Any], path: str) -> None:
    error = batch(operation).json()["data"]["operations"][0]["error"]
    assert (error["code"], error["details"]["field"]) == ("VALIDATION_ERROR", path)


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ('{"operations": []}', "operations", "operations_empty"),
        ('{"operations": [{}], "options": []}', "options", "invalid_type"),
        ('{"operations": [{}], "option": {}}', "option", "unknown_field"),
        ('{"operations": [{}], "options": {"retries": 1}}', "options.retries", "unknown_field"),
        ('{"operations": [{}], "options": {"timeout": 60001}}', "options.timeout", "out_of_range"),
        ('{"operations": [{}], "options": {"timeout": 0}}', "options.timeout", "out_of_range"),
        ('{"operations": [{}], "options": {"timeout": "1"}}', "options.timeout", "invalid_type"),
        ('{"operations": [{}], "options": {"max_retries": -1}}', "options.max_retries", "out_of_range"),
        ('{"operations": [{}], "options": {"max_retries": 1.5}}', "options.max_retries", "invalid_type"),
        ('{"operations": [{}], "options": {"parallel": 1}}', "options.parallel", "invalid_type"),
        ('{"operations": [{}], "options": {"validate_only": "yes"}}', "options.validate_only", "invalid_type"),
        ('{"operations": [{}], "options": {"continue_on_error": 0}}', "options.continue_on_error", "invalid_type"),
        ('{"operations": [{}], "operations": []}', None, "duplicate_name"),
        (
            '{"operations": [{"type": "create", "data": {"content": "x", "metadata": {"a": NaN}}}]}',
            None,
            "invalid_number",
        ),
        (
            '{"operations": [{"type": "create", "data": {"content": "\\ud800"}}]}',
            "operations.0.data.content",
            "invalid_text",
        ),
        (
            '{"operations": [{"type": "create", "data": {"content": "a\\u0000"}}]}',
            "operations.0.data.content",
            "invalid_text",
        ),
        ('{"operations": [', None, "parse_error"),
        ("[1]", None, "parse_error"),
        (b'{"operations": ["\xff"]}', None, "parse_error"),
        ('{"operations": ' + "[" * 100_000, None, "parse_error"),
        ("", "operations", "operations_array_required"),
    ],
)
def test_bad_requests_are_refused_as_a_whole(client: Client, body: str | bytes, field: str | None, reason: str) -> None:
    response = client.post("/api/v1/batch", body, content_type=JSON)
    assert response.status_code == 400
    error = response.json()["error"]
    assert response.json()["success"] is False
    assert error["code"] == "INVALID_BATCH_REQUEST"
    assert (error["details"]["field"], error["details"]["reason"]) == (field, reason)
    assert not Record.objects.exists()


def test_deep_metadata_is_refused_by_itself(batch: Batch) -> None:
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"a": deep}
    response = batch(create(metadata=deep), create("good"), continue_on_error=True)
    assert statuses(response) == ["failed", "success"]
    assert response.json()["data"]["operations"][0]["error"]["details"]["reason"] == "too_deep"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_other_content_types_are_415(client: Client, content_type: str) -> None:
    response = client.generic("POST", "/api/v1/batch", b"a=1", content_type=content_type)
    assert response.status_code == 415
    assert response.json()["error"]["code"] == "UNSUPPORTED_MEDIA_TYPE"


def test_ten_megabytes_and_no_more(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps({"operations": [create("x" * 100_000)]})
    monkeypatch.setattr("records.api.parsers.MOST_BYTES", len(body))
    assert client.post("/api/v1/batch", body, content_type=JSON).status_code == 200
    response = client.post("/api/v1/batch", body + " ", content_type=JSON)
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "PAYLOAD_TOO_LARGE"
    assert Record.objects.count() == 1


@pytest.mark.django_db
def test_without_or_with_a_bad_key_it_is_401_in_the_documents_envelope(anonymous: Client) -> None:
    body = {"operations": [create()]}
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"X-API-Key": "nonsense"}):
        response = anonymous.post("/api/v1/batch", body, content_type=JSON, headers=headers)
        assert response.status_code == 401
        assert response.json()["success"] is False
        assert response.json()["error"]["code"] == "UNAUTHORIZED"


def test_a_key_that_may_only_read_may_not_post_a_batch(alice: User) -> None:
    response = client_of(alice, "read").post("/api/v1/batch", {"operations": [create()]}, content_type=JSON)
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "FORBIDDEN"
    assert not Record.objects.exists()


def test_other_methods_are_405(client: Client) -> None:
    response = client.get("/api/v1/batch")
    assert response.status_code == 405
    assert response.json()["error"]["code"] == "METHOD_NOT_ALLOWED"


def test_ten_batches_a_minute_per_key(alice: User, settings: Any) -> None:
    settings.MEMORY_BATCHES_PER_MINUTE = 10
    client, other = client_of(alice), client_of(alice)
    body = {"operations": [create()]}
    codes = [client.post("/api/v1/batch", body, content_type=JSON).status_code for _ in range(11)]
    assert codes == [200] * 10 + [429]
    response = client.post("/api/v1/batch", body, content_type=JSON)
    assert 1 <= int(response["Retry-After"]) <= 61
    error = response.json()["error"]
    assert error["code"] == "RATE_LIMIT_EXCEEDED"
    assert error["details"]["retry_after"] == int(response["Retry-After"])
    assert other.post("/api/v1/batch", body, content_type=JSON).status_code == 200
    assert Record.objects.count() == 11


def test_a_batch_id_comes_back_and_is_in_the_audit_trail(batch: Batch, alice: User) -> None:
    response = batch(create(), headers={"X-Batch-Id": "mine-1"})
    assert response.json()["data"]["batch_id"] == "mine-1"
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.batch_public_id, entry.details) == (
        alice,
        "memories",
        "mine-1",
        {"creates": 1},
    )


@pytest.mark.parametrize("batch_id", ["", " ", "x" * 65, "a b", "<script>", "ü"])
def test_batch_ids_that_are_none(batch: Batch, batch_id: str) -> None:
    response = batch(create(), headers={"X-Batch-Id": batch_id})
    assert response.status_code == 400
    assert response.json()["error"]["details"]["field"] == "X-Batch-Id"
    assert not Record.objects.exists()


def test_validate_only_does_nothing_and_says_what_would_fail(batch: Batch, remember: Remember) -> None:
    memory = remember("kept")
    response = batch(
        create("x"),
        create(""),
        read("mem_nothing"),
        delete(memory),
        read(memory),
        search("x", limit=1000),
        search("x"),
        validate_only=True,
    )
    assert response.status_code == 207
    assert statuses(response) == ["success", "failed", "failed", "success", "failed", "failed", "success"]
    assert errors(response)[1:5] == ["VALIDATION_ERROR", "NOT_FOUND", None, "NOT_FOUND"]
    assert results(response)[0] == {"valid": True}
    memory.refresh_from_db()
    assert (Record.objects.count(), memory.access_count) == (1, 0)
    assert not AuditEntry.objects.exists()


def test_another_owners_memories_do_not_exist(batch: Batch, remember: Remember, bob: User) -> None:
    theirs = remember("secret plan", owner=bob)
    topic = Topic.objects.create(owner=bob, name="t")
    response = batch(
        read(theirs),
        update(theirs, content="mine"),
        delete(theirs),
        search("secret plan"),
        create("x", topic_id=str(topic.public_id)),
        continue_on_error=True,
    )
    assert errors(response) == ["NOT_FOUND", "NOT_FOUND", "NOT_FOUND", None, "VALIDATION_ERROR"]
    assert results(response)[3] == {"results": [], "total": 0}
    theirs.refresh_from_db()
    assert (theirs.content, theirs.access_count) == ("secret plan", 0)


def test_nodes_and_conversations_are_no_memories(batch: Batch, remember: Remember) -> None:
    node = remember("a node", kind="node", status="pending")
    response = batch(read(node), search("node"), continue_on_error=True)
    assert errors(response) == ["NOT_FOUND", None]
    assert results(response)[1]["total"] == 0


def test_what_is_not_given_to_an_update_stays(batch: Batch, remember: Remember) -> None:
    memory, other = remember("a", tags=["t"], metadata={"x": 1}), remember("b", title="B")
    batch(update(memory, metadata={"y": 2}), update(other, tags=["new"]))
    memory.refresh_from_db()
    other.refresh_from_db()
    assert (memory.content, memory.tags, memory.metadata) == ("a", ["t"], {"y": 2})
    assert (other.content, other.title, other.tags) == ("b", "B", ["new"])


def test_text_of_all_kinds_survives(batch: Batch) -> None:
    content = 'O\'Neil said "ü" \\ 😀 %s {} \u2028 \x01\n\t'
    response = batch(
        create(content, tags=["a,b", '"', "{}", "NULL", "ü😀"], metadata={"k'\"\\": [1.5, None, True, content]})
    )
    (result,) = results(response)
    batch(update(result["id"], summary=content, tags=["x", "\\", ""][:2]))
    (found,) = results(batch(read(result["id"])))
    assert (found["content"], found["summary"], found["tags"]) == (content, content, ["x", "\\"])
    assert found["metadata"] == {"k'\"\\": [1.5, None, True, content]}


def test_an_idempotency_key_does_it_once(batch: Batch, remember: Remember) -> None:
    memory = remember("x")
    operations = [create("one"), delete(memory), search("one")]
    first = batch(*operations, headers={"Idempotency-Key": "k"})
    second = batch(*operations, headers={"Idempotency-Key": "k"})
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert second["Idempotent-Replayed"] == "true"
    assert Record.objects.count() == 1
    conflict = batch(create("two"), headers={"Idempotency-Key": "k"})
    assert (conflict.status_code, conflict.json()["error"]["code"]) == (409, "CONFLICT")
    assert IdempotentReply.objects.count() == 1


def test_a_hundred_operations_take_few_statements(
    batch: Batch, remember: Remember, django_assert_max_num_queries: Any
) -> None:
    memories = [remember(f"memory {number}") for number in range(60)]
    mixed = [create(f"new {number}") for number in range(40)]
    mixed += [read(memory) for memory in memories[:20]]
    mixed += [update(memory, content="changed") for memory in memories[20:40]]
    mixed += [delete(memory) for memory in memories[40:]]
    with django_assert_max_num_queries(16):
        response = batch(*mixed)
    assert statuses(response) == ["success"] * 100
    assert response.json()["data"]["summary"] == {
        "creates": 40,
        "reads": 20,
        "updates": 20,
        "deletes": 20,
        "searches": 0,
    }

"""What is sent again and what is not, how long is waited, and which exception comes of which answer."""

from __future__ import annotations

from typing import Any

import pytest

from batchsite.client import (
    AuthenticationFailed,
    BatchClient,
    BatchClientError,
    Conflict,
    ConnectionFailed,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServerFailed,
)
from tests.client.conftest import Serve
from tests.client.scripted import HANG_UP, Reply
from tests.sandbox_fixture import free_port

BATCH = {"id": "batch_1", "operation": "annotate", "status": "pending", "progress": 0}
CREATED = Reply(202, {"success": True, "batch": BATCH})
BUSY = Reply(429, {"success": False, "error": "Too many requests."}, {"Retry-After": "37"})
BROKEN = Reply(500, {"success": False, "error": "Internal error"})


def problem(status: int, *errors: dict[str, str], message: str = "No.") -> Reply:
    return Reply(status, {"success": False, "error": message, "details": {"errors": list(errors)}})


@pytest.mark.parametrize("hiccup", [BROKEN, BUSY, HANG_UP, Reply(503, None), Reply(502, b"<html>bad gateway</html>")])
def test_a_create_is_sent_again_under_the_same_key(serve: Serve, hiccup: Any) -> None:
    client, server = serve(hiccup, hiccup, CREATED)
    assert client.create("annotate").id == "batch_1"
    keys = {asked.headers["idempotency-key"] for asked in server.asked}
    assert (len(server.asked), len(keys)) == (3, 1)
    assert len({asked.body for asked in server.asked}) == 1
    client.create("annotate")
    assert server.asked[-1].headers["idempotency-key"] not in keys


def test_a_rate_limit_is_waited_out_as_told_and_costs_no_retry(serve: Serve, waits: list[float]) -> None:
    client, _ = serve(BUSY, BUSY, BUSY, CREATED, max_retries=0)
    client.create("annotate")
    assert waits == [37.0, 37.0, 37.0]


def test_patience_ends(serve: Serve, waits: list[float]) -> None:
    client, server = serve(BUSY, patience_seconds=100)
    with pytest.raises(RateLimited) as raised:
        client.create("annotate")
    assert raised.value.retry_after == 37.0
    assert len(server.asked) == 3
    assert sum(waits) <= 100


def test_retries_end_and_wait_longer_each_time(serve: Serve, waits: list[float]) -> None:
    client, server = serve(BROKEN, max_retries=4)
    with pytest.raises(ServerFailed, match="Internal error"):
        client.get("batch_1")
    assert len(server.asked) == 5
    assert [0.25 * 2**n <= wait <= 0.5 * 2**n for n, wait in enumerate(waits)] == [True] * 4


@pytest.mark.parametrize("answer", [HANG_UP, BROKEN])
def test_a_verb_whose_answer_was_lost_is_not_repeated(serve: Serve, answer: Any) -> None:
    client, server = serve(answer)
    with pytest.raises((ConnectionFailed, ServerFailed)):
        client.pause("batch_1")
    assert len(server.asked) == 1


def test_a_verb_that_was_not_done_is_repeated(serve: Serve) -> None:
    done = Reply(200, {"success": True})
    client, server = serve(BUSY, Reply(503, None), done, Reply(200, {"success": True, "batch": BATCH}))
    assert client.pause("batch_1").status == "pending"
    assert [asked.method for asked in server.asked] == ["POST"] * 3 + ["GET"]


def test_a_server_that_is_not_there(waits: list[float]) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with BatchClient("secret", address, max_retries=2) as client, pytest.raises(ConnectionFailed, match="be reached"):
        client.pause("batch_1")
    assert len(waits) == 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (401, AuthenticationFailed),
        (403, PermissionDenied),
        (404, NotFound),
        (409, Conflict),
        (413, InvalidRequest),
        (415, InvalidRequest),
    ],
)
def test_a_refusal_is_an_exception_of_its_kind_and_final(
    serve: Serve, status: int, kind: type[BatchClientError]
) -> None:
    client, server = serve(
        problem(status, {"path": "filters", "message": "Must be an object.", "code": "invalid_type"})
    )
    with pytest.raises(kind) as raised:
        client.create("annotate")
    assert (raised.value.status, raised.value.code) == (status, "invalid_type")
    assert [one.path for one in raised.value.problems] == ["filters"]
    assert str(raised.value) == f"{status}: No.\n  filters: Must be an object."
    assert len(server.asked) == 1


def test_an_error_of_document_003_is_read_as_well(serve: Serve) -> None:
    error = {
        "code": "BATCH_TOO_LARGE",
        "message": "Batch size exceeds maximum limit",
        "details": {"max_operations": 100, "provided_operations": 150},
    }
    client, _ = serve(Reply(413, {"success": False, "error": error}))
    with pytest.raises(InvalidRequest, match="max_operations: 100, provided_operations: 150") as raised:
        client.batch_operations([{"type": "read", "id": "mem_1"}])
    assert raised.value.code == "BATCH_TOO_LARGE"


def test_an_answer_of_somebody_else_says_so(serve: Serve) -> None:
    client, _ = serve(Reply(200, b"<html>It works!</html>"))
    with pytest.raises(ServerFailed, match="base_url"):
        client.stats()


def test_the_key_is_in_no_exception(serve: Serve) -> None:
    client, server = serve(problem(401))
    with pytest.raises(AuthenticationFailed) as raised:
        client.stats()
    assert server.asked[0].headers["authorization"] == "Bearer secret"
    assert "secret" not in repr(raised.value)

"""Document 003's examples as they stand: what it shows as the request, and what it shows as the answer."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client

from tests.records.conftest import JSON, Remember

REQUEST = """{
    "operations": [
      {
        "type": "create",
        "data": {
          "content": "User profile data",
          "metadata": {"type": "profile", "user_id": "123"},
          "tags": ["user", "profile"]
        }
      },
      {
        "type": "create",
        "data": {
          "content": "Product catalog entry",
          "metadata": {"type": "product", "category": "electronics"},
          "tags": ["product", "catalog"]
        }
      },
      {
        "type": "search",
        "query": "user authentication",
        "options": {"limit": 5}
      }
    ],
    "options": {
      "continue_on_error": true,
      "max_retries": 3,
      "timeout": 30000
    }
  }"""
ANSWER = """{
  "success": true,
  "data": {
    "batch_id": "batch_1234567890abcdef",
    "processed": 3,
    "failed": 0,
    "total": 3,
    "execution_time": 1250,
    "operations": [
      {
        "index": 0,
        "type": "create",
        "status": "success",
        "result": {
          "id": "mem_1234567890abcdef",
          "created_at": "2024-01-15T10:30:00Z"
        }
      },
      {
        "index": 1,
        "type": "create",
        "status": "success",
        "result": {
          "id": "mem_0987654321fedcba",
          "created_at": "2024-01-15T10:30:01Z"
        }
      },
      {
        "index": 2,
        "type": "search",
        "status": "success",
        "result": {
          "results": [
            {
              "id": "mem_1111111111111111",
              "content": "Authentication system documentation",
              "score": 0.95
            }
          ],
          "total": 1
        }
      }
    ],
    "summary": {
      "creates": 2,
      "reads": 0,
      "updates": 0,
      "deletes": 0,
      "searches": 1
    }
  }
}"""
PARTIAL = """{
  "success": true,
  "data": {
    "batch_id": "batch_1234567890abcdef",
    "processed": 2,
    "failed": 1,
    "total": 3,
    "execution_time": 1250,
    "operations": [
      {
        "index": 0,
        "type": "create",
        "status": "success",
        "result": {
          "id": "mem_1234567890abcdef",
          "created_at": "2024-01-15T10:30:00Z"
        }
      },
      {
        "index": 1,
        "type": "create",
        "status": "failed",
        "error": {
          "code": "VALIDATION_ERROR",
          "message": "Content is required",
          "details": {
            "field": "content"
          }
        }
      },
      {
        "index": 2,
        "type": "search",
        "status": "success",
        "result": {
          "results": [],
          "total": 0
        }
      }
    ]
  }
}"""
INVALID = """{
  "success": false,
  "error": {
    "code": "INVALID_BATCH_REQUEST",
    "message": "Invalid batch request",
    "details": {
      "field": "operations",
      "reason": "operations_array_required"
    }
  }
}"""
TOO_LARGE = """{
  "success": false,
  "error": {
    "code": "BATCH_TOO_LARGE",
    "message": "Batch size exceeds maximum limit",
    "details": {
      "max_operations": 100,
      "provided_operations": 150
    }
  }
}"""
VARYING = {
    "id": re.compile(r"mem_[0-9a-f]{16,}"),
    "batch_id": re.compile(r"batch_[0-9a-f]{16}"),
    "created_at": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"),
}


def shows(answer: Any, shown: Any, name: str = "") -> None:
    """The answer has everything that is shown; ids, times and scores by their form."""
    if name in VARYING:
        assert VARYING[name].fullmatch(answer), (name, answer)
    elif name == "execution_time":
        assert isinstance(answer, int) and 0 <= answer < 60_000
    elif name == "score":
        assert isinstance(answer, float) and 0 <= answer <= 1
    elif isinstance(shown, dict):
        for key, value in shown.items():
            shows(answer[key], value, key)
    elif isinstance(shown, list):
        assert len(answer) == len(shown)
        for one, other in zip(answer, shown, strict=True):
            shows(one, other)
    else:
        assert answer == shown, name


def post(client: Client, body: str) -> Any:
    return client.post("/api/v1/batch", body, content_type=JSON)


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_example_request_gets_the_example_answer(client: Client, remember: Remember, slash: str) -> None:
    # In the document the two creates are not found by its search, although one of them holds the word "User" and
    # is one of two words: here the search is done after them.
    remember("Authentication system documentation")
    request = json.loads(REQUEST)
    request["operations"][0]["data"].update(content="Profile data", tags=["profile"])
    response = client.post(f"/api/v1/batch{slash}", request, content_type=JSON)
    assert response.status_code == 200
    shows(response.json(), json.loads(ANSWER))


def test_the_example_request_as_it_stands(client: Client) -> None:
    response = client.post("/api/v1/batch", REQUEST, content_type=JSON, headers={"X-Batch-Id": "migration-2024-01-15"})
    assert response.status_code == 200
    data = response.json()["data"]
    assert data["batch_id"] == "migration-2024-01-15"
    assert (data["processed"], data["failed"], data["total"]) == (3, 0, 3)
    assert data["summary"] == {"creates": 2, "reads": 0, "updates": 0, "deletes": 0, "searches": 1}
    # The memory created first has one of the two words.
    (found,) = data["operations"][2]["result"]["results"]
    assert found["content"] == "User profile data"


def test_the_example_of_a_partial_success(client: Client) -> None:
    request = json.loads(REQUEST)
    del request["operations"][1]["data"]["content"]
    request["operations"][2]["query"] = "nothing alike"
    response = post(client, json.dumps(request))
    assert response.status_code == 207
    shows(response.json(), json.loads(PARTIAL))


@pytest.mark.parametrize("body", ["{}", '{"operations": null}', '{"operations": {"type": "read"}}'])
def test_the_example_of_a_bad_request(client: Client, body: str) -> None:
    response = post(client, body)
    assert response.status_code == 400
    assert response.json() == json.loads(INVALID)


def test_the_example_of_a_batch_that_is_too_large(client: Client) -> None:
    request = {"operations": [{"type": "read", "id": "memory_id"}] * 150}
    response = post(client, json.dumps(request))
    assert response.status_code == 413
    assert response.json() == json.loads(TOO_LARGE)


def test_every_operation_as_it_is_shown(client: Client) -> None:
    shown = [
        {"type": "create", "data": {"content": "Memory content", "metadata": {}, "tags": ["tag1", "tag2"]}},
        {"type": "read", "id": "memory_id"},
        {"type": "update", "id": "memory_id", "data": {"content": "Updated content", "metadata": {"updated": True}}},
        {"type": "delete", "id": "memory_id"},
        {
            "type": "search",
            "query": "search terms",
            "options": {"limit": 10, "filters": {"category": "important"}},
        },
    ]
    (created,) = post(client, json.dumps({"operations": shown[:1]})).json()["data"]["operations"]
    text = json.dumps({"operations": shown}).replace("memory_id", created["result"]["id"])
    response = post(client, text)
    assert response.status_code == 200, response.json()
    _, was_read, updated, deleted, found = (one["result"] for one in response.json()["data"]["operations"])
    assert was_read["content"] == "Memory content"
    assert was_read["tags"] == ["tag1", "tag2"]
    assert updated["id"] == deleted["id"] == created["result"]["id"]
    assert found == {"results": [], "total": 0}

"""Alice and Bob again, with keys of all kinds and some memories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from batches.models import ApiKey
from records.models import Record

JSON = "application/json"


@pytest.fixture(autouse=True)
def many_batches(settings: Any) -> None:
    """What is not about the throttle does not meet it."""
    settings.MEMORY_BATCHES_PER_MINUTE = 10_000


def client_of(user: User, *scopes: str) -> Client:
    """A client that sends a fresh key of this user."""
    _, secret = ApiKey.issue(owner_id=user.pk, name="test", scopes=scopes or None)
    return Client(headers={"Authorization": f"Bearer {secret}"}, raise_request_exception=False)


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice")


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob")


@pytest.fixture
def client(alice: User) -> Client:
    """Alice's."""
    return client_of(alice)


@pytest.fixture
def bobs_client(bob: User) -> Client:
    return client_of(bob)


@pytest.fixture
def anonymous() -> Client:
    return Client(raise_request_exception=False)


Remember = Callable[..., Record]


@pytest.fixture
def remember(alice: User) -> Remember:
    """A memory of Alice's, or of another owner."""

    def run(content: str = "Something", owner: User = alice, **fields: Any) -> Record:
        return Record.objects.create(owner=owner, content=content, **fields)

    return run


Batch = Callable[..., Any]


@pytest.fixture
def batch(client: Client) -> Batch:
    """Post operations and options as Alice; the response."""

    def run(*operations: Any, headers: dict[str, str] | None = None, **options: Any) -> Any:
        body = {"operations": list(operations), "options": options}
        return client.post("/api/v1/batch", body, content_type=JSON, headers=headers or {})

    return run


def statuses(response: Any) -> list[str]:
    """How each operation ended."""
    return [one["status"] for one in response.json()["data"]["operations"]]


def errors(response: Any) -> list[str | None]:
    """The error code of each operation."""
    return [one.get("error", {}).get("code") for one in response.json()["data"]["operations"]]


def results(response: Any) -> list[Any]:
    """The result of each operation."""
    return [one.get("result") for one in response.json()["data"]["operations"]]


def create(content: str = "Something", **data: Any) -> dict[str, Any]:
    return {"type": "create", "data": {"content": content, **data}}


def read(memory: Record | str) -> dict[str, Any]:
    return {"type": "read", "id": memory if isinstance(memory, str) else memory.public_id}


def update(memory: Record | str, **data: Any) -> dict[str, Any]:
    return {**read(memory), "type": "update", "data": data}


def delete(memory: Record | str) -> dict[str, Any]:
    return {**read(memory), "type": "delete"}


def search(query: str, **options: Any) -> dict[str, Any]:
    return {"type": "search", "query": query, "options": options}

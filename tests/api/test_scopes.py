"""What a key may do: read, write, or both."""

from __future__ import annotations

import io

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import IntegrityError
from django.test import Client

from batches.live.access import grant_of_token
from batches.models import ApiKey
from tests.api.conftest import Submit


def client_with(owner: User, *scopes: str) -> Client:
    _, secret = ApiKey.issue(owner_id=owner.pk, name="scoped", scopes=scopes)
    return Client(headers={"Authorization": f"Bearer {secret}"}, raise_request_exception=False)


def test_a_read_key_reads_and_writes_nothing(alice: User, submit: Submit) -> None:
    client, batch = client_with(alice, "read"), submit()
    assert client.get(f"/api/batch/{batch.public_id}").status_code == 200
    refused = client.post(f"/api/batch/{batch.public_id}/cancel")
    assert refused.status_code == 403
    assert refused.json() == {
        "success": False,
        "error": "This API key does not have the scope 'write'.",
        "details": {
            "errors": [
                {"path": "", "message": "This API key does not have the scope 'write'.", "code": "missing_scope"}
            ]
        },
    }
    batch.refresh_from_db()
    assert batch.status == "running"


def test_a_write_key_reads_nothing(alice: User, submit: Submit) -> None:
    client, batch = client_with(alice, "write"), submit()
    assert client.post(f"/api/batch/{batch.public_id}/cancel").status_code == 200
    assert client.get(f"/api/batch/{batch.public_id}").status_code == 403


def test_watching_is_reading(alice: User) -> None:
    """A ticket is got by POST and changes nothing; a socket shows what a GET would."""
    assert client_with(alice, "read").post("/api/ws-ticket").status_code == 200
    assert client_with(alice, "write").post("/api/ws-ticket").status_code == 403
    _, reads = ApiKey.issue(owner_id=alice.pk, name="r", scopes=["read"])
    _, writes = ApiKey.issue(owner_id=alice.pk, name="w", scopes=["write"])
    assert grant_of_token(reads) is not None
    assert grant_of_token(writes) is None


def test_a_key_has_both_unless_it_was_said_otherwise(alice: User) -> None:
    key, _ = ApiKey.issue(owner_id=alice.pk, name="x")
    assert key.scopes == ["read", "write"]


@pytest.mark.parametrize("scopes", [[], ["admin"], ["read", "all"]])
def test_no_other_scopes_are_stored(alice: User, scopes: list[str]) -> None:
    with pytest.raises(IntegrityError):
        ApiKey.issue(owner_id=alice.pk, name="x", scopes=scopes)


def test_the_command_takes_scopes(alice: User) -> None:
    call_command("create_api_key", "alice", "--scope", "read", stdout=io.StringIO())
    assert ApiKey.objects.get().scopes == ["read"]

"""Notifications, the audit trail, usage, keys, providers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from batches import services
from batches.models import ApiKey, AuditEntry, Batch, BatchHistogram, Notification, ProviderAccount, Usage
from providers.registry import get_provider
from tests.api.conftest import Submit, client_of, problems_of

JSON = "application/json"


def tell(owner: User, **details: Any) -> Notification:
    return Notification.objects.create(owner=owner, kind="batch_completed", details=details)


# --- Notifications


def test_notifications_are_listed_and_read(client: Client, alice: User, bob: User) -> None:
    first, second = tell(alice, batchId="b1"), tell(alice, batchId="b2")
    tell(bob)
    body = client.get("/api/notifications").json()
    assert (body["unread"], body["count"]) == (2, 2)
    shown = body["notifications"]
    assert [one["id"] for one in shown] == [str(second.pk), str(first.pk)]
    assert (shown[0]["kind"], shown[0]["details"], shown[0]["readAt"]) == ("batch_completed", {"batchId": "b2"}, None)

    read = client.post(f"/api/notifications/{first.pk}/read").json()["notification"]
    assert read["readAt"].endswith("Z")
    assert client.post(f"/api/notifications/{first.pk}/read").json()["notification"] == read
    assert [one["id"] for one in client.get("/api/notifications?unread=true").json()["notifications"]] == [
        str(second.pk)
    ]
    assert client.post("/api/notifications/read").json() == {"success": True, "read": 1}
    assert client.get("/api/notifications").json()["unread"] == 0
    assert Notification.objects.get(owner=bob).read_at is None


@pytest.mark.parametrize("number", ["0", "999999999", "9" * 30, "x", "-1", "１"])
def test_notifications_that_are_none(client: Client, number: str) -> None:
    response = client.post(f"/api/notifications/{number}/read")
    assert response.status_code == 404
    assert response.json()["success"] is False


# --- Audit


def test_the_trail_of_an_owner(client: Client, submit: Submit, alice: User, bob: User) -> None:
    batch, others = submit(), submit(owner=bob)
    client.post(f"/api/batch/{batch.public_id}/cancel")
    body = client.get("/api/audit").json()
    assert [(one["action"], one["actor"], one["batchId"]) for one in body["entries"]] == [
        ("cancel", "alice", batch.public_id),
        ("submit", "alice", batch.public_id),
    ]
    assert body["entries"][1]["details"] == {"items": 3, "operation": "rate_photos"}
    assert client.get(f"/api/audit?batchId={others.public_id}").json()["count"] == 0
    Batch.objects.filter(pk=batch.pk).delete()
    assert client.get(f"/api/audit?batchId={batch.public_id}").json()["count"] == 2


def test_what_staff_did_is_in_the_owners_trail(client: Client, submit: Submit, staff: User) -> None:
    services.pause(submit(), actor_id=staff.pk)
    assert client.get("/api/audit").json()["entries"][0]["actor"] == "sam"


def test_a_batch_id_that_is_none(client: Client) -> None:
    assert problems_of(client.get("/api/audit?batchId=%00")) == {"batchId": "invalid_text"}


# --- Usage


def test_usage_by_day_and_operation(client: Client, submit: Submit, alice: User, bob: User) -> None:
    photos, messages = submit(), submit("sms")
    day = (datetime(2026, 1, 5, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days

    def count(batch: Batch, measure: str, bucket: int, number: int) -> None:
        BatchHistogram.objects.create(batch=batch, measure=measure, bucket=bucket, count=number)

    for batch in (photos, messages, submit(owner=bob)):
        count(batch, "ended", day, 15)
        count(batch, "ended", day + 1, 2)
        count(batch, "ended_badly", day, 3)
        count(batch, "calls", day, 19)
        count(batch, "calls", day + 1, 2)
        count(batch, "duration", 50, 17)
    Usage.objects.create(owner=alice, day="2026-01-05", operation="sms", items=100, failed=1, calls=200)
    body = client.get("/api/usage?from=2026-01-05&to=2026-01-06").json()
    one_day = {"items": 15, "failed": 3, "calls": 19, "cost": None, "unpricedCalls": 19}
    next_day = {"items": 2, "failed": 0, "calls": 2, "cost": None, "unpricedCalls": 2}
    sms = {"items": 115, "failed": 4, "calls": 219, "cost": None, "unpricedCalls": 219}
    assert body == {
        "success": True,
        "from": "2026-01-05",
        "to": "2026-01-06",
        "usage": [
            {"day": "2026-01-05", "operation": "rate_photos", **one_day},
            {"day": "2026-01-05", "operation": "sms", **sms},
            {"day": "2026-01-06", "operation": "rate_photos", **next_day},
            {"day": "2026-01-06", "operation": "sms", **next_day},
        ],
        "total": {"items": 134, "failed": 7, "calls": 242, "cost": None, "unpricedCalls": 242},
    }
    assert client.get("/api/usage?from=2026-01-06&to=2026-01-06").json()["total"]["items"] == 4


def test_usage_is_of_the_last_thirty_days(client: Client) -> None:
    body = client.get("/api/usage").json()
    first, last = datetime.fromisoformat(body["from"]), datetime.fromisoformat(body["to"])
    assert last - first == timedelta(days=29)
    assert body["usage"] == []


@pytest.mark.parametrize(
    ("query", "problems"),
    [
        ("from=yesterday", {"from": "invalid_time"}),
        ("to=2026-02-30", {"to": "invalid_time"}),
        ("to=9999-12-31", {"to": "out_of_range"}),
        ("to=0001-01-01", {"to": "out_of_range"}),
        ("from=2026-01-02&to=2026-01-01", {"from": "out_of_range"}),
        ("from=2024-01-01&to=2026-01-01", {"from": "out_of_range"}),
    ],
)
def test_days_that_are_none(client: Client, query: str, problems: dict[str, str]) -> None:
    assert problems_of(client.get(f"/api/usage?{query}")) == problems


# --- Keys


def make_key(client: Client, **body: Any) -> Any:
    return client.post("/api/keys", body, content_type=JSON)


def test_a_key_is_made_shown_once_used_and_revoked(client: Client, alice: User) -> None:
    response = make_key(client, name="laptop", scopes=["read"])
    assert response.status_code == 201
    assert response["Cache-Control"] == "no-store"
    key = response.json()["key"]
    secret = key.pop("secret")
    assert (key["name"], key["scopes"], key["revokedAt"]) == ("laptop", ["read"], None)
    assert secret.startswith(key["prefix"])
    listed = client.get("/api/keys").json()
    assert listed["keys"][0] == key
    assert secret not in str(listed)

    made = Client(headers={"Authorization": f"Bearer {secret}"})
    assert made.get("/api/batch/stats").status_code == 200
    revoked = client.delete(f"/api/keys/{key['id']}")
    assert revoked.json()["key"]["revokedAt"].endswith("Z")
    assert made.get("/api/batch/stats").status_code == 401
    assert client.delete(f"/api/keys/{key['id']}").json() == revoked.json()
    actions = AuditEntry.objects.filter(owner=alice).order_by("id").values_list("action", flat=True)
    assert list(actions) == ["create_key", "revoke_key"]
    assert secret not in str(list(AuditEntry.objects.values()))


def test_a_key_makes_none_that_may_do_more(alice: User) -> None:
    _, secret = ApiKey.issue(owner_id=alice.pk, name="writer", scopes=["write"])
    writer = Client(headers={"Authorization": f"Bearer {secret}"})
    assert make_key(writer, name="x").json()["key"]["scopes"] == ["write"]
    assert problems_of(make_key(writer, name="x", scopes=["read", "write"])) == {"scopes": "not_allowed"}


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"name": "required"}),
        ({"name": ""}, {"name": "required"}),
        ({"name": "x" * 101}, {"name": "too_long"}),
        ({"name": 5}, {"name": "invalid_type"}),
        ({"name": "x", "scopes": []}, {"scopes": "invalid_type"}),
        ({"name": "x", "scopes": "read"}, {"scopes": "invalid_type"}),
        ({"name": "x", "scopes": ["admin"]}, {"scopes": "invalid_choice"}),
        ({"name": "x", "scopes": [["read"]]}, {"scopes": "invalid_choice"}),
        ({"name": "x", "scope": "read"}, {"scope": "unknown_field"}),
    ],
)
def test_keys_that_are_refused(client: Client, body: dict[str, Any], problems: dict[str, str]) -> None:
    before = ApiKey.objects.count()
    assert problems_of(make_key(client, **body)) == problems
    assert ApiKey.objects.count() == before


def test_another_owners_key_is_none(client: Client, bob: User) -> None:
    key, secret = ApiKey.issue(owner_id=bob.pk, name="his")
    assert client.delete(f"/api/keys/{key.pk}").status_code == 404
    assert Client(headers={"Authorization": f"Bearer {secret}"}).get("/api/keys").status_code == 200
    assert client_of(bob).get("/api/keys").json()["count"] == 2


# --- Providers


def test_which_providers_there_are(client: Client) -> None:
    ProviderAccount.objects.create(alias="twilio", closed_until="2030-01-01T00:00:00Z")
    shown = {one["id"]: one for one in client.get("/api/providers").json()["providers"]}
    photos = shown["openai-gpt-5"]
    assert (photos["model"], photos["kinds"], photos["isDefault"], photos["usable"]) == ("gpt-5", ["chat"], True, True)
    assert photos["usesSandbox"] is True
    assert shown["twilio"]["closedUntil"] == "2030-01-01T00:00:00.000Z"
    assert shown["twilio"]["limits"]["smsPerSecond"] == {"high": 8.0, "normal": 5.0, "low": 2.0}
    assert "key" not in str(shown).lower()


def test_one_that_is_misconfigured_is_shown_as_such(client: Client, settings: Any) -> None:
    settings.PROVIDERS = {**settings.PROVIDERS, "broken": {"adapter": "nowhere.Nothing", "key_variable": "SECRET_X"}}
    shown = {one["id"]: one for one in client.get("/api/providers").json()["providers"]}
    assert (shown["broken"]["usable"], shown["broken"]["limits"]) == (False, None)
    assert [one["code"] for one in shown["broken"]["hindrances"]] == ["misconfigured"]
    assert "nowhere" not in str(shown["broken"])


def test_staff_is_told_what_is_misconfigured(staff: User, settings: Any) -> None:
    settings.PROVIDERS = {**settings.PROVIDERS, "broken": {"adapter": "nowhere.Nothing", "key_variable": "SECRET_X"}}
    shown = {one["id"]: one for one in client_of(staff).get("/api/providers").json()["providers"]}
    assert "nowhere" in shown["broken"]["hindrances"][0]["message"]


def test_a_key_without_its_account_is_no_reason_to_text_anybody(
    staff: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    unset = {"account": "", "sender": "", "variables": {"account": "OUR_ACCOUNT", "sender": "OUR_SENDER"}}
    settings.PROVIDERS = {**settings.PROVIDERS, "twilio": {**settings.PROVIDERS["twilio"], **unset}}
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "a-real-one")
    get_provider.cache_clear()
    (shown,) = [one for one in client_of(staff).get("/api/providers").json()["providers"] if one["id"] == "twilio"]
    get_provider.cache_clear()
    assert (shown["usable"], shown["available"], shown["credentials"]) == (False, False, "environment")
    (hindrance,) = shown["hindrances"]
    assert hindrance["code"] == "misconfigured"
    assert "set OUR_ACCOUNT." in hindrance["message"] and "set OUR_SENDER." in hindrance["message"]


def test_why_a_provider_is_not_used_now_and_what_it_costs(client: Client, settings: Any) -> None:
    ProviderAccount.objects.create(
        alias="grok",
        opened_at="2026-01-01T00:00:00Z",
        opened_for="invalid_api_key",
        probe_at="2030-01-01T00:00:00Z",
        concurrency=12.5,
        requests_per_minute=600,
    )
    ProviderAccount.objects.create(alias="twilio", closed_until="2030-01-01T00:00:00Z")
    ProviderAccount.objects.create(alias="vonage", closed_until="2020-01-01T00:00:00Z")
    shown = {one["id"]: one for one in client.get("/api/providers").json()["providers"]}
    hindrances = {alias: [one["code"] for one in shape["hindrances"]] for alias, shape in shown.items()}
    assert {alias: codes for alias, codes in hindrances.items() if codes} == {
        "grok": ["unavailable"],
        "twilio": ["closed"],
    }
    assert (shown["grok"]["usable"], shown["grok"]["available"], shown["vonage"]["available"]) == (True, False, True)
    assert shown["grok"]["hindrances"][0]["until"] == "2030-01-01T00:00:00.000Z"
    assert shown["grok"]["limits"]["learned"] == {
        "requestsPerMinute": 600,
        "tokensPerMinute": None,
        "concurrency": 12.5,
    }
    assert (shown["grok"]["modes"], shown["twilio"]["modes"]) == (["fast", "economy"], ["fast"])
    prices = shown["grok"]["prices"]
    assert (prices["economyInputPerMillion"], prices["inputPerMillion"], prices["markup"]) == ("1.6", "2", "2")
    assert (shown["twilio"]["prices"]["perSegment"], shown["twilio"]["prices"]["inputPerMillion"]) == ("0.0083", None)
    settings.PRODUCTION = True
    unusable = {one["id"]: one for one in client.get("/api/providers").json()["providers"]}["grok"]
    assert (unusable["usable"], [one["code"] for one in unusable["hindrances"]]) == (False, ["no_key", "unavailable"])

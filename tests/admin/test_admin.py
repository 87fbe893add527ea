"""The admin over every model: lists that stay cheap, actions that go through the services, keys shown once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from batches.models import (
    ApiKey,
    AuditEntry,
    Batch,
    BatchHistogram,
    Contact,
    DeliveryReceipt,
    IdempotentReply,
    Item,
    ItemError,
    Lease,
    Notification,
    OptOut,
    ProviderAccount,
    ProviderBatch,
    ProviderCredential,
    StoredFile,
    Usage,
    Worker,
)
from tests.live.conftest import make_batch

MODELS = list(apps.get_app_config("batches").get_models())
READ_ONLY = [model for model in MODELS if model not in {ApiKey, ProviderCredential}]

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(admin_client: Client) -> Client:
    return admin_client


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_user("alice")


def fill(owner: User, count: int) -> None:
    """So many rows of every model."""
    for _ in range(count):
        batch = make_batch(owner, failed=1)
        item = Item.objects.create(batch=batch, position=0, key="one")
        ItemError.objects.create(item=item, batch=batch, code="http_500", category="server", message="It broke.")
        Lease.objects.create(batch=batch, lane="ai.high", channel="ai", size=1, remaining=1, expires_at=timezone.now())
        BatchHistogram.objects.create(batch=batch, measure="duration", count=1)
        AuditEntry.objects.create(batch=batch, actor=owner, action="submit")
        ApiKey.issue(owner_id=owner.pk, name="laptop")
        IdempotentReply.objects.create(owner=owner, key=f"key{batch.pk}", fingerprint="", status_code=202, body={})
        StoredFile.objects.create(owner=owner, name="a.jpg", media_type="image/jpeg", size=1, content="a")
        Worker.objects.create(boot_id=f"boot{batch.pk}", hostname="h", process_id=1)
        ProviderAccount.objects.create(alias=f"alias{batch.pk}")
        ProviderBatch.objects.create(batch=batch, provider="openai-gpt-5", size=1)
        ProviderCredential.objects.create(alias=f"alias{batch.pk}", secret=b"encrypted", last_four="abcd")
        OptOut.objects.create(owner=owner, number=f"+1555{batch.pk:07}", source="inbound")
        Contact.objects.create(owner=owner, number=f"+1555{batch.pk:07}", provider="twilio")
        DeliveryReceipt.objects.create(provider="twilio", provider_reference=f"SM{batch.pk}", status="delivered")
        Notification.objects.create(owner=owner, batch=batch, kind="batch_completed")
        Usage.objects.create(owner=owner, day=timezone.now().date(), operation=f"operation{batch.pk}")


def address(model: type[Model], page: str, *arguments: Any) -> str:
    return reverse(f"admin:batches_{model._meta.model_name}_{page}", args=arguments)


def test_every_model_is_registered() -> None:
    assert [model for model in MODELS if not admin.site.is_registered(model)] == []


@pytest.mark.parametrize("model", MODELS)
def test_a_list_asks_as_many_queries_for_many_rows_as_for_few(model: type[Model], root: Client, owner: User) -> None:
    counts = []
    for rows in (2, 6):
        fill(owner, rows)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert root.get(address(model, "changelist")).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("model", [Item, ItemError, AuditEntry, Batch])
def test_a_list_does_not_count_a_big_table(model: type[Model], root: Client, owner: User) -> None:
    fill(owner, 1)
    with CaptureQueriesContext(connection) as queries:
        root.get(address(model, "changelist"))
    counting = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert counting
    assert all("LIMIT" in sql for sql in counting)


@pytest.mark.parametrize("model", MODELS)
def test_every_row_can_be_opened_and_searched(model: type[Model], root: Client, owner: User) -> None:
    fill(owner, 1)
    row = model._default_manager.first()
    assert row is not None
    assert root.get(address(model, "change", row.pk)).status_code == 200
    assert root.get(address(model, "changelist"), {"q": "x"}).status_code == 200


@pytest.mark.parametrize("model", READ_ONLY)
def test_what_the_system_writes_cannot_be_added_or_deleted(model: type[Model], root: Client, owner: User) -> None:
    fill(owner, 1)
    row = model._default_manager.first()
    assert row is not None
    assert root.get(address(model, "add")).status_code == 403
    assert root.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403


def act(client: Client, action: str, *rows: Model) -> str:
    data = {"action": action, "_selected_action": [row.pk for row in rows], "confirmed": "yes"}
    return client.post(address(type(rows[0]), "changelist"), data, follow=True).content.decode()


@pytest.mark.parametrize(("action", "status"), [("pause", "paused"), ("cancel", "cancelled")])
def test_actions_change_batches_through_the_services(action: str, status: str, root: Client, owner: User) -> None:
    batch, other = make_batch(owner), make_batch(owner, status="completed")
    page = act(root, action, batch, other)
    batch.refresh_from_db()
    assert batch.status == status
    assert AuditEntry.objects.get().action == action
    assert "cannot be changed" in page


def test_batches_are_resumed_and_retried(root: Client, owner: User) -> None:
    paused = make_batch(owner, status="paused")
    act(root, "resume", paused)
    failed = make_batch(owner, status="failed", total=1, failed=1)
    Item.objects.create(batch=failed, position=0, key="a", status="failed", finished_at=timezone.now())
    act(root, "retry_failed", failed)
    assert sorted(Batch.objects.values_list("status", "failed")) == [("running", 0), ("running", 0)]


def test_a_provider_batch_need_not_wait_for_its_next_try(root: Client, owner: User) -> None:
    later = timezone.now() + timedelta(minutes=30)
    waiting = ProviderBatch.objects.create(batch=make_batch(owner), provider="p", size=1, due_at=later)
    done = ProviderBatch.objects.create(batch=make_batch(owner), provider="p", size=1, due_at=later, step="done")
    assert "1 are due now" in act(root, "hurry", waiting, done)
    waiting.refresh_from_db()
    assert waiting.due_at <= timezone.now()
    assert AuditEntry.objects.get().action == "hurry"


def test_staff_who_may_only_look_get_no_actions(client: Client, owner: User) -> None:
    looker = User.objects.create_user("looker", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_batch"))
    client.force_login(looker)
    batch = make_batch(owner)
    act(client, "cancel", batch)
    batch.refresh_from_db()
    assert batch.status == "running"


def test_a_key_is_issued_and_its_secret_shown_once(root: Client, owner: User) -> None:
    page = root.post(address(ApiKey, "add"), {"owner": owner.pk, "name": "phone"}, follow=True).content.decode()
    key = ApiKey.objects.get()
    secret = page[page.index("bsk_") :].split()[0]
    assert ApiKey.digest_of(secret) == key.digest
    for again in (address(ApiKey, "changelist"), address(ApiKey, "change", key.pk)):
        page = root.get(again).content.decode()
        assert secret not in page
        assert key.digest not in page


def test_a_key_is_revoked(root: Client, owner: User) -> None:
    key, _ = ApiKey.issue(owner_id=owner.pk, name="phone")
    act(root, "revoke", key)
    key.refresh_from_db()
    assert key.revoked_at is not None


@pytest.mark.parametrize("action", ["cancel", "retry_failed", "confirm_unknown", "give_up_unknown"])
def test_what_cannot_be_taken_back_is_asked_first(action: str, root: Client, owner: User) -> None:
    batch = make_batch(owner, name="<b>Spring</b>")
    data = {"action": action, "_selected_action": [batch.pk], "select_across": "0"}
    asked = root.post(address(Batch, "changelist"), data).content.decode()
    assert "&lt;b&gt;Spring&lt;/b&gt;" in asked
    assert f'name="_selected_action" value="{batch.pk}"' in asked
    assert f'name="action" value="{action}"' in asked
    batch.refresh_from_db()
    assert batch.status == "running"
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("model", [Batch, Item, ItemError, Lease, BatchHistogram, ProviderBatch, OptOut, Contact])
def test_a_search_is_one_condition(model: type[Model], root: Client, owner: User) -> None:
    fill(owner, 1)
    batch = Batch.objects.get()
    row = model._default_manager.get()
    found = {OptOut: owner.username, Contact: owner.username}.get(model, batch.public_id)
    for term, is_found in ((found, True), (f"{found}x", False), ("%", False)):
        with CaptureQueriesContext(connection) as queries:
            answer = root.get(address(model, "changelist"), {"q": f" {term} "})
        assert list(answer.context["cl"].result_list) == ([row] if is_found else [])
        searched = [query["sql"] for query in queries if f'FROM "{model._meta.db_table}"' in query["sql"]]
        assert searched or not is_found
        assert not any(" OR " in sql for sql in searched)


def test_numbers_are_masked_in_lists(root: Client, owner: User) -> None:
    fill(owner, 1)
    for model in (OptOut, Contact):
        number = model.objects.get().number
        page = root.get(address(model, "changelist")).content.decode()
        assert number[1:-3] not in page
        assert number[-3:] in page


def test_dates_sort_as_they_are_read(root: Client, owner: User) -> None:
    fill(owner, 1)
    shown = root.get(address(Batch, "changelist")).content.decode()
    assert f"{Batch.objects.get().created_at:%Y-%m-%d %H:%M:%S}" in shown

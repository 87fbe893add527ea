"""The admin's first page: everything at a glance, live, for who may look at batches."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from batches.models import Item, Lease, ProviderAccount, ProviderBatch, Worker
from tests.live.conftest import make_batch

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> User:
    return User.objects.create_user("alice")


def page(client: Client, path: str = "/admin/overview/") -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_the_first_page_has_the_figures_and_asks_for_them_again(admin_client: Client, owner: User) -> None:
    make_batch(owner, name="<b>Spring</b>", total=12_345)
    whole = page(admin_client, "/admin/")
    assert 'hx-get="/admin/overview/"' in whole
    assert "&lt;b&gt;Spring&lt;/b&gt;" in whole
    assert "0 of 12,345" in whole
    assert "No worker was seen" in whole


def test_it_tells_of_lanes_processes_accounts_and_what_waits(admin_client: Client, owner: User) -> None:
    later, now = timezone.now() + timedelta(hours=1), timezone.now()
    batch = make_batch(owner, total=3, channel="ai", priority="high")
    Item.objects.create(batch=batch, position=0, key="a", due_at=later)
    Item.objects.create(batch=batch, position=1, key="b", due_at=now - timedelta(seconds=40))
    Lease.objects.create(batch=batch, lane="ai.high", channel="ai", size=1, remaining=1, expires_at=later)
    doubtful = make_batch(owner, name="Campaign", channel="sms", status="completed", total=9, unknown=1, settled_at=now)
    Item.objects.create(batch=doubtful, position=0, key="c", status="unknown", finished_at=now)
    ProviderBatch.objects.create(batch=batch, provider="openai-gpt-5", size=500, step="submitted")
    ProviderAccount.objects.create(alias="openai-gpt-5", closed_until=later, reason="429 with Retry-After")
    figures = {"calls_per_second": {"twilio": 7.5}, "memory_mb": 130, "accepted": 1_500}
    Worker.objects.create(boot_id="w1", role="worker", hostname="h", process_id=1, in_flight=1_234, figures=figures)
    Worker.objects.create(boot_id="d1", role="dispatcher", hostname="h", process_id=2)

    text = page(admin_client)

    assert '<th scope="row">ai.high</th><td>3</td><td>1</td>' in text
    assert "<td>1,234</td><td>1,500</td>" in text
    assert "<td>dispatcher</td><td>0 s ago</td>" in text
    assert "closed until" in text
    assert "429 with Retry-After" in text
    assert "<td>7.5</td><td>high 8/s, normal 5/s, low 2/s</td>" in text
    assert "<strong>1</strong> items wait for another try or a limit" in text
    assert "<strong>1</strong> messages unknown" in text
    assert "Messages to settle" in text
    assert "<strong>0</strong> receipts without a message" in text
    assert "?step__exact=submitted" in text


def test_it_asks_as_many_queries_for_many_batches_as_for_few(admin_client: Client, owner: User) -> None:
    counts = []
    for _ in range(2):
        for _ in range(3):
            make_batch(owner, unknown=1, channel="sms")
        with CaptureQueriesContext(connection) as queries:
            page(admin_client)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_who_may_not_look_at_batches_sees_none_of_it(client: Client, owner: User) -> None:
    make_batch(owner, name="Spring")
    clerk = User.objects.create_user("clerk", is_staff=True)
    client.force_login(clerk)
    assert "Spring" not in page(client, "/admin/")
    assert client.get("/admin/overview/").status_code == 403
    clerk.user_permissions.add(Permission.objects.get(codename="view_batch"))
    assert "Spring" in page(client, "/admin/")


def test_others_are_sent_to_sign_in(client: Client, owner: User) -> None:
    client.force_login(owner)
    assert client.get("/admin/overview/").status_code == 302


def test_the_navigation_names_only_what_one_may_see(client: Client) -> None:
    clerk = User.objects.create_user("clerk", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_optout"))
    client.force_login(clerk)
    whole = page(client, "/admin/")
    assert "Opt-outs" in whole
    assert "API keys" not in whole


def test_no_page_of_the_admin_may_bring_a_script_of_its_own(admin_client: Client) -> None:
    policy = admin_client.get("/admin/").headers["Content-Security-Policy"]
    scripts = next(part for part in policy.split(";") if part.strip().startswith("script-src"))
    assert "'self'" in scripts
    assert "unsafe-inline" not in scripts

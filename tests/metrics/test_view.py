"""/metrics: who may read it, and that it says what the ledger says."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from batches.models import Item, Lease, ProviderAccount, Worker
from batches.options import BatchOptions, NewBatch, NewItem
from batches.running.tally import Tally
from batches.services import submit_batch
from batches.states import ItemStatus
from tests.engine_fixture import Engine
from tests.live.conftest import make_batch
from tests.metrics.test_tally import LIMITED, change
from tests.sandbox_fixture import SandboxServer

Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(client: Client, **headers: str) -> Values:
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.content.decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def value(values: Values, name: str, **labels: str) -> float | None:
    return values.get((f"batchsite_{name}", tuple(sorted(labels.items()))))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "status"), [("", 401), ("Bearer wrong", 401), ("Bearer sécret", 401), ("Bearer secret", 200)]
)
def test_where_a_token_is_set_it_is_wanted(client: Client, settings: Any, given: str, status: int) -> None:
    settings.METRICS_TOKEN = "secret"
    assert client.get("/metrics", headers={"Authorization": given}).status_code == status


@pytest.mark.django_db
@pytest.mark.parametrize(("production", "status"), [(False, 200), (True, 401)])
def test_without_a_token_only_development_is_open(client: Client, settings: Any, production: bool, status: int) -> None:
    settings.METRICS_TOKEN, settings.PRODUCTION = "", production
    given = "Bearer "
    assert client.get("/metrics", headers={"Authorization": given}).status_code == status


@pytest.mark.django_db
def test_staff_reads_it_signed_in_and_others_do_not(client: Client, admin_client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = "secret"
    assert admin_client.get("/metrics").status_code == 200
    client.force_login(User.objects.create_user("alice"))
    assert client.get("/metrics").status_code == 401


@pytest.mark.django_db
def test_it_says_what_processes_told_and_what_the_ledger_holds(client: Client) -> None:
    owner = User.objects.create_user("alice")
    batch = make_batch(owner, total=3, channel="ai", priority="high")
    Item.objects.create(batch=batch, position=0, key="a", due_at=timezone.now() - timedelta(seconds=40))
    Lease.objects.create(batch=batch, lane="ai.high", channel="ai", size=2, remaining=2, expires_at=timezone.now())
    ProviderAccount.objects.create(alias="openai-gpt-5", closed_until=timezone.now() + timedelta(seconds=60))
    tally = Tally()
    tally.add([change(ItemStatus.SUCCEEDED, ms=700, queued_ms=250)])
    tally.add([change(ItemStatus.PENDING, fault=LIMITED, ms=10, waited_ms=500)])
    figures = {"tally": tally.as_figures(), "memory_mb": 120, "unrecorded": 4}
    Worker.objects.create(boot_id="w", role="worker", hostname="h", process_id=1, in_flight=7, figures=figures)
    Worker.objects.create(boot_id="d", role="dispatcher", hostname="h", process_id=2, figures={"rescued": 5})
    gone = timezone.now() - timedelta(minutes=1)
    Worker.objects.create(boot_id="gone", role="worker", hostname="h", process_id=3, seen_at=gone, figures=figures)

    values = scrape(client)

    assert value(values, "items_unfinished", lane="ai.high") == 3
    assert 39 <= (value(values, "oldest_due_seconds", lane="ai.high") or 0) < 60
    assert value(values, "items_leased", lane="ai.high") == 2
    assert value(values, "batches_open", status="running") == 1
    assert 50 < (value(values, "provider_closed_seconds", provider="openai-gpt-5") or 0) < 61
    assert value(values, "process_up", process="w", role="worker") == 1
    assert value(values, "calls_in_flight", process="w") == 7
    assert value(values, "memory_megabytes", process="w") == 120
    outcome = {"provider": "openai-gpt-5", "process": "w"}
    assert value(values, "outcomes_total", outcome="succeeded", category="", **outcome) == 1
    assert value(values, "outcomes_total", outcome="pending", category="rate_limit", **outcome) == 1
    assert value(values, "call_seconds_bucket", le="0.05", **outcome) == 1
    assert value(values, "call_seconds_bucket", le="1.0", **outcome) == 2
    assert value(values, "call_seconds_sum", **outcome) == pytest.approx(0.71)
    assert value(values, "limit_wait_seconds_total", **outcome) == 0.5
    assert value(values, "queue_wait_seconds_total", **outcome) == 0.25
    assert value(values, "recorder_groups_total", process="w") == 2
    assert value(values, "recorder_items_total", process="w") == 2
    assert value(values, "leases_rescued_total", process="d") == 5
    assert value(values, "process_up", process="gone", role="worker") is None


@pytest.mark.django_db
def test_it_asks_as_many_queries_for_many_batches_as_for_few(client: Client) -> None:
    owner, counts = User.objects.create_user("alice"), []
    for _ in range(2):
        for _ in range(3):
            make_batch(owner)
        with CaptureQueriesContext(connection) as queries:
            scrape(client)
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.mark.django_db(transaction=True)
def test_a_real_worker_tells_what_it_did(client: Client, engine: Engine, sandbox: SandboxServer) -> None:
    owner = User.objects.create_user("alice")
    items = [NewItem(f"{n}", {"url": f"https://x.test/{n}.jpg", "filename": f"{n}.jpg"}) for n in range(20)]
    new = NewBatch(operation="rate_photos", provider="openai-gpt-5", items=items, options=BatchOptions())
    submit_batch(owner_id=owner.pk, new=new)

    def succeeded() -> float:
        found = [
            number
            for (name, labels), number in scrape(client).items()
            if name == "batchsite_outcomes_total" and ("outcome", "succeeded") in labels
        ]
        return sum(found)

    deadline = time.monotonic() + 40
    while succeeded() < 20 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert succeeded() >= 20  # the worker may have run other tests' items before

"""/metrics on what waits for somebody, in both of the formats, and by indexes that grow with nothing else."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from batches.metrics import ledger
from batches.models import DeliveryReceipt, Item, ProviderAccount, ProviderBatch, Worker
from batches.operations.messages import sms
from batches.running.tally import OPTED_OUT, Tally
from batches.states import ItemStatus, Step
from tests.live.conftest import make_batch
from tests.metrics.test_tally import LIMITED, change
from tests.metrics.test_view import scrape, value

pytestmark = pytest.mark.django_db


def test_what_waits_for_somebody(client: Client) -> None:
    batch = make_batch(User.objects.create_user("alice"), total=4, channel="sms")
    later = timezone.now() + timedelta(hours=1)
    for position, status in enumerate((ItemStatus.PENDING, ItemStatus.PENDING, ItemStatus.UNKNOWN)):
        finished = None if status == ItemStatus.PENDING else timezone.now()
        Item.objects.create(
            batch=batch, position=position, key=f"{position}", due_at=later, status=status, finished_at=finished
        )
    ProviderAccount.objects.create(alias="twilio", opened_at=timezone.now(), opened_for="http_401")
    ProviderAccount.objects.create(alias="plivo")
    DeliveryReceipt.objects.create(provider="twilio", provider_reference="SM1", status="sent")
    applied = {"status": "delivered", "applied_at": timezone.now()}
    DeliveryReceipt.objects.create(provider="twilio", provider_reference="SM2", **applied)
    for step in (Step.SUBMITTED, Step.SUBMITTED, Step.DONE):
        ProviderBatch.objects.create(batch=batch, provider="openai-gpt-5", step=step, size=500)
    tally = Tally()
    tally.add([change(ItemStatus.FAILED, fault=sms._OPTED_OUT.fault)])
    Worker.objects.create(boot_id="w", hostname="h", process_id=1, figures={"tally": tally.as_figures()})

    values = scrape(client)

    assert value(values, "items_waiting") == 2
    assert value(values, "messages_unknown") == 1
    assert value(values, "receipts_waiting") == 1
    assert value(values, "provider_breaker_open", provider="twilio") == 1
    assert value(values, "provider_breaker_open", provider="plivo") == 0
    assert value(values, "provider_batches", provider="openai-gpt-5", step="submitted") == 2
    assert value(values, "provider_batches", provider="openai-gpt-5", step="done") is None
    assert value(values, "opt_outs_refused_total", provider="openai-gpt-5", process="w") == 1
    assert sms._OPTED_OUT.fault.code == OPTED_OUT


def test_what_is_counted_is_bounded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "COUNTED_AT_MOST", 2)
    for number in range(5):
        DeliveryReceipt.objects.create(provider="twilio", provider_reference=f"SM{number}", status="sent")
    assert value(scrape(client), "receipts_waiting") == 2


def test_the_stricter_format_is_kept_as_well(client: Client) -> None:
    """OpenMetrics wants units, endings and an end; its parser refuses what is not exactly so."""
    tally = Tally()
    tally.add([change(ItemStatus.SUCCEEDED, ms=700), change(ItemStatus.PENDING, fault=LIMITED, ms=10, waited_ms=500)])
    Worker.objects.create(boot_id='w"\n', hostname="h", process_id=1, figures={"tally": tally.as_figures()})
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    parsed = text_string_to_metric_families(answer.content.decode())  # type: ignore[no-untyped-call]
    families = {family.name: family for family in parsed}
    assert families["batchsite_call_seconds"].type == "histogram"
    assert families["batchsite_opt_outs_refused"].type == "counter"


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (ledger._LANES, "item_due"),
        (ledger._BATCHES, "batch_unsettled"),
        (ledger._BACKLOG, "item_due"),
        (ledger._UNKNOWN, "item_in_doubt"),
        (ledger._RECEIPTS, "delivery_receipt_open"),
        (ledger._PROVIDER_BATCHES, "provider_batch_due"),
    ],
)
def test_an_index_of_what_is_open_serves_it(statement: str, index: str) -> None:
    """Of empty tables Postgres would rather read all: it is kept from that, and shows what it could use."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"EXPLAIN {statement}", [1] if "%s" in statement else [])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert re.search(rf"using {index}\b", plan), plan
    assert "Seq Scan" not in plan

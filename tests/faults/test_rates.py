"""The SMS priorities' rates, held globally by three workers; measured by the sandbox's clock."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth import get_user_model

from batches.models import Batch
from batches.services import submit_batch
from tests.engine_fixture import Engine
from tests.faults.campaign import busiest_second, message_batch, wait_until
from tests.sandbox_fixture import SandboxServer

pytestmark = pytest.mark.django_db(transaction=True)

RATES = {"high": 8, "normal": 5, "low": 2}
SECONDS = 10


def test_three_workers_hold_each_priority_to_its_rate(sandbox: SandboxServer, tmp_path: Path) -> None:
    owner = get_user_model().objects.create(username="alice")
    sandbox.configure(latency_ms=100)
    with Engine(sandbox, tmp_path) as engine:
        engine.start(workers=3)
        batches = {
            priority: submit_batch(owner_id=owner.pk, new=message_batch(rate * SECONDS, priority))
            for priority, rate in RATES.items()
        }
        wait_until(lambda: Batch.objects.filter(settled_at__isnull=False).count() == 3, "all sent", engine, 60)

    entries = sandbox.log()
    for priority, rate in RATES.items():
        references = {str(attempt) for attempt in batches[priority].items.values_list("attempt_id", flat=True)}
        instants = sorted(entry["at"] for entry in entries if entry["reference"] in references)
        assert len(instants) == rate * SECONDS
        measured = (len(instants) - 1) / (instants[-1] - instants[0])
        assert rate * 0.95 <= measured <= rate * 1.005, (priority, measured)
        assert busiest_second(instants) <= rate + 1

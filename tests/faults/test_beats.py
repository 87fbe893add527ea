"""Two beats on one stack: every periodic task runs twice as often as it should, and does no harm."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.sessions.models import Session
from django.db.models.functions import Now

from batches.files import Upload, store_uploads
from batches.models import IdempotentReply, StoredFile, Worker
from batchsite.celery import app
from tests.engine_fixture import Engine
from tests.faults.campaign import assert_ended_well, owner, statuses, under_load, wait_until, wait_until_settled
from tests.faults.conftest import PROCESS_NAME, Measure
from tests.sandbox_fixture import SandboxServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

ROUNDS = 10
OLD_ROWS = 200


def leave_old_and_fresh_rows() -> None:
    """Of everything that is swept: many that have expired, and one that has not."""
    alice = owner()
    for age, number in ((timedelta(hours=48), OLD_ROWS), (timedelta(), 1)):
        for row in range(number):
            name = f"{age}-{row}"
            reply = IdempotentReply(owner=alice, key=name, fingerprint="", status_code=202, body={})
            reply.save()
            IdempotentReply.objects.filter(pk=reply.pk).update(created_at=Now() - age)
            Session.objects.create(session_key=name, session_data="", expire_date=Now() + timedelta(hours=1) - age)
        files = store_uploads(alice.pk, [Upload(f"{age}", "text/plain", b"x")] * number, for_batch=True)
        StoredFile.objects.filter(pk__in=[file.pk for file in files]).update(created_at=Now() - age)
    Worker.objects.create(boot_id="died long ago", hostname="h", process_id=1, seen_at=Now() - timedelta(hours=48))


def test_two_beats_do_no_harm(sandbox: SandboxServer, tmp_path: Path, measure: Measure) -> None:
    with Engine(sandbox, tmp_path, PROCESS_NAME=PROCESS_NAME) as engine:
        engine.start(workers=2)
        leave_old_and_fresh_rows()
        campaign = under_load(sandbox, engine)
        beats = [
            engine.start_other(
                *("-m", "celery", "-A", "tests.faults.beating", "beat", "--pidfile=", "--loglevel", "INFO"),
                *("--schedule", str(tmp_path / f"beat-{number}")),
            )
            for number in range(2)
        ]
        logs = sorted(tmp_path.glob("process-*.log"))
        sent = [dict.fromkeys(app.conf.beat_schedule, 0) for _ in beats]

        def both_have_sent_all() -> bool:
            for counts, log in zip(sent, logs[-2:], strict=True):
                text = log.read_text()
                counts.update({name: text.count(f"Sending due task {name}") for name in counts})
            return all(count >= ROUNDS for counts in sent for count in counts.values())

        wait_until(both_have_sent_all, "both beats beat", engine)
        wait_until_settled(campaign, engine)
        swept = sum(log.read_text().count("Swept {") for log in logs)
        wait_until(lambda: sum(log.read_text().count("Swept {") for log in logs) > swept, "swept again", engine)
        engine.stop(*beats)

        measure("periodic tasks sent by both", sum(count for counts in sent for count in counts.values()))
        measure("sweeps that ran", swept)
        assert swept >= ROUNDS
        assert IdempotentReply.objects.count() == Session.objects.count() == StoredFile.objects.count() == 1
        assert not Worker.objects.filter(pk="died long ago").exists()
        assert not re.search(r"Traceback| (ERROR|CRITICAL) ", "".join(log.read_text() for log in logs))
        assert_ended_well(campaign, engine)
        assert set(statuses(campaign.messages)) == {"succeeded"}

"""Document 004's views and the pages of an owner with ten thousand batches and five million items: how long each takes.

The rows are made by SQL on a Postgres of its own; the requests go through the whole of Django, without a network. Run
by itself: ``python -m benchmarks.history [BATCHES] [ITEMS]``; prints a Markdown table.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from batchsite.launcher.postgres import Postgres
from benchmarks.stack import ROOT

REPEATS = 30
GOAL_MILLISECONDS = 100
PATHS = (
    "/api/batch/history?limit=100",
    "/api/batch/history?status=completed&operation=annotate&limit=20&offset=5000",
    "/api/batch/history?createdAfter=2026-01-10&createdBefore=2026-01-20&limit=100",
    "/api/batch/stats",
    "/api/batch/{id}/viz",
    "/api/batch/{id}/analytics",
    "/api/batch/{id}/results?limit=100",
    "/api/usage",
    "/",
    "/?q=Batch+77&status=completed",
    "/batches/{id}",
    "/batches/{id}?q=node-77",
    "/batches/{id}/state",
)

BATCHES = """
    INSERT INTO batches_batch (
        public_id, owner_id, operation, channel, provider, name, description, subject, mode, parameters, warnings,
        status, priority, auto_start, retry_window_seconds, timeout_ms, total, succeeded, failed, cancelled, unknown,
        error, created_at, loaded_at, started_at, completed_at, settled_at, source_offset, source_position)
    SELECT 'batch_' || place, %(owner)s, (ARRAY['annotate', 'import', 'export', 'rate_photos'])[1 + place %% 4],
           'ai', '', 'Batch ' || place, '', '', 'fast', '{}', '[]',
           CASE WHEN place %% 50 = 0 THEN 'failed' ELSE 'completed' END,
           'normal', true, 3600, 30000, %(each)s, %(each)s - 10, 10, 0, 0, '',
           at, at, at, at + interval '20 minutes', at + interval '20 minutes', 0, 0
      FROM (
        SELECT place, now() - place * interval '4 minutes' AS at FROM generate_series(1, %(batches)s) AS place
      ) AS made
"""
ITEMS = """
    INSERT INTO batches_item (batch_id, position, key, input, status, due_at, attempts, failures, deaths, result,
        quality, duration_ms, provider_reference, error_category, error_code, error_message, finished_at)
    SELECT batch.id, place, 'node-' || place, '{}', CASE WHEN place < 10 THEN 'failed' ELSE 'succeeded' END, now(),
           1, 0, 0, '{"description": "Invoice processing", "tags": ["finance"]}', 0.9, 1180, '', '', '', '', now()
      FROM batches_batch AS batch CROSS JOIN generate_series(0, %(each)s - 1) AS place
"""
HISTOGRAMS = """
    INSERT INTO batches_batchhistogram (batch_id, measure, bucket, count)
    SELECT batch.id, measure, bucket, count FROM batches_batch AS batch CROSS JOIN LATERAL (
        SELECT 'finished', (EXTRACT(EPOCH FROM batch.started_at) / 10)::int + slot, %(each)s / 100
          FROM generate_series(1, 100) AS slot
        UNION ALL SELECT 'duration', 200 + bucket, %(each)s / 60 FROM generate_series(1, 60) AS bucket
        UNION ALL SELECT 'quality', bucket, %(each)s / 20 FROM generate_series(0, 19) AS bucket
        UNION ALL SELECT kind || category, (EXTRACT(EPOCH FROM batch.started_at) / 86400)::int, 5
          FROM unnest(ARRAY['failed:', 'error:']) AS kind CROSS JOIN unnest(ARRAY['timeout', 'content']) AS category
        UNION ALL SELECT measure, (EXTRACT(EPOCH FROM batch.started_at) / 86400)::int, %(each)s
          FROM unnest(ARRAY['ended', 'ended_badly', 'calls']) AS measure
        UNION ALL SELECT 'duration_sum', 0, %(each)s * 1180
    ) AS counted (measure, bucket, count)
"""


def measure(batches: int, items: int) -> str:
    """On a Postgres of its own with the settings of ``bin/up``."""
    folder = Path(tempfile.mkdtemp(prefix="batchsite-bench-"))
    folder.chmod(0o711)  # as root, Postgres runs as another account
    postgres = Postgres(folder / "postgres")
    try:
        environment = {**os.environ, "DATABASE_URL": postgres.start(), "BATCHSITE_DATA": str(folder)}
        environment["DJANGO_SETTINGS_MODULE"] = "batchsite.settings"
        migrate = [sys.executable, "manage.py", "migrate", "--noinput", "--verbosity", "0", "--skip-checks"]
        subprocess.run(migrate, cwd=ROOT, env=environment, check=True)
        command = [sys.executable, "-m", "benchmarks.history", "inside", str(batches), str(items)]
        printed = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        return printed.stdout
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def run(batches: int, items: int) -> str:
    """Fill the database, then ask for every path again and again."""
    import django

    django.setup()
    from django.contrib.auth import get_user_model
    from django.test import Client

    from batches.models import ApiKey, Batch

    owner = get_user_model().objects.create(username="owner")
    fill(owner.pk, batches, items // batches)
    _, secret = ApiKey.issue(owner_id=owner.pk, name="benchmark")
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    client.force_login(owner)  # pages know sessions alone
    batch_id = Batch.objects.order_by("id")[batches // 2].public_id
    lines = [f"### {batches:,} batches of one owner, {items:,} items", ""]
    lines += ["| request | median, ms | slowest of 30, ms |", "|---|---|---|"]
    for path in PATHS:
        seconds = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            response = client.get(path.format(id=batch_id))
            seconds.append(time.perf_counter() - began)
            assert response.status_code == 200, response.content
        lines.append(f"| `{path}` | {statistics.median(seconds) * 1000:.1f} | {max(seconds) * 1000:.1f} |")
    return "\n".join(lines)


def fill(owner_id: int, batches: int, each: int) -> None:
    """Batches, their items and their histograms, each in one statement."""
    from django.db import connection

    parameters = {"owner": owner_id, "batches": batches, "each": each}
    with connection.cursor() as cursor:
        for statement in (BATCHES, ITEMS, HISTOGRAMS):
            cursor.execute(statement, parameters)
        for table in ("batches_batch", "batches_item", "batches_batchhistogram"):
            cursor.execute(f"VACUUM ANALYZE {table}")
        cursor.execute("CHECKPOINT")


if __name__ == "__main__":
    if sys.argv[1:2] == ["inside"]:
        print(run(int(sys.argv[2]), int(sys.argv[3])))
    else:
        numbers = [int(argument) for argument in sys.argv[1:]]
        print(measure(*(numbers or [10_000, 5_000_000])))

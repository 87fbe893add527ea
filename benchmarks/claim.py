"""The dispatcher's claim on a full ledger: how long it takes, how fair it is, and what a long snapshot does to it.

A million pending items in a hundred batches of ten owners. Nothing is called: each claim's items are accepted and
recorded as succeeded by the engine's own statements, so that the rows die as they do in earnest. Run as a process of
its own on an empty database: ``python -m benchmarks.claim ITEMS FINISHED``; prints JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from batchsite.launcher.postgres import Postgres
from benchmarks.stack import ROOT

if TYPE_CHECKING:
    from batches.dispatching.allotment import Allotment
    from batches.dispatching.claim import Route
    from batches.dispatching.floors import Floors

OWNERS, BATCHES_EACH = 10, 10
WORKERS, CAPACITY = 2, 3_000
GOAL_SECONDS = 0.1
COUNTED_CLAIMS = 25
"""Claims of the quiet part, and the last ones of the other."""
INPUT = '{"url": "https://example.com/photos/1.jpg", "filename": "1.jpg"}'
RATING = {"starRating": 4, "colorLabel": "green", "title": "A pier", "description": "A pier at dusk.", "tags": ["sea"]}


@dataclass(frozen=True, slots=True)
class Memory:
    """What the dispatcher remembers from claim to claim."""

    allotment: Allotment
    floors: Floors


@dataclass(frozen=True, slots=True)
class Claims:
    """Some claims in a row: their seconds, and the fewest and most items that an owner and a batch got in one.

    ``suspects``: seconds of the look for suspects, which the dispatcher takes before each claim.
    """

    label: str
    seconds: list[float]
    suspects: list[float]
    per_owner: tuple[int, int]
    per_batch: tuple[int, int]
    plan: str

    @property
    def median(self) -> float:
        """The median claim, in seconds."""
        return statistics.median(self.seconds)


def measure(*, items: int, finished: int) -> list[Claims]:
    """On a Postgres of its own with the settings of ``bin/up``."""
    folder = Path(tempfile.mkdtemp(prefix="batchsite-bench-"))
    folder.chmod(0o711)  # as root, Postgres runs as another account
    postgres = Postgres(folder / "postgres")
    try:
        environment = {**os.environ, "DATABASE_URL": postgres.start(), "BATCHSITE_DATA": str(folder)}
        migrate = [sys.executable, "manage.py", "migrate", "--noinput", "--verbosity", "0", "--skip-checks"]
        subprocess.run(migrate, cwd=ROOT, env=environment, check=True)
        command = [sys.executable, "-m", "benchmarks.claim", str(items), str(finished)]
        printed = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        return [Claims(**each) for each in json.loads(printed.stdout)]
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def run(items: int, finished: int) -> list[Claims]:
    """Fill the database; claim in quiet; claim and finish while another session holds an old snapshot."""
    from django.conf import settings

    from batches.dispatching.allotment import Allotment
    from batches.dispatching.floors import Floors

    fill(items)
    memory = Memory(Allotment(), Floors())
    quiet = claims("quiet", memory, number=COUNTED_CLAIMS)
    with psycopg.connect(settings.DATABASE_URL) as export:
        export.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        export.execute("SELECT count(*) FROM batches_batch")
        held = claims("old snapshot", memory, number=finished // 2_000)
    return [quiet, held]


def fill(items: int) -> None:
    """Owners, their running batches, and every item in one statement; then what autovacuum does within a minute."""
    from django.contrib.auth import get_user_model
    from django.db import connection
    from django.utils import timezone

    from batches.models import Batch

    owners = [get_user_model().objects.create(username=f"owner-{number}") for number in range(OWNERS)]
    each = items // (OWNERS * BATCHES_EACH)
    now = timezone.now()
    common: dict[str, Any] = {"operation": "rate_photos", "channel": "ai", "provider": "openai-gpt-5", "total": each}
    common |= {"status": "running", "loaded_at": now, "started_at": now}
    Batch.objects.bulk_create(Batch(owner=owner, **common) for owner in owners for _ in range(BATCHES_EACH))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO batches_item (batch_id, position, key, input, status, attempts, failures, deaths,"
            " provider_reference, error_category, error_code, error_message)"
            " SELECT batch.id, place, 'image-' || place, %s, 'pending', 0, 0, 0, '', '', '', ''"
            "   FROM batches_batch AS batch CROSS JOIN generate_series(0, %s) AS place",
            [INPUT, each - 1],
        )
        cursor.execute("VACUUM ANALYZE batches_item")
        cursor.execute("CHECKPOINT")


def claims(label: str, memory: Memory, *, number: int) -> Claims:
    """Claim so often, finishing in between what was claimed; the last ones count."""
    from batches.dispatching import claim, rescue
    from batches.dispatching.window import read_window
    from batches.models import Batch
    from batches.running.watch import heartbeat

    owner_of = dict(Batch.objects.values_list("pk", "owner_id"))
    seconds, suspects, per_owner, per_batch = [], [], [], []
    for turn in range(number):
        for worker in range(WORKERS):
            heartbeat(f"worker-{worker}", "worker", {"ai": CAPACITY}, 0)
        started = time.perf_counter()
        now = time.monotonic()
        window = read_window()
        shares, routes = memory.allotment.shares(window, now)
        claimed = claim.claim(shares, routes, memory.floors)
        memory.allotment.took(window, shares, claimed.taken, now)
        seconds.append(time.perf_counter() - started)
        if turn >= number - COUNTED_CLAIMS:
            started = time.perf_counter()
            rescue.claim_suspects(window)
            suspects.append(time.perf_counter() - started)
        owners = Counter[int]()
        for batch_id, taken in claimed.taken.items():
            owners[owner_of[batch_id]] += taken
        per_owner += list(owners.values())
        per_batch += list(claimed.taken.values())
        finish([lease_id for lease_id, _ in claimed.leases])
    return Claims(
        label,
        seconds[-COUNTED_CLAIMS:],
        suspects,
        per_owner=(min(per_owner), max(per_owner)),
        per_batch=(min(per_batch), max(per_batch)),
        plan=plan_of(shares, memory.floors, routes),
    )


def finish(lease_ids: Sequence[int]) -> None:
    """What workers do with the leases: accept them, and record every item in groups."""
    from batches.backoff import RetryPolicy
    from batches.outcomes import Succeeded
    from batches.running import leases
    from batches.running.changes import Held, change_of
    from batches.running.recorder import GROUP_SIZE, write

    policy = RetryPolicy(max_retries=None, window_seconds=3600, backoff_seconds=None)
    accepted = [leases.accept(lease_id, "worker-0") for lease_id in lease_ids]
    changes = []
    for lease in accepted:
        assert lease is not None
        for item in lease.items:
            held = Held(item, lease.batch_id, lease.id, "openai-gpt-5", True, policy)
            changes.append(change_of(Succeeded(RATING, quality=0.75), held, duration_seconds=1.0))
    for start in range(0, len(changes), GROUP_SIZE):
        write(changes[start : start + GROUP_SIZE])


def plan_of(shares: Mapping[int, int], floors: Floors, routes: Mapping[int, Route]) -> str:
    """The plan of the next claim's first statement as it really runs; nothing of it is kept."""
    from django.db import connection, transaction

    from batches.dispatching import claim

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {claim.CLAIM}", claim.claim_parameters(shares, floors, routes))
        lines = [line for (line,) in cursor.fetchall()]
        transaction.set_rollback(True)
    return "\n".join(lines)


def describe(claims: Claims) -> str:
    return f"{claims.label}: median {claims.median * 1000:.0f} ms, slowest {max(claims.seconds) * 1000:.0f} ms"


def report(measured: Sequence[Claims], *, items: int, finished: int) -> str:
    """A Markdown table and the plans."""
    lines = [
        f"### Claims of 2,000 among {items:,} pending items in {OWNERS * BATCHES_EACH} batches of {OWNERS} owners",
        "",
        f"Window, allotment, items and leases together, {COUNTED_CLAIMS} claims each. Old snapshot: another session"
        f" keeps a REPEATABLE READ transaction open while {finished:,} items are claimed and finished; the last claims"
        " count.",
        "",
        "| ledger | median, ms | slowest, ms | under 100 ms | suspects, ms | per owner and claim | per batch |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in measured:
        slowest = max(each.seconds)
        times = f"{each.median * 1000:.0f} | {slowest * 1000:.0f} | {'yes' if slowest < GOAL_SECONDS else '**no**'}"
        suspects = f"{statistics.median(each.suspects) * 1000:.0f}"
        shares = f"{each.per_owner[0]} to {each.per_owner[1]} | {each.per_batch[0]} to {each.per_batch[1]}"
        lines.append(f"| {each.label} | {times} | {suspects} | {shares} |")
    for each in measured:
        lines += ["", f"Plan, {each.label}:", "", "```", each.plan, "```"]
    return "\n".join(lines)


if __name__ == "__main__":
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchsite.settings")
    django.setup()
    print(json.dumps([asdict(each) for each in run(int(sys.argv[1]), int(sys.argv[2]))]))

"""What must hold at the end, read from the ledger and from the witness."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.stack import Stack

SETTLE_SECONDS = 600.0
ENDED_ITSELF = re.compile(r"makes no progress|ends itself")

_COUNTERS = """
    SELECT count(*) FROM batches_batch AS batch
     CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE status = 'succeeded') AS succeeded,
               count(*) FILTER (WHERE status = 'failed') AS failed,
               count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
               count(*) FILTER (WHERE status = 'unknown') AS unknown, count(*) AS total
          FROM batches_item WHERE batch_id = batch.id
     ) AS rows
     WHERE (batch.succeeded, batch.failed, batch.cancelled, batch.unknown, batch.total)
        IS DISTINCT FROM (rows.succeeded, rows.failed, rows.cancelled, rows.unknown, rows.total)
"""
_MESSAGES = """
    SELECT item.status, item.input->>'to', item.attempt_id::text
      FROM batches_item AS item JOIN batches_batch AS batch ON batch.id = item.batch_id
     WHERE batch.operation = 'sms'
"""


def wait_until_settled(url: str) -> float:
    """Seconds until no batch is open, or until that takes too long; then :func:`broken_promises` finds them."""
    began = time.monotonic()
    while True:
        with psycopg.connect(url, autocommit=True) as connection:
            (left,) = connection.execute("SELECT count(*) FROM batches_batch WHERE settled_at IS NULL").fetchone() or ()
        if not left or time.monotonic() > began + SETTLE_SECONDS:
            return time.monotonic() - began
        time.sleep(1)


def broken_promises(stack: Stack, submitted: list[str]) -> list[str]:
    """Every promise that was not kept, in words; none at all is what must come out."""
    broken = []
    with psycopg.connect(stack.environment()["DATABASE_URL"], autocommit=True) as connection:

        def number(statement: str, *parameters: Any) -> int:
            row = connection.execute(statement.encode(), parameters).fetchone()
            assert row is not None
            return int(row[0])

        counts = {
            "batches are missing or doubled": abs(number("SELECT count(*) FROM batches_batch") - len(set(submitted))),
            "batches are still open": number("SELECT count(*) FROM batches_batch WHERE settled_at IS NULL"),
            "batches whose counters are not their rows": number(_COUNTERS),
            "items are not final": number(
                "SELECT count(*) FROM batches_item WHERE status NOT IN ('succeeded', 'failed', 'cancelled', 'unknown')"
            ),
            "photos did not succeed": number(
                "SELECT count(*) FROM batches_item AS item JOIN batches_batch AS batch ON batch.id = item.batch_id"
                " WHERE batch.operation = 'rate_photos' AND item.status <> 'succeeded'"
            ),
            "leases are left": number("SELECT count(*) FROM batches_lease"),
        }
        messages = connection.execute(_MESSAGES).fetchall()
    broken += [f"{value} {what}" for what, value in counts.items() if value]
    accepted = [entry for entry in stack.sandbox("GET", "log") if entry["provider"] == "twilio" and entry["accepted"]]
    times = Counter(entry["to"] for entry in accepted)
    references = {entry["reference"] for entry in accepted}
    broken += [f"{count} messages to one number" for count in times.values() if count > 1]
    for status, to, attempt in messages:
        if status not in {"succeeded", "unknown"}:
            broken.append(f"a message is {status}")
        if status == "succeeded" and attempt not in references:
            broken.append("a message that succeeded was never accepted")
        if status == "unknown" and times[to] and attempt not in references:
            broken.append("a message in doubt has another attempt's id")
    return broken


def ended_themselves(logs: Path) -> list[str]:
    """Lines by which processes said that they made no progress."""
    return [line for log in logs.glob("*.log*") for line in log.read_text().splitlines() if ENDED_ITSELF.search(line)]

"""The naive peer: Celery as most people first write it. An item per message, ``requests``, and a save per item.

It keeps its results, in our own tables and on the same Postgres and Redis, but promises nothing: a killed worker loses
what it had. Each task holds its database connection during the call, so Postgres's connections bound what is in flight.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time

from celery import Celery

from benchmarks.stack import ROOT, Stack

IN_FLIGHT = 80
"""Per worker: each holds a connection of its own, and Postgres has 200 for everybody."""

app = Celery("naive", broker=os.environ.get("REDIS_URL", ""))
app.conf.update(
    broker_transport_options={"global_keyprefix": "naive:", "max_connections": 1000},
    task_ignore_result=True,
    worker_hijack_root_logger=False,
)


@app.task(name="naive.rate")
def rate(item_id: int, url: str) -> None:
    """Get the item, make the call, save the item."""
    import requests
    from django.utils import timezone

    from batches.models import Item
    from benchmarks.bare_loop import body

    item = Item.objects.get(pk=item_id)
    response = requests.post(url, json=body(item.position), headers={"Authorization": "Bearer sandbox"}, timeout=30)
    item.result = json.loads(response.json()["choices"][0]["message"]["content"])
    item.status = "succeeded"
    item.finished_at = timezone.now()
    item.save()


def run(items: int, url: str) -> float:
    """Publish the items one by one and wait for the last save; items a second."""
    import django

    django.setup()
    from django.contrib.auth import get_user_model

    from batches.models import Batch, Item
    from batches.options import BatchOptions, NewBatch, NewItem
    from batches.services import submit_batch

    owner = get_user_model().objects.order_by("pk")[0]
    content = [NewItem(str(number), {"url": f"https://example.com/photos/{number}.jpg"}) for number in range(items)]
    started = time.perf_counter()
    batch: Batch = submit_batch(
        owner_id=owner.pk,
        new=NewBatch(
            operation="rate_photos", provider="openai-gpt-5", items=content, options=BatchOptions(auto_start=False)
        ),
    )
    for item_id in Item.objects.filter(batch=batch).values_list("pk", flat=True):
        rate.delay(item_id, url)
    while Item.objects.filter(batch=batch, status="pending").exists():
        time.sleep(0.1)
    return items / (time.perf_counter() - started)


def measure(stack: Stack, *, items: int, latency_ms: int) -> float:
    """Items a second of two gevent workers, on the servers and the sandbox of a running system."""
    stack.sandbox("PUT", "config", {"latency_ms": latency_ms, "jitter_ms": 0})
    url = f"http://127.0.0.1:{stack.sandbox_port}/openai-gpt-5/v1/chat/completions"
    celery = [sys.executable, "-m", "celery", "-A", "benchmarks.naive", "worker", "-P", "gevent", "-c", str(IN_FLIGHT)]
    environment = {**stack.environment(), "DJANGO_SETTINGS_MODULE": "benchmarks.naive_settings"}
    with contextlib.ExitStack() as cleanup:
        for number in range(2):
            worker = subprocess.Popen(
                [*celery, "-n", f"naive{number}@%h", "--loglevel", "ERROR"],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            cleanup.callback(worker.wait, 60)
            cleanup.callback(worker.terminate)
        time.sleep(5)  # until both consume; not counted
        command = [sys.executable, "-m", "benchmarks.naive", str(items), url]
        printed = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
        return float(printed.stdout)


def report(rate_measured: float, engine: float, *, items: int) -> str:
    """A Markdown table."""
    return "\n".join(
        [
            f"### Naive Celery, {items:,} photos, 2 workers with {IN_FLIGHT} greenlets each",
            "",
            "| naive, items/s | engine, items/s (median above) | engine : naive |",
            "|---|---|---|",
            f"| {rate_measured:,.0f} | {engine:,.0f} | **{engine / rate_measured:.1f}** |",
        ]
    )


if __name__ == "__main__":
    print(run(int(sys.argv[1]), sys.argv[2]))

"""What goes on in fast mode: at a near deadline, and failed lines where somebody asked for it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from batches.dispatching import claim
from batches.dispatching.allotment import Allotment
from batches.dispatching.window import read_window
from batches.economy.deadline import turn_fast
from batches.models import Batch, Item
from providers.base import LineResult, RemoteState
from tests.economy.driving import PAST, economy_batch, step
from tests.economy.scripted import Remote, echo, failure
from tests.engine.dispatching import worker
from tests.engine.ledger import accepted, statuses

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_deadline_moves_what_is_unfinished_to_fast_mode(scripted: Remote) -> None:
    scripted.state = lambda stored: RemoteState.ENDED if stored.cancelled else RemoteState.WAITING
    scripted.results = lambda stored, lines: lines[:1]
    batch = economy_batch(3, deadline_at=timezone.now() + timedelta(hours=10))
    step()
    assert batch.fast_since is None
    Batch.objects.filter(pk=batch.pk).update(
        created_at=timezone.now() - timedelta(hours=10), deadline_at=timezone.now() + timedelta(minutes=30)
    )
    for _ in range(4):
        step()
    batch.refresh_from_db()
    assert batch.fast_since is not None
    assert statuses(batch) == ["succeeded", "pending", "pending"]
    assert Item.objects.filter(batch=batch, status="pending").values_list("attempts", flat=True)[0] == 0
    assert scripted.calls.count("cancel") == 1


@pytest.mark.parametrize(("hours", "left", "fast"), [(8, 1.1, False), (8, 0.9, True), (1, 0.2, True), (1, 0.3, False)])
def test_a_deadline_is_near_in_its_last_quarter(hours: float, left: float, fast: bool) -> None:
    now = timezone.now()
    batch = economy_batch(3, deadline_at=now + timedelta(hours=left))
    Batch.objects.filter(pk=batch.pk).update(created_at=now - timedelta(hours=hours - left))
    assert turn_fast() == ([batch.pk] if fast else [])


def test_a_slow_batch_begins_earlier() -> None:
    now = timezone.now()
    batch = economy_batch(120, rate_limit=1.0, deadline_at=now + timedelta(hours=1.5))
    Batch.objects.filter(pk=batch.pk).update(created_at=now - timedelta(hours=8))
    assert turn_fast() == [batch.pk]


def test_failed_lines_may_go_on_fast(scripted: Remote) -> None:
    scripted.line = lambda custom_id, prompt: (
        LineResult(custom_id=custom_id, error=failure("server_error"))
        if prompt == "item-1"
        else echo(custom_id, prompt)
    )
    batch = economy_batch(3, economy_retries="fast")
    for _ in range(3):
        step()
    assert statuses(batch) == ["succeeded", "pending", "succeeded"]
    for _ in range(2):
        step()
    assert scripted.submits == 1
    Item.objects.filter(status="pending").update(due_at=PAST)
    Item.objects.create(batch=batch, position=3, key="new", due_at=PAST)  # not tried yet: none of the fast lane's
    Batch.objects.filter(pk=batch.pk).update(total=4)
    worker(ai=100)
    window = read_window()
    (runnable,) = window.batches
    assert (runnable.id, runnable.unfinished, runnable.least_attempts) == (batch.pk, 2, 1)
    shares, routes = Allotment().shares(window, 1.0)
    claimed = claim.claim(shares, routes)
    assert claimed.taken == {batch.pk: 1}
    assert statuses(batch) == ["succeeded", "running", "succeeded", "pending"]


def test_what_became_fast_has_a_retry_window_of_its_own() -> None:
    now = timezone.now()
    batch = economy_batch(2, fast_since=now - timedelta(minutes=1))
    Item.objects.filter(batch=batch, position=0).update(first_attempt_at=now - timedelta(hours=20))
    tried, new = accepted(batch).items
    assert 59 < tried.elapsed_seconds < 120
    assert new.elapsed_seconds == 0

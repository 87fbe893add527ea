"""The messages of leases: sent once each, given back where they cannot be sent, sent again where they were lost."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from batches.connections import CELERY_PREFIX, redis_client
from batches.dispatching import claim, publish
from batches.dispatching.dispatcher import Dispatcher
from batches.dispatching.publish import Publication
from batches.models import Lease
from tests.engine.dispatching import Messages, leased, worker
from tests.engine.ledger import assert_no_lease, lease, new_batch, statuses

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_lease_is_published_once_after_it_is_committed(running: Dispatcher, messages: Messages) -> None:
    worker(ai=100)
    new_batch(90)
    running.tick()
    running.tick()
    assert sorted(messages.sent) == sorted(Lease.objects.values_list("id", "lane"))


def test_what_cannot_be_published_is_given_back_at_once(running: Dispatcher, messages: Messages) -> None:
    worker(ai=100)
    messages.broken = True
    batch = new_batch(60)
    running.tick()
    assert statuses(batch) == ["pending"] * 60
    assert_no_lease()
    assert messages.tries == 1
    running.tick()
    assert messages.tries == 1  # Redis gets a moment
    messages.broken = False
    running._publication._closed_until = 0.0
    running.tick()
    assert leased(batch) == 60


def test_a_full_claim_that_cannot_be_published_is_not_repeated_for_ever(
    running: Dispatcher, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "FULL_CLAIM", 10)
    worker(ai=100)
    messages.broken = True
    new_batch(60)
    giving_up = threading.Timer(5.0, running.stop)
    giving_up.start()
    running.tick()
    giving_up.cancel()
    assert messages.tries == 1


def test_the_pause_after_a_failed_publish_begins_when_it_failed(messages: Messages) -> None:
    publication = Publication(messages)  # type: ignore[arg-type]
    messages.broken = True
    long_ago = time.monotonic() - 60  # the try took so long
    assert publication.publish([(1, "ai.high")], long_ago) == [1]
    assert not publication.is_open(time.monotonic())


def test_a_redis_that_is_gone_is_noticed_at_once(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """kombu and redis-py try for six seconds; meanwhile nothing would be rescued, settled or started."""
    from batchsite.celery import app

    closed_port = redis.Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(publish, "redis_client", lambda: closed_port)
    monkeypatch.setattr(app, "send_task", lambda *_, **__: pytest.fail("it was tried"))
    before = time.monotonic()
    assert Publication(app).publish([(1, "ai.high"), (2, "ai.high")], before) == [1, 2]


@pytest.fixture
def queue() -> Iterator[str]:
    """A lane that no other test's messages travel."""
    lane = f"test.{secrets.token_hex(4)}"
    yield lane
    redis_client().delete(CELERY_PREFIX + lane)


def lost(queue: str) -> Sequence[tuple[int, str]]:
    return [(lease_id, queue) for lease_id in lease(new_batch(2), size=1, lane=queue)]


def test_a_lost_message_is_sent_again_when_its_queue_is_empty(messages: Messages, queue: str) -> None:
    publication, now = Publication(messages), time.monotonic()  # type: ignore[arg-type]
    unaccepted = lost(queue)
    publication.publish_lost(unaccepted, now)
    assert messages.sent == unaccepted
    publication.publish_lost(unaccepted, now + 1)
    assert messages.sent == unaccepted
    publication.publish_lost(unaccepted, now + publish.MESSAGE_LOST_SECONDS + 1)
    assert messages.sent == [*unaccepted, *unaccepted]
    publication.publish_lost([], now + 60)
    assert not publication._sent_again


def test_a_message_that_may_still_wait_is_not_sent_again(messages: Messages, queue: str) -> None:
    redis_client().lpush(CELERY_PREFIX + queue, "somebody's message")
    Publication(messages).publish_lost(lost(queue), time.monotonic())  # type: ignore[arg-type]
    assert messages.sent == []

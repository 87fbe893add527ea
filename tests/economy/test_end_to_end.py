"""A real dispatcher, a real worker, the real sandbox: every provider's own batch API, each item billed once."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client

from batches.economy.questions import line_id
from batches.files import store_file
from batches.models import ApiKey, Batch, BatchHistogram, Item, ItemError, ProviderAccount, ProviderBatch
from batches.operations.long_texts import LONGEST_PART
from records.models import Record
from tests.api.conftest import jpeg
from tests.engine.ledger import assert_counters, assert_no_lease
from tests.engine_fixture import Engine
from tests.sandbox_fixture import SandboxServer

pytestmark = pytest.mark.django_db(transaction=True)

DEADLINE_SECONDS = 60.0
PROVIDERS = ("openai-gpt-5", "anthropic-haiku", "gemini-flash", "grok", "groq-qwen")
IMPATIENT = {"ECONOMY_TEMPO": "0.05", "ECONOMY_LEAST_LINES": "10"}


@pytest.fixture(scope="module")
def impatient(
    django_db_setup: None, sandbox_server: SandboxServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """One dispatcher and one worker that wait a twentieth of the time for everything."""
    with Engine(sandbox_server, tmp_path_factory.mktemp("economy"), **IMPATIENT) as running:
        yield running.start()


@pytest.fixture(autouse=True)
def scripted() -> None:
    """Nothing is scripted here."""


@pytest.fixture(autouse=True)
def here(impatient: Engine, sandbox: SandboxServer, settings: Any) -> None:
    """Worker and test keep files in the same folder; a batch at the sandbox takes a moment."""
    settings.MEDIA_ROOT = settings.DATA_DIR / "files"
    sandbox.configure(batches={"seconds": 0.5})


class Alice:
    """A user with a key."""

    def __init__(self) -> None:
        self.user = User.objects.create_user("alice")
        _, secret = ApiKey.issue(owner_id=self.user.pk, name="test")
        self.client = Client(headers={"Authorization": f"Bearer {secret}"})

    def post(self, path: str, **body: Any) -> Any:
        response = self.client.post(path, json.dumps(body), content_type="application/json")
        assert response.status_code == 202, response.content
        return response.json()

    def created(self, operation: str, **body: Any) -> Batch:
        answer = self.post("/api/batch/create", operation=operation, mode="economy", **body)
        return Batch.objects.get(public_id=answer["batch"]["id"])

    def photos(self, number: int, provider: str, **body: Any) -> Batch:
        """Most by URL, some uploaded."""
        files = [store_file(self.user.pk, f"{n}.jpg", "image/jpeg", jpeg((8 + n, 8))) for n in range(3)]
        images = [{"id": f"file-{place}", "fileId": file.public_id} for place, file in enumerate(files)]
        images += [{"id": f"url-{n}", "url": f"https://x.test/{n}.jpg"} for n in range(number - len(images))]
        answer = self.post(
            "/api/batch/process", shootId="shoot", images=images, providerId=provider, mode="economy", **body
        )
        assert answer["mode"] == "economy"
        return Batch.objects.get(public_id=answer["jobId"])


@pytest.fixture
def alice() -> Alice:
    return Alice()


def settled(batch: Batch) -> Batch:
    until = time.monotonic() + DEADLINE_SECONDS
    while batch.settled_at is None:
        assert time.monotonic() < until, list(ProviderBatch.objects.values())
        time.sleep(0.1)
        batch.refresh_from_db()
    return batch


def billed_by_item(sandbox: SandboxServer) -> Counter[int]:
    """How often each item was answered for money."""
    billed: Counter[int] = Counter()
    for custom_id, number in sandbox.billed().items():
        name = line_id(custom_id)
        assert name is not None, custom_id
        billed[name.item_id] += number
    return billed


def test_photos_are_rated_through_each_providers_own_batches(alice: Alice, sandbox: SandboxServer) -> None:
    for batch in [alice.photos(25, provider) for provider in PROVIDERS]:
        settled(batch)
        assert_counters(batch, succeeded=25)
        assert ProviderBatch.objects.filter(batch=batch, step="done").count() == 3, batch.provider
        status = alice.client.get(f"/api/batch/status/{batch.public_id}").json()
        assert (status["mode"], status["status"], status["processedImages"]) == ("economy", "completed", 25)
        results = alice.client.get(f"/api/batch/results/{batch.public_id}").json()["results"]
        assert all(1 <= result["starRating"] <= 5 for result in results)
        assert tokens_of(batch) == {"simulated:economy_input_tokens", "simulated:economy_output_tokens"}
    assert_no_lease()
    assert billed_by_item(sandbox) == dict.fromkeys(Item.objects.values_list("pk", flat=True), 1)


def tokens_of(batch: Batch) -> set[str]:
    counted = BatchHistogram.objects.filter(batch=batch, measure__contains="tokens")
    return set(counted.values_list("measure", flat=True))


def test_whatever_happens_to_lines_and_creates_each_item_ends_and_is_billed_once(
    alice: Alice, sandbox: SandboxServer
) -> None:
    # Of a batch that expired Gemini keeps nothing, not even what was answered: here no line expires.
    faults = {"failed": 0.1, "missing": 0.1, "twice": 0.1, "unknown": 0.1}
    sandbox.configure(
        batches={"line_faults": faults, "create_faults": ["cut", "no_room", "cut", "no_room"], "download_cuts": 3}
    )
    batches = [alice.photos(25, provider) for provider in PROVIDERS]
    deadline = time.monotonic() + DEADLINE_SECONDS
    while ItemError.objects.count() < 8 and time.monotonic() < deadline:
        time.sleep(0.1)
    sandbox.configure(batches={"line_faults": {}})
    for batch in batches:
        assert_counters(settled(batch), succeeded=25)
    assert_no_lease()
    assert billed_by_item(sandbox) == dict.fromkeys(Item.objects.values_list("pk", flat=True), 1)


def test_records_files_and_conversations_are_asked_about_as_well(alice: Alice, sandbox: SandboxServer) -> None:
    for number in range(12):
        Record.objects.create(owner=alice.user, key=f"k{number}", title=f"Invoice {number}", content="Pay it soon.")
    talk = [{"role": "user", "content": f"Message {number}. " + "x" * 300} for number in range(6)]
    conversations = [{"id": f"c{number}", "title": "Talk", "messages": talk} for number in range(3)]
    texts = [b"A short text.", b"A long text. " * (2 * LONGEST_PART // 13 + 100)]
    files = [store_file(alice.user.pk, f"{len(text)}.txt", "text/plain", text) for text in texts]
    batches = [
        alice.created("annotate", filters={"kind": Record._meta.get_field("kind").default}),
        alice.created("process_files", fileIds=[file.public_id for file in files], instruction="summarise"),
        alice.created("analyze_conversations", conversations=conversations),
    ]
    for batch, number in zip(batches, (12, 2, 3), strict=True):
        assert (settled(batch).status, batch.succeeded) == ("completed", number)
    assert Record.objects.filter(metadata__annotation_status="done").count() == 12
    billed = sandbox.billed()
    assert max(billed.values()) == 1
    assert len(billed) > 12 + 2 + 3  # the long text took several questions


def test_cancel_keeps_what_was_answered_and_ends_the_rest(alice: Alice, sandbox: SandboxServer) -> None:
    sandbox.configure(batches={"seconds": 60.0})
    batch = alice.photos(12, "openai-gpt-5")
    until = time.monotonic() + DEADLINE_SECONDS
    while ProviderBatch.objects.filter(step="submitted").count() < 2:
        assert time.monotonic() < until
        time.sleep(0.05)
    response = alice.client.post(f"/api/batch/cancel/{batch.public_id}")
    assert response.status_code == 200
    settled(batch)
    batch.refresh_from_db()
    assert batch.status == "cancelled"
    assert batch.cancelled + batch.succeeded == 12
    assert sum(billed_by_item(sandbox).values()) == batch.succeeded
    assert_no_lease()


def test_a_deadline_goes_on_fast(alice: Alice, sandbox: SandboxServer) -> None:
    sandbox.configure(batches={"seconds": 60.0})
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 8))
    batch = settled(alice.photos(12, "anthropic-haiku", deadline=soon))
    assert_counters(batch, succeeded=12)
    assert batch.fast_since is not None
    assert "simulated:input_tokens" in tokens_of(batch)


def test_an_account_without_credit_is_left_for_a_fallback_and_found_again(alice: Alice, sandbox: SandboxServer) -> None:
    ProviderAccount.objects.all().delete()
    sandbox.configure(accounts={"openai-gpt-5": {"refuse": 402}})
    switch: dict[str, Any] = {"fallbacks": ["anthropic-haiku"]}
    batch = settled(alice.photos(25, "openai-gpt-5", **switch))
    assert_counters(batch, succeeded=25)
    assert set(batch.items.values_list("provider", flat=True)) == {"anthropic-haiku"}
    assert set(billed_by_item(sandbox).values()) == {1}
    account = ProviderAccount.objects.get(alias="openai-gpt-5")
    assert account.opened_for.startswith("budget")
    sandbox.configure(accounts={})
    ProviderAccount.objects.filter(pk=account.pk).update(
        opened_at=Now() - timedelta(seconds=30), probe_at=Now() - timedelta(seconds=1)
    )
    settled(alice.photos(25, "openai-gpt-5", **switch))
    account.refresh_from_db()
    assert account.opened_at is None, "one item found out that it is well"
    batch = settled(alice.photos(25, "openai-gpt-5", **switch))
    assert set(batch.items.values_list("provider", flat=True)) == {"openai-gpt-5"}
    assert_no_lease()

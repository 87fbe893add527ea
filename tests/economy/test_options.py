"""What a client may ask for, and what is refused: nothing is stored of it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from batches.api.shapes import photo_status_shape
from batches.files import store_file
from batches.models import Batch, ProviderBatch
from batches.operations import get_operation
from batches.problems import InvalidInput
from batches.services import submit_batch
from providers.base import ErrorCategory, RemoteState
from tests.api.conftest import jpeg
from tests.economy.driving import economy_batch, step
from tests.economy.scripted import ALIAS, PLAIN, Remote, failure

pytestmark = pytest.mark.django_db(transaction=True)

PHOTO = {"id": "1", "url": "https://x.test/1.jpg"}
TALK = {"id": "1", "messages": [{"role": "user", "content": "Hello"}]}
LATER = "2029-01-31T09:00:00Z"


@pytest.fixture
def alice() -> User:
    return User.objects.create_user("alice")


def build(alice: User, operation: str, **payload: Any) -> Batch:
    return submit_batch(owner_id=alice.pk, new=get_operation(operation).build(alice.pk, payload))


def problems(alice: User, operation: str, **payload: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as refused:
        build(alice, operation, **payload)
    assert not Batch.objects.exists()
    return {problem.path: problem.code for problem in refused.value.problems}


@pytest.mark.parametrize("where", [lambda fields: fields, lambda fields: {"options": fields}])
def test_mode_retries_and_deadline_are_stored(alice: User, where: Any) -> None:
    wanted = where({"mode": "economy", "economyRetries": "fast", "deadline": LATER})
    batch = build(alice, "rate_photos", shootId="s", images=[PHOTO], providerId=ALIAS, **wanted)
    assert batch.deadline_at is not None
    assert (batch.mode, batch.economy_retries, batch.deadline_at.year) == ("economy", "fast", 2029)


@pytest.mark.parametrize("operation", ["rate_photos", "annotate", "process_files", "analyze_conversations"])
def test_all_that_ask_models_have_it(alice: User, operation: str) -> None:
    file = store_file(alice.pk, "a.jpg", "image/jpeg", jpeg())
    bodies: dict[str, Any] = {
        "rate_photos": {"shootId": "s", "images": [PHOTO]},
        "annotate": {},
        "process_files": {"fileIds": [file.public_id], "instruction": "summarise"},
        "analyze_conversations": {"conversations": [TALK]},
    }
    body = bodies[operation]
    assert build(alice, operation, provider=ALIAS, mode="economy", **body).mode == "economy"
    Batch.objects.all().delete()
    assert problems(alice, operation, provider=PLAIN, mode="economy", **body) == {"mode": "not_available"}


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("analyze_conversations", {"conversations": [TALK], "analyze": False}),
        ("process_files", {"instruction": "thumbnail"}),
    ],
)
def test_where_no_model_is_asked_there_is_no_economy_mode(alice: User, operation: str, body: dict[str, Any]) -> None:
    if operation == "process_files":
        body = {**body, "fileIds": [store_file(alice.pk, "a.jpg", "image/jpeg", jpeg()).public_id]}
    assert problems(alice, operation, provider=ALIAS, mode="economy", **body) == {"mode": "not_available"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"mode": "cheap"}, {"mode": "invalid_choice"}),
        ({"mode": 1}, {"mode": "invalid_choice"}),
        ({"mode": "economy", "economyRetries": "never"}, {"economyRetries": "invalid_choice"}),
        ({"mode": "economy", "deadline": "2020-01-01T00:00:00Z"}, {"deadline": "in_the_past"}),
        ({"mode": "economy", "deadline": "soon"}, {"deadline": "invalid_time"}),
        ({"deadline": LATER}, {"deadline": "contradiction"}),
        ({"mode": "fast", "economyRetries": "fast"}, {"economyRetries": "contradiction"}),
    ],
)
def test_what_makes_no_sense_is_refused(alice: User, fields: dict[str, Any], expected: dict[str, str]) -> None:
    found = problems(alice, "rate_photos", shootId="s", images=[PHOTO], providerId=ALIAS, **fields)
    assert found == expected


def test_an_operation_without_models_does_not_know_the_field(alice: User) -> None:
    found = problems(alice, "sms", text="Hi", recipients=[{"phoneNumber": "+14155552671"}], mode="economy")
    assert found == {"mode": "unknown_field"}


def test_its_status_says_what_waits_and_since_when(scripted: Remote) -> None:
    scripted.state = lambda stored: RemoteState.WAITING
    batch = economy_batch(15)
    assert photo_status_shape(batch)["economy"]["atProvider"] == 0
    step()
    step()
    shown = photo_status_shape(batch)["economy"]
    since = ProviderBatch.objects.earliest("submitted_at").submitted_at
    assert since is not None
    assert shown["since"] == since.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    named = ("atProvider", "answeredThere", "preparing", "problem", "retryAt")
    assert [shown[name] for name in named] == [15, 2, 0, None, None]  # one line of each of two


def test_its_status_says_what_is_in_the_way(scripted: Remote) -> None:
    def refuse() -> None:
        raise failure("insufficient_quota", ErrorCategory.BUDGET, permanent=True, surely_not_sent=True)

    scripted.on_submit = refuse
    batch = economy_batch(3)
    step()
    shown = photo_status_shape(batch)["economy"]
    assert (shown["atProvider"], shown["preparing"], shown["problem"]) == (0, 3, "insufficient_quota")
    assert shown["retryAt"] is not None
    assert "economy" not in photo_status_shape(economy_batch(1, mode="fast"))

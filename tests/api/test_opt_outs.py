"""Who wants no messages: said by people, listed by owners, asked before every send."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from batches.models import AuditEntry, Contact, OptOut
from batches.text_messages import opt_outs
from providers.sandbox.receipts import Post
from providers.sandbox.signing import plivo_post, twilio_post, vonage_post
from tests.api.callbacks.conftest import BASE, SECRET, post, public
from tests.api.conftest import problems_of

__all__ = ["public"]

ANN, BEN = "+14155552671", "+442071838750"


def numbers(user: User) -> list[str]:
    return list(OptOut.objects.filter(owner=user).order_by("number").values_list("number", flat=True))


def said(text: str, *, by: str = ANN, provider: str = "twilio", secret: str = SECRET) -> Post:
    """What the provider posts of somebody's text."""
    url = f"{BASE}/api/inbound/{provider}"
    if provider == "vonage":
        return vonage_post(secret, url, {"message_uuid": "u", "from": by[1:], "to": "1500", "text": text})
    if provider == "plivo":
        return plivo_post(secret, url, {"MessageUUID": "u", "From": by[1:], "To": "1500", "Text": text})
    return twilio_post(secret, url, {"MessageSid": "SM", "From": by, "To": "+1500", "Body": text})


@pytest.fixture
def texted(alice: User, bob: User) -> None:
    """Alice has texted Ann by each provider, Bob has texted Ben."""
    for provider in ("twilio", "vonage", "plivo"):
        assert opt_outs.may_text(alice.pk, ANN, provider)
    assert opt_outs.may_text(bob.pk, BEN, "twilio")


@pytest.mark.parametrize("provider", ["twilio", "vonage", "plivo"])
def test_a_stop_concerns_who_has_texted_the_number_through_that_account(
    provider: str, texted: None, anonymous: Client, alice: User, bob: User
) -> None:
    assert post(anonymous, said(" stop ", provider=provider)).status_code == 204
    assert (numbers(alice), numbers(bob)) == ([ANN], [])
    (row,) = OptOut.objects.all()
    assert (row.source, row.keyword, row.provider) == ("inbound", "STOP", provider)
    assert not opt_outs.may_text(alice.pk, ANN, provider)
    assert opt_outs.may_text(bob.pk, ANN, provider)
    assert post(anonymous, said("STOP", provider=provider)).status_code == 204
    assert post(anonymous, said("start", provider=provider)).status_code == 204
    assert numbers(alice) == []


def test_a_stop_to_another_account_or_of_a_stranger_concerns_nobody(anonymous: Client, bob: User, texted: None) -> None:
    assert post(anonymous, said("STOP", by=BEN, provider="plivo")).status_code == 204
    assert post(anonymous, said("STOP", by="+4930901820")).status_code == 204
    assert not OptOut.objects.exists()


def test_a_start_does_not_undo_what_the_owner_has_listed(anonymous: Client, alice: User, texted: None) -> None:
    opt_outs.add(alice.pk, [ANN], source="api", actor_id=alice.pk)
    assert post(anonymous, said("START")).status_code == 204
    assert numbers(alice) == [ANN]


@pytest.mark.parametrize("text", ["Please do not stop", "hello", "", "x" * 10_000, "STOP\x00"])
def test_other_texts_are_nobodys_business(
    text: str, anonymous: Client, texted: None, caplog: pytest.LogCaptureFixture
) -> None:
    assert post(anonymous, said(text)).status_code == 204
    assert not OptOut.objects.exists()
    assert ANN[1:] not in caplog.text


@pytest.mark.parametrize("provider", ["twilio", "vonage", "plivo"])
def test_a_forged_stop_is_forbidden(provider: str, anonymous: Client, texted: None) -> None:
    assert post(anonymous, said("STOP", provider=provider).forged()).status_code == 403
    assert post(anonymous, said("STOP", provider=provider, secret="another")).status_code == 403
    assert not OptOut.objects.exists()


# --- The owner's list


def test_the_list_is_the_owners(client: Client, bobs_client: Client, alice: User) -> None:
    answer = client.post("/api/opt-outs", {"phoneNumbers": [ANN, "+44 20 7183 8750", ANN]}, "application/json")
    assert answer.json() == {"success": True, "added": 2, "alreadyListed": 0}
    again = client.post("/api/opt-outs", {"phoneNumbers": [ANN]}, "application/json")
    assert again.json() == {"success": True, "added": 0, "alreadyListed": 1}
    listed = client.get("/api/opt-outs").json()
    assert [one["phoneNumber"] for one in listed["optOuts"]] == [BEN, ANN]
    assert listed["count"] == 2
    assert listed["optOuts"][0] | {"createdAt": ""} == {
        "phoneNumber": BEN,
        "source": "api",
        "keyword": None,
        "provider": None,
        "createdAt": "",
    }
    found = client.get("/api/opt-outs", {"phoneNumber": "+1 415 555 2671"}).json()
    assert [one["phoneNumber"] for one in found["optOuts"]] == [ANN]
    assert bobs_client.get("/api/opt-outs").json()["count"] == 0
    assert bobs_client.delete("/api/opt-outs", {"phoneNumbers": [ANN]}, "application/json").json()["removed"] == 0
    gone = client.delete("/api/opt-outs", {"phoneNumbers": [ANN, "+4930901820"]}, "application/json")
    assert gone.json() == {"success": True, "removed": 1}
    assert numbers(alice) == [BEN]
    actions = list(AuditEntry.objects.filter(owner=alice).order_by("pk").values_list("action", "details"))
    assert actions == [
        ("opt_out_add", {"numbers": 2}),
        ("opt_out_add", {"numbers": 0}),
        ("opt_out_remove", {"numbers": 1}),
    ]


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"phoneNumbers": "required"}),
        ({"phoneNumbers": []}, {"phoneNumbers": "empty"}),
        ({"phoneNumbers": "x"}, {"phoneNumbers": "invalid_type"}),
        (
            {"phoneNumbers": [ANN, "5", 5]},
            {"phoneNumbers.1": "invalid_phone_number", "phoneNumbers.2": "invalid_phone_number"},
        ),
        ({"phoneNumbers": ["\x00", "\ud800"]}, {"phoneNumbers.0": "invalid_text", "phoneNumbers.1": "invalid_text"}),
        ({"phoneNumber": [ANN]}, {"phoneNumber": "unknown_field"}),
        ({"phoneNumbers": [ANN], "fileId": "file_x"}, {"phoneNumbers": "contradiction"}),
        ({"fileId": "file_x"}, {"fileId": "unknown_file"}),
    ],
)
def test_bad_input_is_named_and_nothing_is_stored(
    client: Client, body: dict[str, Any], problems: dict[str, str]
) -> None:
    assert problems_of(client.post("/api/opt-outs", body, "application/json")) == problems
    assert not OptOut.objects.exists()


def upload(client: Client, content: bytes) -> str:
    file_id: str = client.post("/api/files", {"file": SimpleUploadedFile("list.csv", content)}).json()["fileId"]
    return file_id


@pytest.mark.parametrize(
    "content",
    [
        b"name,Phone Number\nAnn,+14155552671\nBen,+44 20 7183 8750\n\n",
        "﻿phoneNumber;x\r\n+14155552671;\r\n+442071838750;1\r\n".encode(),
        b"to\n'+14155552671\n+442071838750\n",
    ],
)
def test_a_csv_file_is_taken(client: Client, alice: User, content: bytes) -> None:
    answer = client.post("/api/opt-outs", {"fileId": upload(client, content)}, "application/json")
    assert answer.json() == {"success": True, "added": 2, "alreadyListed": 0}
    assert numbers(alice) == [ANN, BEN]


def test_a_csv_file_with_bad_rows_is_refused_by_row(client: Client) -> None:
    content = b"phone\n+14155552671\nnobody\n,\n"
    problems = problems_of(client.post("/api/opt-outs", {"fileId": upload(client, content)}, "application/json"))
    assert problems["row.3"] == "invalid_phone_number"
    nameless = upload(client, b"name\nAnn\n")
    assert problems_of(client.post("/api/opt-outs", {"fileId": nameless}, "application/json")) == {
        "fileId": "no_column"
    }
    assert not OptOut.objects.exists()


def test_another_owners_file_does_not_exist(client: Client, bobs_client: Client) -> None:
    theirs = upload(bobs_client, b"phone\n+14155552671\n")
    answer = client.post("/api/opt-outs", {"fileId": theirs}, "application/json")
    assert problems_of(answer) == {"fileId": "unknown_file"}


# --- When a batch is created


def test_a_create_warns_of_recipients_who_have_opted_out(client: Client, alice: User, bob: User) -> None:
    opt_outs.add(alice.pk, [BEN], source="api", actor_id=None)
    opt_outs.add(bob.pk, [ANN], source="api", actor_id=None)
    body = {"text": "Hi", "recipients": [{"phoneNumber": ANN}, {"phoneNumber": BEN}, {"phoneNumber": BEN}]}
    answer = client.post("/api/batch", body, "application/json").json()
    assert answer["totalRecipients"] == 3
    assert answer["warnings"][0] == "2 recipients have opted out and will get no message: recipients 1, 2."


def test_contacts_are_noted_once_and_forgotten_when_nobody_texts_them(alice: User) -> None:
    for number in (ANN, BEN, ANN):
        assert opt_outs.may_text(alice.pk, number, "twilio")
    assert Contact.objects.count() == 2
    Contact.objects.update(texted_at=timezone.now() - timedelta(days=opt_outs.CONTACT_DAYS + 1))
    assert opt_outs.may_text(alice.pk, ANN, "twilio")
    assert opt_outs.forget_contacts() == 1
    assert Contact.objects.get().number == ANN

"""The text message operation, and what its builder says of recipients."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from hypothesis import given
from hypothesis import strategies as st

from batches.operations.messages.sms import Sms, build_sms_batch
from batches.operations.messages.sms_recipients import normalised_number
from batches.options import NewBatch
from batches.outcomes import Rejected, Snooze, Succeeded
from batches.problems import InvalidInput
from batches.text_messages import opt_outs
from tests.operations.conftest import Answering, attempt_of

ANN, BEN = "+14155552671", "+442071838750"

pytestmark = pytest.mark.django_db


def build(text: str, *recipients: Any, **more: Any) -> NewBatch:
    return build_sms_batch(1, {"text": text, "recipients": list(recipients), **more})


def to(number: str, **variables: Any) -> dict[str, Any]:
    return {"phoneNumber": number, "variables": variables}


def refused(text: str, *recipients: Any, **more: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as error:
        build(text, *recipients, **more)
    return {problem.path: problem.code for problem in error.value.problems}


def test_it_renders_and_sends(owner: User) -> None:
    provider = Answering()
    item = {"to": ANN, "variables": {"name": "Ann"}}
    outcome = Sms().run(attempt_of(provider, item, {"text": "Hi {{name}}"}, owner.pk))
    assert outcome == Succeeded({"status": "queued", "segments": 2}, provider_reference="SM1")
    [message] = provider.messages
    assert (message.to, message.body, message.reference) == (ANN, "Hi Ann", "attempt-1")


def test_who_has_opted_out_is_not_texted(owner: User) -> None:
    provider = Answering()
    opt_outs.add(owner.pk, [ANN], source="api", actor_id=None)
    attempt = attempt_of(provider, {"to": ANN, "variables": {}}, {"text": "Hi"}, owner.pk)
    outcome = Sms().run(attempt)
    assert isinstance(outcome, Rejected)
    assert (outcome.fault.category, outcome.fault.code) == ("content", "opted_out")
    opt_outs.remove(owner.pk, [ANN], actor_id=None)
    assert isinstance(Sms().run(attempt), Succeeded)
    assert len(provider.messages) == 1


def test_nobody_is_texted_while_the_list_cannot_be_asked(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Answering()

    def away(*_: object) -> None:
        raise OperationalError("the connection is lost")

    with connection.execute_wrapper(away):
        outcome = Sms().run(attempt_of(provider, {"to": ANN, "variables": {}}, {"text": "Hi"}, owner.pk))
    assert isinstance(outcome, Snooze)
    assert not provider.messages


def test_how_long_a_message_is_tried_is_told_to_the_provider(owner: User) -> None:
    provider = Answering()
    new = build("Hi", to(ANN), options={"validityPeriod": 600})
    assert new.parameters == {"text": "Hi", "validityPeriod": 600}
    Sms().run(attempt_of(provider, new.items[0].input, new.parameters, owner.pk))
    assert provider.messages[0].validity_seconds == 600
    for provider_name, seconds in (("twilio", 36_001), ("vonage", 19), ("plivo", 4), ("twilio", 0)):
        assert refused("Hi", to(ANN), provider=provider_name, validityPeriod=seconds) == {
            "validityPeriod": "out_of_range"
        }


def test_an_item_that_does_not_fit_is_not_sent() -> None:
    provider = Answering()
    assert isinstance(Sms().run(attempt_of(provider, {"to": ANN, "variables": {}}, {"text": "{{a}}"})), Rejected)
    assert not provider.messages


def test_only_used_variables_are_kept() -> None:
    new = build("Hi {{name}}", to(ANN, name="Ann", city="Rome"))
    assert new.items[0].input == {"to": ANN, "variables": {"name": "Ann"}}
    assert new.warnings == ["Variable 'city' is not used by the template and was dropped (recipients: 1)."]


def test_differing_variables_are_named_by_index() -> None:
    new = build("Hi {{a}}", to(ANN, a="1", b="2"), to(BEN, a="1", b="2"), to("+14155552672", a="1", c="3"))
    assert "recipients.2: variables differ from most recipients': lacks 'b'; also has 'c'." in new.warnings


def test_missing_variables_are_named_by_index_and_name() -> None:
    assert refused("{{a}} {{b}}", to(ANN, a="1", b="2"), to(BEN, a="1"), {"phoneNumber": ANN}) == {
        "recipients.1.variables.b": "missing_variable",
        "recipients.2.variables.a": "missing_variable",
        "recipients.2.variables.b": "missing_variable",
    }


def test_a_number_given_again_gets_another_key_and_a_warning() -> None:
    new = build("Hi", to(ANN), to(BEN), to("+1 (415) 555-2671"), to(ANN))
    assert [item.key for item in new.items] == [ANN, BEN, f"{ANN}#2", f"{ANN}#3"]
    assert [item.input["to"] for item in new.items] == [ANN, BEN, ANN, ANN]
    assert new.warnings == ["The number of recipients.0 is given again at 2, 3; each of them gets a message."]


@pytest.mark.parametrize(
    "number",
    [
        "",
        "4155552671",
        "14155552671",
        "0014155552671",
        "+1",
        "+1415555",
        "+99999999999",
        "+1415555267a",
        "tel:+14155552671",
        "+14155552671 ext. 3",
        "+14155552671;ext=3",
        "+١٤١٥٥٥٥٢٦٧١",
        "+1415555267１",
        "++14155552671",
    ],
)
def test_it_refuses_the_number(number: str) -> None:
    assert normalised_number(number) is None


@pytest.mark.parametrize("number", ["+14155552671", "+1 415 555 2671", "+1 (415) 555-2671", "+1.415.555.2671"])
def test_it_normalises_the_number(number: str) -> None:
    assert normalised_number(number) == ANN


def test_no_message_repeats_a_number_or_a_value() -> None:
    with pytest.raises(InvalidInput) as error:
        build("Hi {{a}}", to("+1415", a="private"), to("not-a-number", a=5))
    said = " ".join(problem.message for problem in error.value.problems)
    assert "1415" not in said
    assert "private" not in said
    assert "not-a-number" not in said


def test_all_problems_at_once() -> None:
    assert refused("{{", "x", to("5"), {"phoneNumber": 5, "variables": []}, to(ANN, a=1), priority="urgent") == {
        "text": "invalid_template",
        "recipients.0": "invalid_type",
        "recipients.1.phoneNumber": "invalid_phone_number",
        "recipients.2.phoneNumber": "invalid_type",
        "recipients.2.variables": "invalid_type",
        "recipients.3.variables.a": "invalid_type",
        "priority": "invalid_choice",
    }


def test_message_length_is_that_of_the_rendered_text() -> None:
    build("{{a}}", to(ANN, a="x" * 1600))
    assert refused("{{a}}!", to(ANN, a="x" * 1600)) == {"recipients.0": "message_too_long"}
    assert refused("{{a}}", to(ANN, a=" ")) == {"recipients.0": "empty_message"}


def test_a_schedule_without_zone_is_utc_and_said_so() -> None:
    new = build("Hi", to(ANN), options={"scheduleTime": "2030-01-01T10:00:00"})
    assert new.options.scheduled_at is not None
    assert new.options.scheduled_at.isoformat() == "2030-01-01T10:00:00+00:00"
    assert new.warnings == ["options.scheduleTime names no time zone: it was taken as UTC."]


@pytest.mark.parametrize(
    ("schedule", "code"),
    [
        ("2020-01-01T00:00:00Z", "in_the_past"),
        ("tomorrow", "invalid_time"),
        (5, "invalid_time"),
        ("9999-12-31T23:59:59-12:00", "invalid_time"),
        ("9999-01-01T00:00:00Z", "out_of_range"),
    ],
)
def test_a_schedule_must_be_an_instant_to_come(schedule: Any, code: str) -> None:
    assert refused("Hi", to(ANN), options={"scheduleTime": schedule}) == {"options.scheduleTime": code}


def test_many_oddities_are_summed_up() -> None:
    people = [to(f"+1415555{2000 + index}", **{f"v{index}": "x"}) for index in range(150)]
    warnings = build("Hi", *people).warnings
    assert "And 50 more unused variables." in warnings
    assert "And 49 more recipients with differing variables." in warnings


@given(st.dictionaries(st.text(), st.text()), st.text())
def test_any_texts_build_or_are_refused(variables: dict[str, str], text: str) -> None:
    try:
        build(text, {"phoneNumber": ANN, "variables": variables})
    except InvalidInput as error:
        assert error.problems

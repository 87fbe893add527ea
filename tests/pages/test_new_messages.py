"""A text campaign by form: what is typed becomes a batch, or comes back with what is wrong with it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from batches.files import store_file
from batches.models import Batch, StoredFile

pytestmark = pytest.mark.django_db

LIST = "phone,first name\r\n+15005550009,Ada\r\n+15005550010,Grace\r\n"
Told = Callable[[str, str], str]


def post(person: Client, path: str = "/new/messages", **fields: Any) -> Any:
    return person.post(path, {"token": "t1", "action": "start", "provider": "twilio", "priority": "normal", **fields})


def page_of(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


@pytest.mark.parametrize("path", ["/new", "/new/messages", "/new/messages/"])
def test_the_forms_ask_people_to_sign_in(client: Client, db: None, path: str) -> None:
    assert client.get(path).headers["Location"].startswith("/login")


def test_an_empty_form_has_its_defaults_and_no_complaints(person: Client) -> None:
    page = page_of(person.get("/new/messages"))
    assert '<option value="twilio" selected>' in page
    assert "aria-invalid" not in page
    assert "<script>" not in page
    assert " style=" not in page


def test_a_pasted_list_becomes_a_campaign(person: Client, ada: User) -> None:
    answer = post(person, text="Hi {{first_name}},\r\nready.", pasted=LIST, name="Pick up", priority="high")
    batch = Batch.objects.get()
    assert answer.headers["Location"] == f"/batches/{batch.public_id}"
    assert (batch.owner_id, batch.operation, batch.name, batch.priority) == (ada.pk, "sms", "Pick up", "high")
    assert batch.parameters["text"] == "Hi {{first_name}},\nready."
    inputs = list(batch.items.order_by("position").values_list("input", flat=True))
    assert inputs == [
        {"to": "+15005550009", "variables": {"first_name": "Ada"}},
        {"to": "+15005550010", "variables": {"first_name": "Grace"}},
    ]


def test_numbers_alone_are_enough(person: Client) -> None:
    post(person, text="Ready.", pasted="+15005550009\r\n\r\n+1 500 555 0010")
    numbers = Batch.objects.get().items.order_by("position").values_list("input__to", flat=True)
    assert list(numbers) == ["+15005550009", "+15005550010"]


def test_a_form_sent_twice_starts_one_batch(person: Client) -> None:
    first = post(person, text="Ready.", pasted=LIST)
    second = post(person, text="Ready.", pasted=LIST)
    assert first.headers["Location"] == second.headers["Location"]
    assert Batch.objects.count() == 1
    post(person, text="Ready!", pasted=LIST)
    post(person, text="Ready.", pasted=LIST, token="t2")
    assert Batch.objects.count() == 3


def test_refused_numbers_are_listed_by_row_and_nothing_is_sent(person: Client, told: Told) -> None:
    pasted = f"{LIST}nonsense,Bob\n+15005550011,\n"
    page = page_of(post(person, text="Hi {{first_name}}", pasted=pasted))
    assert Batch.objects.count() == 0
    assert "2 rows cannot go" in page
    assert re.search(r'<th scope="row">4</th><td>phone</td><td>Must be a valid number', page)
    assert re.search(r'<th scope="row">5</th><td>first name</td><td>The template needs', page)
    assert "Some rows cannot be sent to" in told(page, "pasted")
    assert "nonsense,Bob" in page
    assert "Hi {{first_name}}</textarea>" in page


def test_refused_rows_are_left_out_where_that_is_wanted(person: Client) -> None:
    post(person, text="Hi {{first_name}}", pasted=f"{LIST}nonsense,Bob\n", leaves_out="1")
    assert Batch.objects.get().total == 2


def test_all_rows_refused_is_no_campaign(person: Client, told: Told) -> None:
    page = page_of(post(person, text="Hi", pasted="phone\nnonsense\n", leaves_out="1"))
    assert told(page, "pasted") == "No row can be sent to."
    assert Batch.objects.count() == 0


@pytest.mark.parametrize(
    ("fields", "name", "words"),
    [
        ({"text": ""}, "text", "Must not be empty"),
        ({"text": "Hi {{name"}, "text", "never closed"),
        ({"pasted": ""}, "pasted", "empty"),
        ({"pasted": 'phone,name\n+15005550009,"open'}, "pasted", "broken"),
        ({"pasted": "phone,phone\n+15005550009,x"}, "pasted", "name of an earlier column"),
        ({"provider": "carrier-pigeon"}, "provider", "No sms provider"),
        ({"priority": "urgent"}, "priority", "Must be one of"),
        ({"schedule": "2020-01-01T10:00"}, "schedule", "Must be in the future"),
        ({"schedule": "soon"}, "schedule", "ISO 8601"),
        ({"max_cost": "cheap"}, "max_cost", "Must be a number"),
        ({"name": "x" * 300}, "name", "at most 200"),
        ({"quiet_start": "21:00"}, "quiet_end", "Must be a time of day"),
        ({"quiet_end": "21:00"}, "quiet_start", "Must be a time of day"),
        ({"max_cost": "1,000"}, "max_cost", "Must be a number"),
        ({"rate": "many"}, "rate", "Must be a number"),
        ({"concurrency": "0"}, "concurrency", "Must be between"),
        ({"when_unavailable": "pray"}, "when_unavailable", "Must be one of"),
        ({"when_unavailable": "switch", "fallbacks": "openai-gpt-5"}, "fallbacks", "No sms provider"),
        ({"provider": "twilio", "validity": "86400"}, "validity", "twilio takes 1 to 36000 seconds"),
    ],
)
def test_each_problem_is_beside_its_field_and_what_was_typed_is_kept(
    person: Client, told: Told, fields: dict[str, str], name: str, words: str
) -> None:
    page = page_of(post(person, **{"text": "Ready.", "pasted": LIST, **fields}))
    assert words in told(page, name)
    assert re.search(rf'id="{name}"[^>]*aria-invalid="true"', page)
    assert Batch.objects.count() == 0
    assert "+15005550009" in page or "pasted" in fields


def test_a_schedule_is_by_the_clock_of_who_typed_it(person: Client) -> None:
    post(person, text="Ready.", pasted=LIST, schedule="2029-07-01T10:00", zone="Europe/Berlin")
    batch = Batch.objects.get()
    assert batch.status == "pending"
    assert batch.scheduled_at is not None
    assert batch.scheduled_at.isoformat() == "2029-07-01T08:00:00+00:00"


def test_a_zone_that_is_none_is_taken_for_utc_and_said(person: Client) -> None:
    post(person, text="Ready.", pasted=LIST, schedule="2029-07-01T10:00", zone="../../etc/passwd")
    batch = Batch.objects.get()
    assert batch.scheduled_at is not None
    assert batch.scheduled_at.isoformat() == "2029-07-01T10:00:00+00:00"
    assert batch.warnings == ["scheduleTime names no time zone: it was taken as UTC."]


def test_the_preview_shows_the_first_messages_and_what_all_of_them_cost(person: Client) -> None:
    pasted = LIST + "".join(f"+1500555{number:04},Person {number}\n" for number in range(100, 110))
    answer = post(person, "/new/messages/preview", text="Hi {{first_name}} 📷", pasted=pasted)
    page = page_of(answer)
    assert page.count('class="bubble"') == 3
    assert "Hi Ada 📷" in page
    assert "8 characters · 1 segment · UCS-2" in page
    assert "Send 12 messages · $0.10" in page
    assert 'data-insert="{{first_name}}"' in page
    assert '<option value="phone" selected>' in page
    assert Batch.objects.count() == 0


def test_who_still_types_is_not_scolded_for_what_is_missing(person: Client, told: Told) -> None:
    page = page_of(post(person, "/new/messages/preview", text="", pasted=""))
    assert told(page, "text") == told(page, "pasted") == ""
    assert "never closed" in told(page_of(post(person, "/new/messages/preview", text="{{a", pasted="")), "text")


def test_another_column_may_hold_the_numbers(person: Client) -> None:
    pasted = "phone,mobile\n1,+15005550009\n"
    post(person, text="Ready.", pasted=pasted, number_column="mobile")
    assert Batch.objects.get().items.get().input["to"] == "+15005550009"


def xlsx() -> bytes:
    import xlsxwriter

    whole = io.BytesIO()
    with xlsxwriter.Workbook(whole, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate([["Mobile", "Größe"], [15005550009, "M"], [15005550010, 44]]):
            sheet.write_row(number, 0, row)
    return whole.getvalue()


def test_a_spreadsheet_is_uploaded_with_the_form_and_forgotten_when_it_was_used(person: Client) -> None:
    upload = SimpleUploadedFile("people.xlsx", xlsx(), "application/octet-stream")
    page = page_of(post(person, text="Size {{Gr_e}}", pasted="", upload=upload, with_plus="1", action="check"))
    assert "people.xlsx" in page
    assert "Size 44" in page
    stored = StoredFile.objects.get()
    post(person, text="Size {{Gr_e}}", pasted="", file=stored.public_id, with_plus="1")
    assert [each.input["to"] for each in Batch.objects.get().items.order_by("position")] == [
        "+15005550009",
        "+15005550010",
    ]
    assert not StoredFile.objects.exists()


def test_a_broken_spreadsheet_is_told(person: Client, told: Told) -> None:
    upload = SimpleUploadedFile("people.xlsx", b"PK\x03\x04 broken", "application/octet-stream")
    page = page_of(post(person, text="Hi", pasted="", upload=upload))
    assert "not a whole XLSX file" in told(page, "list_file")


def test_anothers_file_is_not_there(person: Client, told: Told, django_user_model: Any) -> None:
    bob = django_user_model.objects.create_user("bob")
    theirs = store_file(bob.pk, "people.csv", "text/csv", LIST.encode())
    page = page_of(post(person, text="Hi", pasted="", file=theirs.public_id))
    assert "not there any more" in told(page, "list_file")
    assert "people.csv" not in page
    assert Batch.objects.count() == 0


def test_hostile_words_are_text(person: Client) -> None:
    evil = "<script>alert(1)</script>"
    pasted = f'phone,"{evil}"\n+15005550009,"{evil}"\n{evil},x\n'
    for path in ("/new/messages", "/new/messages/preview"):
        page = page_of(post(person, path, text=f"Hi {evil} {{{{column_2}}}}", pasted=pasted, name=evil, token=evil))
        assert evil not in page
        assert "&lt;script&gt;" in page


def test_what_no_database_holds_is_taken_out(person: Client) -> None:
    post(person, text="Hi\x00 there", pasted=LIST)
    assert Batch.objects.get().parameters["text"] == "Hi there"


def test_without_a_token_nothing_is_sent(ada: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    for path in ("/new/messages", "/new/messages/preview"):
        assert post(strict, path, text="Ready.", pasted=LIST).status_code == 403
    assert Batch.objects.count() == 0


def test_of_very_many_the_first_are_looked_at_while_somebody_types(person: Client, ada: User) -> None:
    rows = "".join(f"+1415{number:07},Person\n" for number in range(2_000_000, 2_002_500))
    stored = store_file(ada.pk, "many.csv", "text/csv", f"phone,name\n{rows}+1,broken\n".encode())
    fields = {"text": "Hi {{name}}", "pasted": "", "file": stored.public_id}
    for given in (fields, {**fields, "pasted": f"phone,name\n{rows}", "file": ""}):
        page = page_of(post(person, "/new/messages/preview", **given))
        assert "The first 2,000 were looked at; the other 50" in page
        assert "cannot go" not in page
    page = page_of(post(person, **fields))
    assert "1 row cannot go" in page
    assert Batch.objects.count() == 0
    post(person, **fields, leaves_out="1")
    assert Batch.objects.get().total == 2_500
    page = page_of(post(person, "/new/messages/preview", **fields))
    assert "not there any more" in page


def test_how_it_runs_is_said_by_the_form(person: Client) -> None:
    how = {"rate": "600", "concurrency": "20", "validity": "3600", "max_cost": "12,50", "by_hand": "1"}
    post(person, text="Ready.", pasted=LIST, when_unavailable="switch", fallbacks=["vonage", "", "plivo"], **how)
    batch = Batch.objects.get()
    assert (batch.rate_limit, batch.concurrency, str(batch.max_cost)) == (600.0, 20, "12.5000000000")
    assert (batch.when_unavailable, batch.fallbacks) == ("switch", ["vonage", "plivo"])
    assert batch.parameters["validityPeriod"] == 3600
    assert batch.status == "pending"


def test_fallbacks_are_of_no_account_where_nobody_switches(person: Client) -> None:
    post(person, text="Ready.", pasted=LIST, when_unavailable="wait", fallbacks=["vonage"])
    batch = Batch.objects.get()
    assert (batch.when_unavailable, batch.fallbacks) == ("wait", [])


def test_what_is_rarely_needed_shows_where_somebody_used_it(person: Client) -> None:
    options = re.compile(r"<details[^>]*>\s*<summary>More options")
    closed = options.search(page_of(person.get("/new/messages")))
    used = options.search(page_of(post(person, action="check", text="Ready.", pasted=LIST, rate="9")))
    assert closed and " open" not in closed[0]
    assert used and " open" in used[0]


def test_forms_count_with_the_creates_of_the_api(person: Client, ada: User, settings: Any) -> None:
    settings.BATCH_CREATES_PER_MINUTE = 2
    body = {"text": "Ready.", "recipients": [{"phoneNumber": "+15005550009"}]}
    assert person.post("/api/batch", body, content_type="application/json").status_code == 202
    assert post(person, text="Ready.", pasted=LIST).status_code == 302
    again = page_of(post(person, text="Ready again.", pasted=LIST, token="t2", rate="9"))
    assert re.search(r"Press the button again in \d+ seconds\. What you typed is kept", again)
    assert "Ready again.</textarea>" in again
    assert "Send 2 messages" in again
    assert post(person, text="Ready.", pasted=LIST).status_code == 302  # pressed twice: that batch is there
    assert Batch.objects.count() == 2
    assert person.post("/api/batch", body, content_type="application/json").status_code == 429
    page = page_of(person.post("/new/operations/export", {"token": "t3", "action": "start", "priority": "normal"}))
    assert "as many batches as are allowed within a minute" in page
    copied = person.post(f"/batches/{Batch.objects.earliest('id').public_id}/clone", follow=True)
    assert "as many batches as are allowed within a minute" in copied.content.decode()
    assert Batch.objects.count() == 2


def test_a_budget_that_may_not_do_is_said(person: Client) -> None:
    page = page_of(post(person, "/new/messages/preview", text="Ready.", pasted=LIST, max_cost="0.001"))
    assert "It may cost more than you allow" in page
    assert "more than you allow" not in page_of(post(person, "/new/messages/preview", text="Hi", pasted=LIST))


def test_a_list_without_numbers_or_without_rows_is_told_once(person: Client, told: Told) -> None:
    page = page_of(post(person, text="Hi {{name}}", pasted="name,city\nAda,London\nGrace,Paris\n"))
    assert told(page, "pasted") == "No column looks like phone numbers: choose it below."
    assert told(page, "text") == ""
    assert '<option value="" selected>Choose a column' in page
    page = page_of(post(person, text="Hi {{name}}", pasted="phone,name\n"))
    assert "no rows" in told(page, "pasted")
    assert Batch.objects.count() == 0


def test_a_variable_that_no_column_fills_is_a_mistake_of_the_message(person: Client, told: Told) -> None:
    for path in ("/new/messages", "/new/messages/preview"):
        page = page_of(post(person, path, text="Hi {{first_name}}, {{place}}", pasted=LIST))
        assert told(page, "text") == "No column is called place. There are first_name."
        assert "cannot go" not in page
    numbers = page_of(post(person, text="Hi {{name}}", pasted="+15005550009"))
    assert told(numbers, "text") == "No column is called name. The list has only numbers."
    assert Batch.objects.count() == 0


def test_an_export_of_results_is_a_list_of_recipients_again(person: Client) -> None:
    pasted = "number,id,status,to\n1,'+15005550009,failed,'+15005550009\n2,'+15005550010,failed,'+15005550010\n"
    assert post(person, text="Once more.", pasted=pasted).status_code == 302
    numbers = Batch.objects.get().items.order_by("position").values_list("input__to", flat=True)
    assert list(numbers) == ["+15005550009", "+15005550010"]


def test_options_that_nobody_touched_stay_closed(person: Client) -> None:
    sent: dict[str, Any] = {
        "when_unavailable": "wait",
        "fallbacks": ["", "", ""],
        "rate": "",
        "concurrency": "",
        "validity": "",
    }
    page = page_of(post(person, action="check", text="Ready.", pasted=LIST, **sent))
    assert not re.search(r"<details[^>]* open>\s*<summary>More options", page)

"""Operations by form: what each accepts, a dry run beside it, and a batch of what was typed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from batches.models import Batch, StoredFile
from batches.operations import operation_names
from batches.pages.create.operations import HAVE_FORMS
from records.models import Record

pytestmark = pytest.mark.django_db

Told = Callable[[str, str], str]
GENERIC = sorted(set(operation_names()) - HAVE_FORMS.keys())


@pytest.fixture
def records(ada: User) -> list[Record]:
    return [
        Record.objects.create(
            owner=ada, title=f"Title {n}", content="Words.", status="active" if n else "pending", tags=["2026"][:n]
        )
        for n in range(3)
    ]


def post(person: Client, operation: str, suffix: str = "", **fields: Any) -> Any:
    return person.post(
        f"/new/operations/{operation}{suffix}", {"token": "t", "action": "start", "priority": "normal", **fields}
    )


def page_of(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_every_operation_has_a_door(person: Client) -> None:
    page = page_of(person.get("/new/operations"))
    for name in GENERIC:
        assert f'href="/new/operations/{name}"' in page
    assert person.get("/new/operations/sms").headers["Location"] == "/new/messages"
    assert person.get("/new/operations/steal").status_code == 404


@pytest.mark.parametrize("name", GENERIC)
def test_every_form_opens_empty_without_complaints(person: Client, name: str) -> None:
    page = page_of(person.get(f"/new/operations/{name}"))
    assert "aria-invalid" not in page
    assert " style=" not in page


@pytest.mark.parametrize(
    ("name", "fields", "parameters"),
    [
        ("annotate", {"write": ["tags", "quality"], "provider": "anthropic-haiku"}, {"write": ["tags", "quality"]}),
        ("export", {"format": "xlsx", "columns": "title, tags"}, {"format": "xlsx", "columns": ["title", "tags"]}),
        ("validate", {"schema": '{"type": "object"}', "target": "metadata"}, {"target": "metadata"}),
        (
            "transform",
            {"change_action": "set", "change_field": "status", "change_value": "done"},
            {"changes": [{"action": "set", "field": "status", "value": "done"}]},
        ),
        (
            "transform",
            {"change_action": "add_tags", "change_value": "a, b", "changes": '[{"action": "remove", "field": "x"}]'},
            {"changes": [{"action": "add_tags", "tags": ["a", "b"]}, {"action": "remove", "field": "x"}]},
        ),
        ("report", {"tables": '[{"title": "All", "groupBy": ["kind"]}]', "formats": ["csv"]}, {"formats": ["csv"]}),
        ("analyze_conversations", {"across": "no"}, {}),
        ("generate_images", {"prompts": "a cat\r\na dog", "variations": "2"}, {}),
    ],
)
def test_what_is_typed_becomes_a_batch(
    person: Client, records: list[Record], name: str, fields: dict[str, Any], parameters: dict[str, Any]
) -> None:
    answer = post(person, name, filter_kind="memory" if name in {"annotate", "export"} else "", **fields)
    assert answer.status_code == 302, re.findall(r'class="problem"[^>]*>([^<]+)<', answer.content.decode())
    batch = Batch.objects.get()
    assert batch.operation == name
    assert parameters.items() <= batch.parameters.items()


def test_filters_are_read(person: Client, records: list[Record]) -> None:
    post(person, "export", filter_kind="memory", filter_status="active", filter_tags="2026, x", filter_more='{"a": 1}')
    assert Batch.objects.get().parameters["filters"] == {
        "a": 1,
        "kind": "memory",
        "status": "active",
        "tags": ["2026", "x"],
    }


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("export", {"filter_more": "{broken"}, ("filter_more", "Is not JSON at line 1")),
        ("export", {"filter_more": "[" * 100_000}, ("filter_more", "JSON|deep")),
        ("export", {"filter_more": "[1]"}, ("filter_more", "Must be an object")),
        ("export", {"filter_more": '{"topic_id": "x"}'}, ("filter_more", "UUID")),
        ("export", {"columns": "title, nonsense"}, ("columns", "Must be metadata")),
        ("export", {"schedule": "2020-01-01T10:00"}, ("schedule", "future")),
        ("annotate", {"provider": "nobody"}, ("provider", "No chat provider")),
        ("validate", {"schema": ""}, ("schema", "required")),
        ("validate", {"schema": '{"type": 7}'}, ("schema", ".")),
        ("transform", {}, ("change_field", "required")),
        ("transform", {"change_field": "id", "change_value": "1", "change_action": "set"}, ("change_field", ".")),
        ("cleanup", {}, ("filter_kind", "Say which records")),
        ("cleanup", {"olderThanDays": "many"}, ("olderThanDays", "whole number")),
        ("import", {}, ("fileId", "required")),
        ("process_files", {"instruction": "summarise"}, ("fileIds", "required")),
        ("generate_images", {"prompts": ""}, ("prompts", "required")),
    ],
)
@pytest.mark.usefixtures("records")
def test_each_problem_is_beside_its_field(
    person: Client, told: Told, name: str, fields: dict[str, str], expected: tuple[str, str]
) -> None:
    field, words = expected
    page = page_of(post(person, name, **fields))
    assert re.search(words, told(page, field)), told(page, field)
    assert Batch.objects.count() == 0


def test_a_dry_run_is_beside_the_form_and_stores_nothing(person: Client, records: list[Record]) -> None:
    fields = {"change_action": "set", "change_field": "status", "change_value": "pending"}
    page = page_of(post(person, "transform", "/preview", **fields))
    assert re.search(r"<dt>Would change</dt><dd>2</dd>", page)
    assert "Before and after" in page
    assert Batch.objects.count() == 0


def test_nothing_is_deleted_that_was_not_seen(person: Client, records: list[Record]) -> None:
    page = page_of(post(person, "cleanup", filter_status="active"))
    assert Batch.objects.count() == 0
    assert "<dt>Would be deleted</dt><dd>2</dd>" in page
    seen = re.search(r'name="seen" value="(\w+)"', page)
    assert seen
    page_of(post(person, "cleanup", filter_status="pending", seen=seen[1]))
    assert Batch.objects.count() == 0
    assert post(person, "cleanup", filter_status="active", seen=seen[1]).status_code == 302
    assert Batch.objects.get().parameters["filters"] == {"status": "active"}


def table(person: Client) -> str:
    upload = SimpleUploadedFile("rows.csv", "Key,Name,Größe\nk1,One,M\nk2,Two,L\n".encode(), "text/csv")
    page = page_of(post(person, "import", "/preview", upload=upload))
    file_id = re.search(r'name="file" value="(file_\w+)"', page)
    assert file_id
    assert 'name="column:Größe"' in page
    assert '<option value="metadata.Größe" selected>' in page
    return file_id[1]


def test_an_import_shows_what_the_columns_fill_and_takes_another_mapping(person: Client) -> None:
    file_id = table(person)
    post(person, "import", file=file_id, **{"column:Name": "title", "column:Größe": "-", "column:Key": "key"})
    batch = Batch.objects.get()
    assert batch.parameters["columns"] == {"Name": "title", "Größe": None, "Key": "key"}
    assert StoredFile.objects.filter(public_id=file_id).exists()


def test_an_import_that_would_say_nothing_is_warned_about(person: Client) -> None:
    file_id = table(person)
    words = "No column fills “title” or “content”"
    assert page_of(post(person, "import", file=file_id, action="check")).count('id="mapping"') == 1
    assert words in page_of(post(person, "import", "/preview", file=file_id))
    assert words not in page_of(post(person, "import", "/preview", file=file_id, **{"column:Name": "title"}))


def test_previews_of_imports_leave_no_files(person: Client) -> None:
    file_id = table(person)
    for _ in range(3):
        post(person, "import", "/preview", file=file_id)
    assert StoredFile.objects.count() == 1


def test_files_to_process_are_uploaded_with_the_form(person: Client) -> None:
    files = [SimpleUploadedFile(f"{n}.txt", b"Some words.", "text/plain") for n in range(2)]
    assert post(person, "process_files", instruction="summarise", upload=files).status_code == 302
    assert Batch.objects.get().total == 2


def test_anothers_file_is_not_there(person: Client, told: Told, django_user_model: Any) -> None:
    bob = django_user_model.objects.create_user("bob")
    theirs = StoredFile.objects.create(owner=bob, name="secret.csv", media_type="text/csv", size=3)
    page = page_of(post(person, "import", file=theirs.public_id))
    assert "not there any more" in told(page, "fileId")
    assert "secret.csv" not in page


def test_hostile_words_are_text(person: Client, ada: User) -> None:
    evil = "<script>alert(1)</script>"
    Record.objects.create(owner=ada, title=evil, content=evil, key=evil)
    for path in ("", "/preview"):
        page = page_of(post(person, "export", path, name=evil, filter_more=evil, columns=f"metadata.{evil}"))
        assert evil not in page
    assert evil not in page_of(post(person, "export", "/preview"))
    assert "&lt;script&gt;" in page_of(post(person, "export", "/preview", name=evil))


def test_a_filter_comes_by_the_address(person: Client, records: list[Record]) -> None:
    page = page_of(person.get("/new/operations/export?filter_status=pending"))
    assert 'name="filter_status" value="pending"' in page
    assert "<dt>Records</dt><dd>1</dd>" in page


def test_without_a_token_nothing_starts(ada: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    assert post(strict, "export").status_code == 403
    assert post(strict, "export", "/preview").status_code == 403

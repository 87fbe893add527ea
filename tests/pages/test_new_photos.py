"""Photo batches by form: uploads, addresses and lists."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from batches.extraction.readers import readers
from batches.files import store_file
from batches.models import Batch, StoredFile

pytestmark = pytest.mark.django_db

Told = Callable[[str, str], str]
URLS = "https://example.com/a/one.jpg\r\n\r\nhttps://example.com/b/one.jpg\r\n"


def jpeg() -> bytes:
    whole = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(whole, "JPEG")
    return whole.getvalue()


def post(person: Client, suffix: str = "", **fields: Any) -> Any:
    usual = {"token": "t", "action": "start", "priority": "normal", "provider": "openai-gpt-5", "shoot": "Wedding"}
    return person.post(f"/new/photos{suffix}", {**usual, **fields})


def page_of(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_addresses_become_a_batch(person: Client) -> None:
    answer = post(person, urls=URLS, prompt="How many stars?", mode="economy")
    batch = Batch.objects.get()
    assert answer.headers["Location"] == f"/batches/{batch.public_id}"
    assert (batch.subject, batch.mode, batch.parameters["prompt"]) == ("Wedding", "economy", "How many stars?")
    assert list(batch.items.order_by("position").values_list("key", "input__url")) == [
        ("one.jpg", "https://example.com/a/one.jpg"),
        ("one.jpg (2)", "https://example.com/b/one.jpg"),
    ]


def test_uploads_are_kept_by_id_and_seen(person: Client, ada: User) -> None:
    photos = [SimpleUploadedFile(f"DSC_{n}.jpg", jpeg(), "image/jpeg") for n in range(2)]
    page = page_of(post(person, action="check", photos=photos))
    first, second = StoredFile.objects.order_by("id")
    assert f'src="/new/thumbnails/{first.public_id}"' in page
    assert "Rate 2 photos" in page
    thumbnail = person.get(f"/new/thumbnails/{first.public_id}")
    assert thumbnail.status_code == 200
    assert thumbnail.headers["Content-Type"].startswith("image/")
    readers().close()
    post(person, uploaded=f"{first.public_id}\n{second.public_id}")
    assert list(Batch.objects.get().items.values_list("input__fileId", flat=True)) == [
        first.public_id,
        second.public_id,
    ]


def test_two_thousand_photos_are_one_field(person: Client, ada: User) -> None:
    rows = [StoredFile(owner=ada, name=f"{n}.jpg", media_type="image/jpeg", size=9) for n in range(2_000)]
    StoredFile.objects.bulk_create(rows)
    page = page_of(post(person, "/preview", uploaded="\n".join(row.public_id for row in rows)))
    assert "Rate 2,000 photos" in page
    assert page.count("<img") == 24
    assert "+1,976" in page


def test_a_list_of_very_many_goes_instead(person: Client, ada: User, told: Told) -> None:
    lines = b"".join(b'{"id": "%d", "url": "https://example.com/%d.jpg"}\n' % (n, n) for n in range(5))
    stored = store_file(ada.pk, "photos.jsonl", "application/jsonl", lines)
    assert post(person, file=stored.public_id).status_code == 302
    assert Batch.objects.get().total == 5
    broken = store_file(ada.pk, "photos.jsonl", "application/jsonl", lines + b'{"id": "x", "url": "nope"}\n')
    page = page_of(post(person, file=broken.public_id))
    assert "line 6" in page
    assert told(page, "list_file") == "Mend these lines of the file."


def test_photos_that_cannot_go_are_told_and_left_out_where_that_is_wanted(person: Client, told: Told) -> None:
    page = page_of(post(person, urls=f"{URLS}nope"))
    assert '<th scope="row">line 4</th>' in page
    assert "mend them, or leave them out" in told(page, "urls")
    assert Batch.objects.count() == 0
    assert post(person, urls=f"{URLS}nope", leaves_out="1").status_code == 302
    assert Batch.objects.get().total == 2


@pytest.mark.parametrize(
    ("fields", "name", "words"),
    [
        ({"shoot": " "}, "shoot", "Say what they belong to"),
        ({"mode": "economy", "deadline": "2020-01-01T10:00"}, "deadline", "Must be in the future"),
        ({"mode": "economy", "economy_retries": "never"}, "economy_retries", "Must be one of"),
        ({"system_prompt": "x" * 20_001}, "system_prompt", "at most"),
        ({"urls": ""}, "urls", "empty"),
        ({"prompt": "x" * 20_001}, "prompt", "at most"),
        ({"provider": "nobody"}, "provider", "No chat provider"),
        ({"mode": "free"}, "mode", "Must be one of"),
        ({"max_cost": "-1"}, "max_cost", "above 0"),
    ],
)
def test_each_problem_is_beside_its_field(
    person: Client, told: Told, fields: dict[str, str], name: str, words: str
) -> None:
    page = page_of(post(person, **{"urls": URLS, **fields}))
    assert words in told(page, name)
    assert Batch.objects.count() == 0
    assert "Nothing was started yet" in page


def test_anothers_photo_is_neither_seen_nor_rated(person: Client, django_user_model: Any) -> None:
    bob = django_user_model.objects.create_user("bob")
    theirs = store_file(bob.pk, "secret.jpg", "image/jpeg", jpeg())
    assert person.get(f"/new/thumbnails/{theirs.public_id}").status_code == 404
    page = page_of(post(person, uploaded=theirs.public_id))
    assert "secret.jpg" not in page
    assert "Must be the id of an uploaded file" in page
    assert Batch.objects.count() == 0


def test_a_photo_that_cannot_be_read_has_a_sign_in_place_of_its_picture(person: Client, ada: User) -> None:
    whole = io.BytesIO()
    Image.effect_noise((400, 300), 50).save(whole, "JPEG")
    cut = store_file(ada.pk, "cut.jpg", "image/jpeg", whole.getvalue()[: whole.tell() // 3])
    answer = person.get(f"/new/thumbnails/{cut.public_id}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/svg+xml")
    readers().close()


def test_what_is_no_image_has_no_thumbnail(person: Client, ada: User) -> None:
    page = store_file(ada.pk, "a.html", "text/html", b"<script>alert(1)</script>")
    assert person.get(f"/new/thumbnails/{page.public_id}").status_code == 404


def test_hostile_names_are_text(person: Client) -> None:
    evil = '"><script>alert(1)</script>.jpg'
    photo = SimpleUploadedFile("x.jpg", jpeg(), "image/jpeg")
    photo.name = evil
    page = page_of(post(person, action="check", photos=photo, shoot=evil, urls=f"https://example.com/{evil}"))
    assert "<script>alert" not in page


def test_without_a_token_nothing_starts(ada: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    assert post(strict, urls=URLS).status_code == 403
    assert post(strict, "/preview", urls=URLS).status_code == 403


def test_one_photo_is_taken_out_and_the_estimate_follows(person: Client) -> None:
    photos = [SimpleUploadedFile(f"DSC_{n}.jpg", jpeg(), "image/jpeg") for n in range(2)]
    page = page_of(post(person, action="check", photos=photos, urls=URLS))
    assert "Rate 4 photos" in page
    first, second = StoredFile.objects.order_by("id")
    assert f'name="take_out" value="{first.public_id}"' in page
    kept = {"uploaded": f"{first.public_id}\n{second.public_id}", "urls": URLS, "action": ""}
    page = page_of(post(person, take_out=first.public_id, **kept))
    assert "Rate 3 photos" in page
    assert f"/new/thumbnails/{first.public_id}" not in page
    page = page_of(post(person, take_out="line:3:https://example.com/b/one.jpg", **kept))
    assert "Rate 3 photos" in page
    assert "https://example.com/a/one.jpg" in page
    assert "https://example.com/b/one.jpg" not in page
    page = page_of(post(person, take_out="line:1:https://example.com/b/one.jpg", **kept))
    assert "https://example.com/b/one.jpg" not in page
    for nothing in ("line:x:y", "line:99999999999:z", "line:", "nonsense"):
        assert "Rate 4 photos" in page_of(post(person, take_out=nothing, **kept))
    assert Batch.objects.count() == 0


def test_more_of_many_photos_are_shown_where_that_is_wanted(person: Client) -> None:
    urls = "\n".join(f"https://example.com/{number}.jpg" for number in range(200))
    page = page_of(post(person, "/preview", urls=urls))
    assert (page.count('name="take_out"'), "+176" in page) == (24, True)
    page = page_of(post(person, "/preview", urls=urls, show="96"))
    assert (page.count('name="take_out"'), "+104" in page) == (96, True)
    assert page_of(post(person, "/preview", urls=urls, show="-1")).count('name="take_out"') == 24


def test_economy_mode_has_a_deadline_and_its_own_retries(person: Client) -> None:
    economy = {"deadline": "2029-07-01T10:00", "economy_retries": "fast"}
    post(person, urls=URLS, mode="economy", zone="Europe/Berlin", **economy)
    batch = Batch.objects.get()
    assert (batch.mode, batch.economy_retries) == ("economy", "fast")
    assert batch.deadline_at is not None
    assert batch.deadline_at.isoformat() == "2029-07-01T08:00:00+00:00"
    post(person, urls=URLS, mode="fast", token="t2", **economy)
    assert Batch.objects.latest("id").deadline_at is None

"""Records and topics in the admin."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from records.models import Topic
from tests.records.conftest import Remember


@pytest.fixture
def root(db: None) -> Client:
    """Staff with all rights."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


def test_a_record_is_found_by_its_id_and_by_its_owner(root: Client, remember: Remember, bob: User) -> None:
    mine, theirs = remember("mine"), remember("theirs", owner=bob)
    for query, found in ((mine.public_id, {mine}), ("bob", {theirs}), ("", {mine, theirs}), ("nothing", set())):
        page = root.get("/admin/records/record/", {"q": query})
        assert page.status_code == 200
        assert {one for one in (mine, theirs) if one.public_id in page.content.decode()} >= found
        assert set(page.context["cl"].result_list) == found


def test_the_list_reads_no_contents(root: Client, remember: Remember) -> None:
    remember("the whole content")
    with CaptureQueriesContext(connection) as queries:
        root.get("/admin/records/record/")
    assert not [one["sql"] for one in queries if '"content"' in one["sql"]]


def test_a_record_is_shown_and_not_changed(root: Client, remember: Remember) -> None:
    memory = remember("the whole content", metadata={"k": "value"})
    page = root.get(f"/admin/records/record/{memory.pk}/change/")
    assert "the whole content" in page.content.decode()
    assert root.post(f"/admin/records/record/{memory.pk}/change/", {"content": "x"}).status_code == 403
    assert root.get("/admin/records/record/add/").status_code == 403


def test_topics(root: Client, alice: User) -> None:
    topic = Topic.objects.create(owner=alice, name="invoices")
    for query, count in ((str(topic.public_id), 1), ("alice", 1), ("bob", 0), ("", 1)):
        page = root.get("/admin/records/topic/", {"q": query})
        assert len(page.context["cl"].result_list) == count
    assert "invoices" in root.get(f"/admin/records/topic/{topic.pk}/change/").content.decode()

"""Search: what is found, in which order, with which score."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from records import search as search_module
from records import words
from records.models import Activity, Record, Word
from records.search import Found, SearchRequest, search
from records.tasks import sweep
from records.time_limit import TimeLimit
from tests.records.conftest import Remember


def find(owner: User, query: str, **options: Any) -> Found:
    return search(owner.pk, SearchRequest(query, **options), limit=TimeLimit(30))


def contents(owner: User, query: str, **options: Any) -> list[str]:
    return [hit.record.content for hit in find(owner, query, **options).hits]


def test_all_words_before_some_words(alice: User, remember: Remember) -> None:
    for content in ("red apple", "apple", "red pear", "green plum"):
        remember(content)
    assert contents(alice, "red apple")[0] == "red apple"
    assert set(contents(alice, "red apple")) == {"red apple", "apple", "red pear"}
    scores = [hit.score for hit in find(alice, "red apple").hits]
    assert scores[0] >= 0.9
    assert all(0.75 <= score < 0.9 for score in scores[1:])


def test_the_title_weighs_most(alice: User, remember: Remember) -> None:
    remember("about apples", title="Pears")
    remember("about pears", title="Apples")
    assert contents(alice, "apple") == ["about pears", "about apples"]


@pytest.mark.parametrize("field", ["title", "content", "summary", "tags"])
def test_what_is_searched(alice: User, remember: Remember, field: str) -> None:
    remember(**{"content": "-", field: ["invoices"] if field == "tags" else "invoices"})
    assert find(alice, "invoice").total == 1


@pytest.mark.parametrize(
    ("content", "query"),
    [
        ("Authentication system documentation", "authenticate systems"),
        ("Crème brûlée in Zürich", "creme brulee zurich"),
        ("creme brulee zurich", "Crème Brûlée"),
        ("see https://example.com/a?b=c", "https://example.com/a?b=c"),
        ("mail to bob@example.com", "bob@example.com"),
        ("state-of-the-art", "state-of-the-art"),
        ("O'Neil & sons", "o'neil"),
        ("C:\\temp\\'x'", "C:\\temp\\'x'"),
        ("version 2.10.3", "2.10.3"),
        ("日本 語", "日本"),
        ("Привет мир", "привет"),
    ],
)
def test_words_of_all_kinds(alice: User, remember: Remember, content: str, query: str) -> None:
    remember(content)
    assert contents(alice, query) == [content]


@pytest.mark.parametrize(
    ("word", "misspelt"),
    [
        ("authentication", "authentcation"),
        ("invoices", "invoise"),
        ("receive", "recieve"),
        ("documentation", "documantation"),
        ("electronics", "elektronics"),
        ("customer", "custommer"),
    ],
)
def test_misspelt_words(alice: User, remember: Remember, word: str, misspelt: str) -> None:
    remember(f"about {word} and more")
    remember("nothing of the kind")
    (hit,) = find(alice, misspelt).hits
    assert word in hit.record.content
    assert 0.6 < hit.score < 0.9


def test_a_word_that_exists_is_not_taken_for_misspelt(alice: User, remember: Remember) -> None:
    remember("form")
    remember("from")
    remember("forms and norms")
    assert set(contents(alice, "form")) == {"form", "forms and norms"}


def test_another_owners_words_suggest_nothing(alice: User, bob: User, remember: Remember) -> None:
    remember("authentication", owner=bob)
    assert find(alice, "authentcation").total == 0


@pytest.mark.parametrize("query", ["the", "...", "!", "'", "\\", ":*", "& | !", "()", "<->"])
def test_queries_without_a_word_find_nothing(alice: User, remember: Remember, query: str) -> None:
    remember("the thing")
    assert find(alice, query).total == 0


def test_filters_and_dates(alice: User, remember: Remember) -> None:
    remember("apple one", metadata={"category": "important", "n": 1}, tags=["a"])
    remember("apple two", metadata={"category": "other"}, tags=["b"], status="archived")
    assert contents(alice, "apple") == ["apple one"]
    assert contents(alice, "apple", filters={"status": "archived"}) == ["apple two"]
    both = {"status": ["active", "archived"]}
    assert contents(alice, "apple", filters={**both, "category": "important"}) == ["apple one"]
    assert find(alice, "apple", filters={**both, "category": ["important", "other"]}).total == 2
    assert find(alice, "apple", filters={**both, "tags": ["b", "c"]}).total == 1
    assert find(alice, "apple", filters={**both, "n": 1}).total == 1
    now = timezone.now()
    assert find(alice, "apple", created_from=now - timedelta(days=1), created_before=now + timedelta(1)).total == 1
    assert find(alice, "apple", created_before=now - timedelta(days=1)).total == 0


def test_the_limit_limits_the_hits_and_not_the_total(alice: User, remember: Remember) -> None:
    for _ in range(5):
        remember("apple")
    found = find(alice, "apple", limit=2)
    assert (len(found.hits), found.total) == (2, 5)
    assert find(alice, "apple pear", threshold=0.9).total == 0


def test_of_very_many_the_newest_are_ranked(alice: User, remember: Remember, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "MOST_CANDIDATES", 3)
    for number in range(5):
        remember(f"apple {number}")
    found = find(alice, "apple")
    assert found.total == 3
    assert [hit.record.content for hit in found.hits] == ["apple 4", "apple 3", "apple 2"]


def test_a_changed_memory_is_found_by_its_new_words(alice: User, remember: Remember) -> None:
    memory = remember("apple")
    memory.content = "strawberry"
    memory.save()
    assert find(alice, "apple").total == 0
    assert find(alice, "strawbery").total == 1


def test_a_search_is_noted(alice: User, remember: Remember) -> None:
    remember("apple")
    find(alice, "apple" * 100)
    find(alice, "apple")
    assert list(Activity.objects.order_by("pk").values_list("action", "method", "count", "query")) == [
        ("search", "search", 0, ("apple" * 100)[:200]),
        ("search", "search", 1, "apple"),
    ]


def test_the_night_forgets_words_and_old_activity(alice: User, bob: User, remember: Remember) -> None:
    kept, gone = remember("apple"), remember("strawberry")
    remember("cherry", owner=bob)
    gone.delete()
    find(alice, "apple")
    Activity.objects.update(at=timezone.now() - timedelta(days=91))
    sweep()
    assert not Activity.objects.exists()
    assert set(Word.objects.values_list("text", flat=True)) == {"appl", "strawberri", "cherri"}
    Activity.objects.create(owner=alice, action="delete", method="api", count=1)
    sweep()
    assert set(Word.objects.values_list("text", flat=True)) == {"appl", "cherri"}
    assert kept.pk


def test_words_are_noted_once_and_never_numbers(alice: User, remember: Remember) -> None:
    Record.objects.bulk_create([Record(owner=alice, content="apple pear 1234 a1b2") for _ in range(3)])
    remember("pear apple x")
    assert sorted(Word.objects.values_list("text", flat=True)) == ["appl", "pear"]


class AnyQuery(TestCase):
    """Whatever is searched for, there is an answer with scores in [0, 1]."""

    @settings(max_examples=30)
    @given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=200))
    def test_any_text_can_be_searched_for(self, text: str) -> None:
        owner, _ = User.objects.get_or_create(username="carol")
        Record.objects.create(owner=owner, content=text)
        found = find(owner, text)
        assert all(0 <= hit.score <= 1 for hit in found.hits)
        assert bool(found.hits) == bool(words.meanings_of(owner.pk, text))

"""Lists of batches: read as far as needed, and never in circles."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from providers.ai.anthropic import Anthropic
from providers.ai.batches import listing
from providers.ai.batches.adapter import BatchAdapter
from providers.ai.batches.listing import created_at
from providers.ai.gemini import Gemini
from providers.ai.groq import Groq
from providers.ai.openai import OpenAI
from providers.ai.xai import XAI
from providers.base import ProviderError
from tests.providers.batch_adapters import every_adapter, make
from tests.providers.batch_answers import LISTS, ODD_BATCHES, anthropic, at, gemini, openai, xai
from tests.providers.recorded import Recorded

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@every_adapter
@pytest.mark.parametrize(
    "body", [*ODD_BATCHES, {"data": 7, "batches": 7, "operations": 7}, {"data": [7, None, "x", []]}]
)
def test_a_list_of_an_odd_shape_crashes_nothing(adapter: type[BatchAdapter], body: Any, server: Recorded) -> None:
    server.answer(f"GET {at(adapter, LISTS[adapter])}", body)
    try:
        assert make(adapter, server.url).find_batch("bs1", 3, NOW, ()) is None
    except ProviderError as error:
        assert not error.permanent


LISTED: dict[type[BatchAdapter], dict[str, Any]] = {
    OpenAI: {"data": [openai("completed", metadata={"batchsite": "bs2"})], "has_more": True, "last_id": "b"},
    Groq: {"data": [openai("completed")], "paging": {"next_cursor": "c"}},
    XAI: {"batches": [xai()], "pagination_token": "t"},
    Anthropic: {"data": [anthropic("ended", succeeded=7)], "has_more": True, "last_id": "b"},
    Gemini: {"operations": [gemini("JOB_STATE_RUNNING")], "nextPageToken": "t"},
}


@every_adapter
@pytest.mark.parametrize("cursors", [1, 2], ids=["itself", "each other"])
def test_a_list_that_turns_in_circles_ends(
    adapter: type[BatchAdapter], cursors: int, server: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cursors that lead to themselves or each other: nobody may say then that the batch is not there."""
    page = json.dumps(LISTED[adapter])
    for number in range(20):
        turned = page
        for name in ('"last_id": "', '"next_cursor": "', '"pagination_token": "', '"nextPageToken": "'):
            turned = turned.replace(name, f"{name}{number % cursors}-")
        server.answer(f"GET {at(adapter, LISTS[adapter])}", turned.encode())
    monkeypatch.setattr(listing, "MOST_PAGES", 6)
    with pytest.raises(ProviderError) as caught:
        make(adapter, server.url).find_batch("bs9", 3, NOW, ())
    assert (caught.value.code, caught.value.permanent) == ("endless_list", False)
    assert len(server.asked) <= 6


def test_a_list_from_the_newest_on_is_read_as_far_as_needed(server: Recorded) -> None:
    old = [openai("completed", id=f"b{each}") | {"created_at": 1_700_000_000 - each} for each in range(3)]
    server.answer(f"GET {at(OpenAI, '/batches')}", {"data": old, "has_more": True, "last_id": "b2"})
    assert make(OpenAI, server.url).find_batch("bs1", 3, NOW, ()) is None
    assert len(server.asked) == 1


@pytest.mark.parametrize("order", [1, 0], ids=["from the oldest", "all at once"])
def test_a_list_of_another_order_is_read_to_its_end(server: Recorded, order: int) -> None:
    old = [openai("completed", id=f"b{each}") | {"created_at": 1_700_000_000 + each * order} for each in range(3)]
    mine = openai("completed", metadata={"batchsite": "bs1"})
    server.answer(f"GET {at(OpenAI, '/batches')}", {"data": old, "has_more": True, "last_id": "b2"})
    server.answer(f"GET {at(OpenAI, '/batches')}", {"data": [mine], "has_more": False})
    server.answer(f"GET {at(OpenAI, '/batches/b1')}", mine)
    found = make(OpenAI, server.url).find_batch("bs1", 3, NOW, ())
    assert found is not None and found.id == "b1"


@pytest.mark.parametrize(
    ("value", "when"),
    [
        (1_795_000_000, datetime(2026, 11, 18, 11, 6, 40, tzinfo=UTC)),
        ("2026-11-21T12:40:59Z", datetime(2026, 11, 21, 12, 40, 59, tzinfo=UTC)),
        ("2026-11-21T12:40:59.123456789+00:00", datetime(2026, 11, 21, 12, 40, 59, 123456, tzinfo=UTC)),
        ("2026-11-21", datetime(2026, 11, 21, tzinfo=UTC)),
        ("yesterday", None),
        (1e300, None),
        ([], None),
        (None, None),
    ],
)
def test_when_a_batch_was_created(value: Any, when: datetime | None) -> None:
    for name in ("created_at", "create_time", "createTime"):
        assert created_at({name: value}) == when

"""What goes through all conversations: counted from the items, and a model's word that costs nothing when it fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User

from batches.models import Batch
from batches.operations.conversations import conversation_themes
from batches.operations.conversations.conversation_themes import LAST_ATTEMPT, NotAnswered, themes_across
from providers.base import ChatAnswer, ChatRequest, ErrorCategory, ProviderError
from tests.operations.conftest import Answering
from tests.operations.submitted import submitted

THEMES = {
    "summary": "Everybody complains.",
    "themes": [{"theme": "billing", "description": "Wrong invoices.", "conversations": 2}],
    "recommendations": ["Check the invoices."],
}


class Failing(Answering):
    def __init__(self, *, permanent: bool) -> None:
        super().__init__()
        self.permanent = permanent

    def complete(self, request: ChatRequest) -> ChatAnswer:
        self.requests.append(request)
        raise ProviderError(
            "no", category=ErrorCategory.SERVER, code="broken", permanent=self.permanent, surely_not_sent=True
        )


@pytest.fixture
def batch(owner: User) -> Batch:
    """Three conversations, of which two were analysed."""
    conversation = {"messages": [{"role": "user", "content": "Hello"}]}
    batch = submitted(owner.pk, "analyze_conversations", {"conversations": [conversation] * 3, "question": "Why?"})
    for position, topics in ((0, ["Billing", "refunds"]), (2, ["billing "])):
        result = {"messageCount": 4, "summary": f"Case {position}.", "topics": topics, "sentiment": "negative"}
        batch.items.filter(position=position).update(status="succeeded", result=result, finished_at=batch.created_at)
    return batch


def themes(batch: Batch, provider: Answering, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(conversation_themes, "get_provider", lambda alias: provider)
    monkeypatch.setattr(conversation_themes, "_await_slot", lambda batch, provider: None)
    return themes_across(batch)


def test_a_spent_budget_asks_nobody(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Answering(json.dumps(THEMES))
    Batch.objects.filter(pk=batch.pk).update(max_cost=1, spent=1)
    said = themes(batch, provider, monkeypatch)
    assert (said["conversations"], said["error"]["code"], provider.requests) == (2, "budget_spent", [])


def test_counts_and_a_models_word(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Answering(json.dumps(THEMES))
    assert themes(batch, provider, monkeypatch) == {
        "conversations": 2,
        "messages": 8,
        "sentiments": {"negative": 2},
        "topics": [{"topic": "billing", "conversations": 2}, {"topic": "refunds", "conversations": 1}],
        "summariesRead": 2,
        **THEMES,
    }
    [request] = provider.requests
    assert "<document>\n1. Case 0.\n2. Case 2.\n</document>" in request.prompt
    assert "2 of 2 conversations" in request.prompt and "Why?" in request.prompt


def test_without_across_nobody_is_asked(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    batch.parameters["across"] = False
    provider = Answering()
    assert themes(batch, provider, monkeypatch)["conversations"] == 2
    assert not provider.requests


def test_a_failure_for_good_is_written_down(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    found = themes(batch, Failing(permanent=True), monkeypatch)
    assert (found["conversations"], found["error"]["code"]) == (2, "broken")


@pytest.mark.parametrize(
    ("provider", "error"), [(Failing(permanent=False), ProviderError), (Answering("no JSON"), NotAnswered)]
)
def test_a_passing_failure_is_tried_again_and_in_the_end_written_down(
    batch: Batch, provider: Answering, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(error):
        themes(batch, provider, monkeypatch)
    batch.finish_attempts = LAST_ATTEMPT
    assert "error" in themes(batch, provider, monkeypatch)

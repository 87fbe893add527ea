"""What the sandbox says about a text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.base import ChatRequest
from providers.registry import get_provider
from providers.sandbox.texts import describe, document_in, measure
from tests.sandbox_fixture import SandboxServer

INVOICE = (
    "Title: Invoice 2231\n\nInvoice number 2231 from Acme Ltd. The total amount of 1,240.50 EUR is due on 30 June."
    " Please pay to the bank account named below. Ten office chairs were delivered."
)
STRINGS = {"type": "array", "items": {"type": "string"}}


@pytest.fixture(autouse=True)
def no_key(sandbox: SandboxServer, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings.SANDBOX_URL = sandbox.url


def answer(prompt: str, properties: dict[str, Any]) -> Any:
    """The sandbox's answer over HTTP, under a schema with these properties."""
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    request = ChatRequest(prompt=prompt, reference="r", timeout_seconds=10, schema=schema)
    provider: Any = get_provider("openai-gpt-5")
    return json.loads(provider.complete(request).text)


def test_it_describes_what_stands_in_the_frame_and_not_the_instruction() -> None:
    question = f"Describe this elephant of a record.\n\n<document>\n{INVOICE}\n</document>"
    assert document_in(question) == INVOICE
    told = answer(question, {"tags": STRINGS, "category": {"type": "string"}, "description": {"type": "string"}})
    assert told["category"] == "finance"
    assert "invoice" in told["tags"]
    assert "elephant" not in json.dumps(told)
    assert told["description"].startswith("Measured by the sandbox, ")
    assert "Invoice number 2231 from Acme Ltd." in told["description"]


def test_the_same_text_gets_the_same_answer_and_another_text_another() -> None:
    properties = {"tags": STRINGS, "qualityScore": {"type": "number"}}
    assert answer(INVOICE, properties) == answer(INVOICE, properties)
    assert answer(INVOICE, properties) != answer("A patient asks for another dose of the drug.", properties)


def test_better_texts_score_higher() -> None:
    noise, short = measure("#### 123 ---- 456"), measure("Call me.")
    monotonous, full = measure("buy now " * 60), measure(INVOICE)
    assert noise.quality < short.quality < full.quality <= 1
    assert monotonous.quality < full.quality
    assert measure("").quality == 0


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("The contract is governed by law; each party accepts the privacy policy.", "legal"),
        ("Our flight was late and the hotel had lost our booking.", "travel"),
        ("The server returned an error after the software update.", "technology"),
        ("Grass grows.", "general"),
    ],
)
def test_the_subject_is_told_by_the_words(text: str, subject: str) -> None:
    assert describe(text)["category"] == subject


def test_a_choice_is_made_among_the_choices_of_the_schema() -> None:
    choices = {"type": "string", "enum": ["letter", "invoice", "manual"]}
    assert answer(INVOICE, {"kind": choices}) == {"kind": "invoice"}


def test_names_it_knows_in_another_type_and_names_it_does_not_know_are_made_up() -> None:
    told = answer(INVOICE, {"tags": {"type": "string"}, "weight": {"type": "number", "minimum": 3}})
    assert told == {"tags": "sandbox", "weight": 3}


def test_a_text_without_words_is_described_as_that() -> None:
    assert describe("12 34")["description"] == "Measured by the sandbox, 0 words: no sentence"
    assert describe("12 34")["tags"] == []


def test_a_document_is_described_also_where_no_form_is_asked_for() -> None:
    question = "Summarise it.\n<document>\nThe invoice of March is overdue. Please pay it.\n</document>"
    provider = get_provider("openai-gpt-5")
    answered = provider.complete(ChatRequest(prompt=question, reference="r", timeout_seconds=5))  # type: ignore[attr-defined]
    assert "The invoice of March is overdue." in answered.text

"""Whatever JSON an answer holds, it is an answer, or one of our errors: nothing odd in it goes any further."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.ai.anthropic import Anthropic
from providers.ai.batches.adapter import BatchAdapter
from providers.ai.chat import LONGEST_MODEL_NAME, MOST_TOKENS
from providers.ai.gemini import Gemini
from providers.ai.groq import Groq
from providers.ai.openai import OpenAI
from providers.ai.xai import XAI
from providers.base import Limits, ProviderError, TextMessage
from providers.http import Response, classify, retry_after
from providers.http.verdicts import LONGEST_WAIT_SECONDS
from providers.sms.adapter import SmsAdapter
from providers.sms.plivo import Plivo
from providers.sms.segments import segments
from providers.sms.twilio import Twilio
from providers.sms.vonage import Vonage

Start = Callable[[Callable[[Any], None]], str]

CHAT: list[type[BatchAdapter]] = [OpenAI, Anthropic, Gemini, XAI, Groq]
TEXTS: list[type[SmsAdapter]] = [Twilio, Vonage, Plivo]
chat_adapters = [
    adapter(alias=adapter.__name__, base_url="http://127.0.0.1:9/v1", key="k", model="ours", limits=Limits())
    for adapter in CHAT
]
every_chat = pytest.mark.parametrize("adapter", chat_adapters, ids=lambda adapter: adapter.alias)
every_sms = pytest.mark.parametrize("kind", TEXTS, ids=lambda kind: kind.__name__)


def odd(names: str) -> st.SearchStrategy[Any]:
    """Any JSON, with many of these names in its objects."""
    leaf = (
        st.none()
        | st.booleans()
        | st.integers(min_value=-(10**40), max_value=10**40)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=8)
        | st.sampled_from(["stop", "end_turn", "STOP", "text", "1e9", "34s", "1e300s"])
    )
    name = st.sampled_from(names.split())
    return st.recursive(
        leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(name, inner, max_size=4), max_leaves=12
    )


answer_part = odd("choices message content finish_reason usage type text candidates parts thought model")
openai_shape = st.fixed_dictionaries(
    {
        "choices": st.lists(
            st.fixed_dictionaries(
                {"message": st.fixed_dictionaries({"content": answer_part}) | answer_part, "finish_reason": answer_part}
            )
        )
        | answer_part,
        "usage": st.fixed_dictionaries({"prompt_tokens": answer_part, "completion_tokens": answer_part}) | answer_part,
        "model": answer_part,
    }
)
anthropic_shape = st.fixed_dictionaries(
    {
        "content": st.lists(st.fixed_dictionaries({"type": answer_part, "text": answer_part})) | answer_part,
        "stop_reason": answer_part,
        "usage": st.fixed_dictionaries({"input_tokens": answer_part, "cache_read_input_tokens": answer_part})
        | answer_part,
        "model": answer_part,
    }
)
gemini_shape = st.fixed_dictionaries(
    {
        "candidates": st.lists(
            st.fixed_dictionaries(
                {"content": st.fixed_dictionaries({"parts": st.lists(answer_part)}) | answer_part}
                | {"finishReason": answer_part}
            )
        )
        | answer_part,
        "usageMetadata": st.fixed_dictionaries({"promptTokenCount": answer_part, "thoughtsTokenCount": answer_part})
        | answer_part,
        "modelVersion": answer_part,
    }
)
error_part = odd("error code type message status details error_code retryDelay")
error_shape = st.fixed_dictionaries(
    {
        "error": st.fixed_dictionaries(
            {
                "code": error_part,
                "type": error_part,
                "message": error_part,
                "status": error_part,
                "details": st.lists(st.fixed_dictionaries({"retryDelay": error_part}))
                | st.fixed_dictionaries({"error_code": error_part})
                | error_part,
            }
        )
        | error_part,
        "code": error_part,
        "type": error_part,
    }
)


@given(openai_shape | anthropic_shape | gemini_shape | answer_part)
def test_any_document_is_an_answer_or_one_of_our_errors(document: Any) -> None:
    for adapter in chat_adapters:
        try:
            answer = adapter.answer(Response(200, {}, b"", document))
        except ProviderError as error:
            assert error.permanent is (error.code == "refused")
            if error.billed is None:
                continue
            answer = error.billed
        assert isinstance(answer.model, str) and 0 < len(answer.model) <= LONGEST_MODEL_NAME
        assert 0 <= answer.input_tokens <= MOST_TOKENS and 0 <= answer.output_tokens <= MOST_TOKENS


@given(error_shape | error_part, st.sampled_from([302, 400, 401, 403, 429, 498, 500, 503, 529]))
def test_any_document_beside_a_bad_status_is_one_of_our_errors(document: Any, status: int) -> None:
    clients = [adapter.files for adapter in chat_adapters]
    for client in [*clients, *(sms_adapter(kind, "http://127.0.0.1:9")._http for kind in TEXTS)]:
        error = client.failure(Response(status, {}, b"", document))
        assert len(error.code) <= 64
        assert error.retry_after is None or 0 <= error.retry_after <= LONGEST_WAIT_SECONDS
        if status >= 500 and status != 529:
            assert not error.surely_not_sent


@every_chat
@pytest.mark.parametrize("code", [{"a": 1}, [1], {}, [], None, True])
def test_an_odd_code_leaves_the_word_to_the_status(adapter: BatchAdapter, code: Any) -> None:
    body = {"error": {"code": code, "type": code, "details": {"error_code": code}, "status": code}, "code": code}
    error = adapter.files.failure(Response(503, {}, b"", body))
    assert (error.permanent, error.status, error.category) == (False, 503, classify(503).category)


@every_chat
@pytest.mark.parametrize(
    ("told", "meant"),
    [(-5, 0), (0, 0), ("7", 7), (7.9, 7), (10**30, MOST_TOKENS), (1e300, MOST_TOKENS), ("odd", 0), ([7], 0), ({}, 0)],
)
def test_tokens_are_a_number_that_can_be_billed(adapter: BatchAdapter, told: Any, meant: int) -> None:
    usage = {"prompt_tokens": told, "completion_tokens": told, "input_tokens": told, "output_tokens": told}
    document = {
        "choices": [{"message": {"content": "Four"}, "finish_reason": "stop"}],
        "content": [{"type": "text", "text": "Four"}],
        "stop_reason": "end_turn",
        "candidates": [{"content": {"parts": [{"text": "Four"}]}, "finishReason": "STOP"}],
        "usage": usage,
        "usageMetadata": {"promptTokenCount": told, "candidatesTokenCount": told},
        "model": {"odd": told},
        "modelVersion": "x" * 1000,
    }
    answer = adapter.answer(Response(200, {}, b"", document))
    assert (answer.text, answer.model, answer.input_tokens, answer.output_tokens) == ("Four", "ours", meant, meant)


@pytest.mark.parametrize(
    "value",
    [
        "1e308",
        "999999999999",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Mon, 01 Jan 2024 00:00:00 +9999999999999999999",
        "99999999999 Jan 99999999999 00:00:00",
    ],
)
def test_a_wait_that_nobody_can_mean_is_none(value: str) -> None:
    assert retry_after({"retry-after": value}, now=0.0) is None


@given(st.text(max_size=40), st.sampled_from(["retry-after", "retry-after-ms"]))
def test_any_retry_after_is_a_wait_or_none(value: str, name: str) -> None:
    seconds = retry_after({name: value}, now=0.0)
    assert seconds is None or 0 <= seconds <= LONGEST_WAIT_SECONDS


def sms_adapter(kind: type[SmsAdapter], url: str) -> SmsAdapter:
    return kind(alias=kind.__name__, base_url=url, key="k", limits=Limits(), account="AC1", sender="+15005550006")


def taken(kind: type[SmsAdapter], start: Start, status: str, body: bytes, text: str = "Hi") -> Any:
    """What the adapter makes of an answer to a message."""

    def answer(connection: Any) -> None:
        connection.recv(65536)
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    return sms_adapter(kind, start(answer)).send(
        TextMessage(to="+491701234567", body=text, reference="attempt-1", timeout_seconds=5)
    )


@every_sms
@pytest.mark.parametrize(
    "reference", [b"null", b"{}", b"[]", b'""', b"true", b'["a","b"]', b'"%s"' % (b"x" * 101), b'"a b"', b'"a\\u0000"']
)
def test_a_message_without_a_usable_id_is_in_doubt(kind: type[SmsAdapter], reference: bytes, raw_server: Start) -> None:
    """No receipt could ever find it, and two of them would share one."""
    uuids = b"[%s]" % reference if kind is Plivo else reference
    with pytest.raises(ProviderError) as caught:
        taken(kind, raw_server, "201 Created", b'{"sid":%s,"status":"queued","message_uuid":%s}' % (reference, uuids))
    error = caught.value
    assert (error.code, error.permanent, error.surely_not_sent) == ("invalid_response", False, False)


LONG = "a" * 400


@pytest.mark.parametrize(
    ("told", "billed"),
    [
        (b'"3"', 3),
        (b"5", 5),
        (b'"0"', segments(LONG).number),  # of a messaging service, which counts later
        (b"null", segments(LONG).number),
        (b"-4", segments(LONG).number),
        (b"1e300", segments(LONG).number),
        (b'"many"', segments(LONG).number),
        (b"{}", segments(LONG).number),
    ],
)
def test_segments_that_no_message_can_have_are_counted_here(told: bytes, billed: int, raw_server: Start) -> None:
    body = b'{"sid":"SM1","status":"queued","num_segments":%s}' % told
    assert taken(Twilio, raw_server, "201 Created", body, LONG).segments == billed


@pytest.mark.parametrize("status", [b"null", b"{}", b"7", b'"%s"' % (b"x" * 5000)])
def test_an_odd_word_for_its_state_does_not_make_a_message_doubtful(status: bytes, raw_server: Start) -> None:
    sent = taken(Twilio, raw_server, "201 Created", b'{"sid":"SM1","status":%s}' % status)
    assert (sent.provider_reference, sent.status) == ("SM1", "accepted")

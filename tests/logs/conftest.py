"""Tests of lines begin with nothing bound: others run in this thread what has a greenlet of its own in a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from batches.logs import fields


@pytest.fixture(autouse=True)
def nothing_bound() -> Iterator[None]:
    token = fields._bound.set({})
    yield
    fields._bound.reset(token)

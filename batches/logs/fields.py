"""What a line of the log is about: ids that are bound once and stand in every line from there on.

They lie in a context variable. A greenlet, as a thread, begins without any; so a worker binds them where an item's own
greenlet begins, and nothing has to be taken away at its end.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

NAMES = ("batch", "item", "lease", "provider", "attempt", "request", "owner", "method", "view", "status", "ms")
"""All there are, in the order in which they stand in a line. Nothing else of a record is written.

``batch``: its public id; ``item``, ``lease``, ``owner``: numbers of rows; ``provider``: an alias; ``attempt``: the id
that travels in the call; ``request``: the id in the answer's ``X-Request-Id``.
"""

_bound: ContextVar[Mapping[str, object]] = ContextVar("log_fields", default=MappingProxyType({}))


def bind(**fields: object) -> None:
    """From now on, in this greenlet, thread or request, lines are about these as well."""
    _bound.set({**_bound.get(), **fields})


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Lines that are written within the block are about these as well."""
    token = _bound.set({**_bound.get(), **fields})
    try:
        yield
    finally:
        _bound.reset(token)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """What this line is about: what is bound, and what the call named in ``extra``, which comes first."""
    known = _bound.get()
    own = record.__dict__
    return {name: own.get(name, known.get(name)) for name in NAMES if name in own or name in known}

"""Where an error happened, without its words: a database quotes the row it refused, a parser what it parsed."""

from __future__ import annotations

import traceback


def without_words(error: BaseException | None) -> str:
    """The frames and the kind of an error and of those that led to it, the first of them first."""
    told = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        told.append("".join(traceback.format_tb(error.__traceback__)) + kind_of(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\nwhich led to\n".join(reversed(told))


def kind_of(error: BaseException) -> str:
    """``django.db.utils.DataError (22001)``: the class, and what a database calls it."""
    kind = type(error)
    state = getattr(error, "sqlstate", None)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{name} ({state})" if state else name

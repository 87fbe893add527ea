"""JSON as clients send it, in a body or in a line of a file: one object, read strictly."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from batches.operations.payload import document_problems
from batches.problems import InvalidInput, Problem

# Only an escape can bring a NUL or a lone surrogate into valid UTF-8 JSON: without one there is nothing to look for.
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_DEEPEST = 500


class NotAnObject(ValueError):
    """The bytes are no JSON object; the message says why and repeats nothing of them."""


def read_object(content: bytes) -> dict[str, Any]:
    """Decode JSON as RFC 8259 has it: no duplicate names, no NaN, and an object at the top.

    Raises :class:`NotAnObject`, or :class:`InvalidInput` for what it must not hold.
    """
    try:
        document = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except RecursionError:
        raise NotAnObject("The JSON is nested too deeply.") from None
    except ValueError:
        raise NotAnObject("The body is not valid JSON in UTF-8.") from None
    if not isinstance(document, dict):
        raise NotAnObject("The body must be a JSON object.")
    if _SUSPECT.search(content) and (problems := list(document_problems(document, "", maximum_depth=_DEEPEST))):
        raise InvalidInput(problems)
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise InvalidInput([Problem("", "An object in the body has the same name twice.", "duplicate_name")])
    return document


def _refuse_constant(name: str) -> float:
    raise InvalidInput([Problem("", f"{name} is not a JSON number.", "invalid_number")])


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise InvalidInput([Problem("", "A number in the body is too large.", "invalid_number")])
    return number

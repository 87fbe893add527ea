"""Lines of a source, decoded: every line is one JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from batches.operations.documents import NotAnObject, read_object
from batches.operations.payload import Problems
from batches.problems import InvalidInput, Problem


def read_lines(lines: Sequence[bytes], first: int, problems: Problems) -> list[tuple[int, dict[str, Any]]]:
    """The objects with their line numbers, bad lines left out; ``first`` is the number of the first line."""
    documents = []
    for number, line in enumerate(lines, start=first):
        try:
            documents.append((number, read_object(line)))
        except NotAnObject:
            problems.add(f"line.{number}", "Must be one JSON object in UTF-8.", "invalid_json")
        except InvalidInput as refused:
            problems.extend(Problem(f"line.{number}", found.message, found.code) for found in refused.problems)
    return documents

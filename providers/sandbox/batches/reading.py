"""Reading the lines of a batch: where each starts, whether it is one, and any of them by its number."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import BinaryIO

import orjson

from providers.sandbox.batches.spelling import Problem, Spelling


def checked(path: Path, spelling: Spelling) -> tuple[array[int], list[Problem]]:
    """Where the lines start, and what is wrong with them."""
    starts: array[int] = array("Q")
    problems: list[Problem] = []
    seen: set[str] = set()
    at = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                starts.append(at)
                if (problem := _problem_of(line, number, spelling, seen)) is not None:
                    problems.append(problem)
            at += len(line)
    if not starts:
        problems.append(Problem("empty_file", "The file holds no line."))
    return starts, problems


def _problem_of(line: bytes, number: int, spelling: Spelling, seen: set[str]) -> Problem | None:
    try:
        custom_id, _, _ = spelling.read_line(orjson.loads(line))
    except Exception:  # a stranger's line may be wrong in any way
        return Problem("invalid_json_line", "This line is not a request.", number)
    if custom_id in seen:
        return Problem("duplicate_custom_id", "The custom_id is used twice.", number)
    seen.add(custom_id)
    return None


class Reader:
    """Reads lines by their number."""

    def __init__(self, file: BinaryIO, starts: array[int]) -> None:
        self._file = file
        self._starts = starts

    def line(self, number: int) -> bytes:
        self._file.seek(self._starts[number])
        return self._file.readline()


def any_id(line: bytes) -> str:
    """The id in a line that is none otherwise; empty where there is none."""
    try:
        return str(orjson.loads(line)["custom_id"])
    except Exception:  # it may be wrong in any way
        return ""

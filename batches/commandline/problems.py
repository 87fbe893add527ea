"""Problems with the input, said in the words of who typed the command."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.core.management.base import CommandError

from batches.commandline.arguments import FIELDS
from batches.problems import Problem

MOST_SHOWN = 50
_OPTIONS = {field: f"--{option.replace('_', '-')}" for option, field in FIELDS.items()}
_OPTIONS |= {"providerId": "--provider", "provider": "--provider", "systemPrompt": "--system-prompt"}
_OPTIONS |= {"prompt": "--prompt", "shootId": "--shoot", "text": "--template"}


def option_of(path: str) -> str:
    """The option that a payload's field came from; the field itself where there is none."""
    return _OPTIONS.get(path, path)


def refusal(problems: Iterable[Problem], where: Callable[[str], str] = option_of) -> CommandError:
    """All problems, one a line, and that nothing was submitted."""
    lines = [f"  {where(problem.path)}: {problem.message}" for problem in problems]
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    shown = lines[:MOST_SHOWN]
    if len(lines) > MOST_SHOWN:
        shown.append(f"  ... and {len(lines) - MOST_SHOWN} more")
    return CommandError("\n".join([f"Nothing was submitted: {count}.", *shown]))

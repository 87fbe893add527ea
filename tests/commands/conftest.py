"""Alice, and commands run in this process with their output as text."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError

from tests.engine_fixture import engine

__all__ = ["engine"]


@dataclass(frozen=True, slots=True)
class Run:
    """How a command ended. ``output`` is all it said, errors included."""

    code: int
    output: str


Manage = Callable[..., Run]


@pytest.fixture
def manage() -> Manage:
    """Run a command as manage.py would."""

    def run(*arguments: Any) -> Run:
        output = io.StringIO()
        name, *rest = (str(argument) for argument in arguments)
        try:
            call_command(name, *rest, stdout=output, stderr=output)
        except CommandError as error:
            return Run(error.returncode, f"{output.getvalue()}{error}")
        except SystemExit as ending:
            return Run(int(ending.code or 0), output.getvalue())
        return Run(0, output.getvalue())

    return run


@pytest.fixture
def alice(db: None) -> User:
    return User.objects.create_user("alice")

"""The project's settings with operations that misbehave; for the engine's processes in two tests."""

from __future__ import annotations

from batchsite.settings import *  # noqa: F403
from batchsite.settings import OPERATIONS as USUAL
from tests.faults.operations import OPERATIONS as MISBEHAVING

OPERATIONS = {**USUAL, **MISBEHAVING}

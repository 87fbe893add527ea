"""The settings of processes that tests start, with the operations that only tests have."""

from __future__ import annotations

from batchsite.settings import *  # noqa: F403
from batchsite.settings import OPERATIONS as SHIPPED

OPERATIONS = {**SHIPPED, "count": "tests.scripted_operations.Count"}

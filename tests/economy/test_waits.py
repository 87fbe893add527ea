"""How long economy mode waits after a refusal: what the provider asks for, within reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from batches.economy.waits import LONGEST_ASKED_SECONDS, after_failures, until_room


@pytest.mark.parametrize("wait", [after_failures, until_room])
@pytest.mark.parametrize(
    ("asked", "longest"), [(None, 60.0), (0.0, 60.0), (900.0, 900.0), (2_000_000.0, LONGEST_ASKED_SECONDS)]
)
def test_one_odd_header_puts_no_batch_off_for_weeks(
    wait: Callable[[int, float | None], float], asked: float | None, longest: float, settings: Any
) -> None:
    settings.ECONOMY_TEMPO = 1.0
    assert 0.0 < wait(1, asked) <= longest
    if asked and asked <= LONGEST_ASKED_SECONDS:
        assert wait(1, asked) == asked

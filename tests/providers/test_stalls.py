from __future__ import annotations

import asyncio
import time

from providers.sandbox.stalls import Stalls


async def test_a_loop_that_stood_still_is_noticed() -> None:
    stalls = Stalls()
    stalls.watch()
    await asyncio.sleep(0)
    began = time.time()
    time.sleep(0.4)  # the loop stands still
    await asyncio.sleep(0.2)
    first, *_ = stalls.as_list()
    assert first[0] <= began + 0.1 and first[1] >= began + 0.4

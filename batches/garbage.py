"""When Python looks for garbage in circles: seldom, and not among what was there from the start.

By default it looks after every 700 new objects, and with thousands of calls in flight each look goes through all that
they hold: a tenth of a worker's time. Almost nothing here is in circles; what is goes with the next look.
"""

from __future__ import annotations

import gc

YOUNG, MIDDLE, OLD = 50_000, 20, 50
"""A look at the newest after so many more objects; after so many of these one at the older; and of these at all."""


def look_seldom() -> None:
    """Once a process has imported and made what it keeps for good."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)

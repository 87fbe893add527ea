"""A process of :mod:`batches.tables.isolation` that tells the names and values of its environment."""

from __future__ import annotations

import os

from batches.tables.child import answer_request

if __name__ == "__main__":
    answer_request(lambda request: {"variables": dict(os.environ)})

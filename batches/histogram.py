"""Durations in logarithmic buckets: percentiles within 2 % of the exact value, from a few hundred counts."""

from __future__ import annotations

import math
from collections.abc import Mapping

GROWTH = 1.03
"""Each bucket is 3 % wider than the one below, so its geometric middle is at most 1.5 % off."""
_LOG_GROWTH = math.log(GROWTH)


def duration_bucket(milliseconds: float) -> int:
    """The bucket of a duration; everything up to one millisecond shares bucket 0."""
    if milliseconds <= 1.0:
        return 0
    return int(math.log(milliseconds) / _LOG_GROWTH) + 1


def bucket_middle(bucket: int) -> float:
    """The duration in milliseconds that stands for a bucket."""
    return 1.0 if bucket == 0 else GROWTH ** (bucket - 0.5)


def percentile(counts: Mapping[int, int], share: float) -> float:
    """The duration in milliseconds below which ``share`` (in [0, 1]) of the counted ones lie; 0 for none."""
    total = sum(counts.values())
    if total == 0:
        return 0.0
    rank = max(1, math.ceil(share * total))
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= rank:
            return bucket_middle(bucket)
    return bucket_middle(max(counts))

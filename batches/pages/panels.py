"""The charts and figures of one batch, from its counters alone: no item row is read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.urls import reverse

from batches.api.analytics import delivery, recent_rate
from batches.api.shapes import tokens_shape
from batches.api.visualization import ERROR_NAMES
from batches.figures import QUALITY_RANGES, Figures
from batches.live.frames import PHOTO_OPERATION
from batches.models import Batch
from batches.money.costs import Cost, cost_of
from batches.pages.charts import Chart, Quantity, shapes, throughput
from batches.pages.phases import Phase, phases
from batches.running.record_statements import QUALITY_BUCKETS
from batches.states import BatchStatus, Channel
from batches.visibility import sees_every_error
from providers.prices import SEGMENTS

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

STARS = 5


@dataclass(frozen=True, slots=True)
class Panels:
    """What the page shows of a batch beside its counters. ``recent``: items per second over about the last minute."""

    throughput: Chart | None
    phases: list[Phase]
    charts: list[Chart]
    cost: Cost | None
    tokens: dict[str, int] | None
    segments: int | None
    delivery: dict[str, object] | None
    recent: float | None


def panels(batch: Batch, user: AbstractBaseUser | AnonymousUser, now: datetime) -> Panels:
    """Draw them."""
    figures = Figures.of(batch)
    finished = figures.finished_by_slot()
    running = batch.status == BatchStatus.RUNNING
    units = figures.used + figures.simulated
    drawn = [
        _errors(batch, figures, user),
        _stars(figures) if batch.operation == PHOTO_OPERATION else _qualities(figures),
    ]
    return Panels(
        throughput=throughput(finished, now if running else None),
        phases=phases(figures, has_provider=bool(batch.provider)),
        charts=[chart for chart in drawn if chart is not None],
        cost=cost_of(batch.provider, figures.costs, succeeded=batch.succeeded),
        tokens=tokens_shape(units) if batch.channel == Channel.AI and units else None,
        segments=units[SEGMENTS] if batch.channel == Channel.SMS and units[SEGMENTS] else None,
        delivery=delivery(batch, figures) if batch.channel == Channel.SMS else None,
        recent=recent_rate(finished, batch.started_at, now) if running else None,
    )


def _errors(batch: Batch, figures: Figures, user: AbstractBaseUser | AnonymousUser) -> Chart | None:
    """Calls that failed; where retries are kept from the owner, items that did in the end."""
    whole = sees_every_error(user, batch)
    counts = figures.errors() if whole else figures.failures()
    if not counts:
        return None
    page = reverse("batch-detail", args=[batch.public_id])
    quantities = [
        Quantity(
            ERROR_NAMES.get(category, category),
            count,
            f"{count:,}",
            "failed",
            f"{page}?{urlencode({'category': category})}#items",
        )
        for category, count in counts
    ]
    return Chart(
        id="errors-by-category",
        title="Calls that failed" if whole else "Items that failed",
        summary="How many, by what went wrong.",
        shapes=shapes(quantities),
        heads=("What went wrong", "Calls" if whole else "Items"),
        notes=["Calls that failed are repeated; only the last one of an item counts for it."] if whole else [],
    )


def _stars(figures: Figures) -> Chart | None:
    """A photo's quality is its stars, from none to four quarters."""
    counts: Counter[int] = Counter()
    for bucket, count in figures.measures.get("quality", {}).items():
        counts[1 + round(bucket * (STARS - 1) / (QUALITY_BUCKETS - 1))] += count
    if not counts:
        return None
    quantities = [Quantity("★" * star, counts[star], f"{counts[star]:,}", "stars") for star in range(STARS, 0, -1)]
    rated = counts.total()
    average = sum(star * count for star, count in counts.items()) / rated
    return Chart(
        id="stars",
        title="Stars",
        summary=f"How many photos have how many stars: {average:.2f} on average.",
        shapes=shapes(quantities),
        heads=("Stars", "Photos"),
        notes=[f"{rated:,} photos rated, {average:.2f} stars on average"],
    )


def _qualities(figures: Figures) -> Chart | None:
    counts = dict(figures.qualities())
    if not counts:
        return None
    width = 1 / QUALITY_RANGES
    names = [f"{place * width:.1f}-{(place + 1) * width:.1f}" for place in reversed(range(QUALITY_RANGES))]
    quantities = [Quantity(name, counts.get(name, 0), f"{counts.get(name, 0):,}", "quality") for name in names]
    return Chart(
        id="quality",
        title="Quality",
        summary="How many items have a quality in which range.",
        shapes=shapes(quantities),
        heads=("Quality", "Items"),
        notes=[f"{figures.average_quality:.2f} on average"] if figures.average_quality is not None else [],
    )

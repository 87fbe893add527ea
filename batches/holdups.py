"""What holds a batch back right now, in words: a few short reads, however many items it has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min, Q, Sum
from django.db.models.functions import Now
from django.utils import timezone

from batches.limits import limits_of, slowest
from batches.models import Batch, Item, Lease, ProviderAccount, ProviderBatch, Worker, WorkerRole
from batches.models.engine import SEEN_WITHIN
from batches.provider_accounts.accounts import known_provider
from batches.states import ECONOMY_LANE, BatchStatus, ItemStatus, Step, WhenUnavailable

CALM = frozenset(
    {
        *("scheduled", "not_started", "loading", "paused", "finishing", "at_provider", "rate_limit", "concurrency"),
        "quiet_hours",
    }
)
"""What somebody asked for, or what will pass by itself."""
_MEANWHILE = {
    WhenUnavailable.WAIT: "Its items wait, and nothing of them is spent; it is tried again now and then.",
    WhenUnavailable.SWITCH: "Its items go to a fallback, where one is available.",
    WhenUnavailable.FAIL: "Its items are tried all the same, and fail, as it was asked to.",
}
AT_THE_LIMIT = 0.8
"""A batch that ran at this share of its limit lately runs at its limit."""


@dataclass(frozen=True, slots=True)
class Holdup:
    """One reason. ``code`` names it for programs; ``until``: when it ends, where that is known."""

    code: str
    words: str
    until: datetime | None = None

    @property
    def is_calm(self) -> bool:
        """Whether nobody needs to look after it."""
        return self.code in CALM


def holdups(batch: Batch, *, per_second: float | None = None) -> list[Holdup]:
    """Why the batch does not go faster, the most important first; empty where nothing holds it back.

    ``per_second``: items finished lately, without which no limit of its rate is named.
    """
    if batch.is_final:
        return []
    if batch.status == BatchStatus.PENDING:
        return list(_before_its_start(batch))
    if batch.status == BatchStatus.PAUSED:
        return [_pause(batch)]
    found = [*_missing_processes(batch), *_account(batch), *_at_the_provider(batch), *_loading(batch)]
    if batch.is_finishing:
        return [*found, Holdup("finishing", "All items are done. What is made of them all is being made.")]
    return [*found, *_limits(batch, per_second), *_later(batch)]


def _before_its_start(batch: Batch) -> Iterator[Holdup]:
    if batch.scheduled_at is not None and batch.scheduled_at > timezone.now():
        yield Holdup("scheduled", "It waits for the time it is scheduled for.", batch.scheduled_at)
    elif not batch.auto_start:
        yield Holdup("not_started", "It waits until somebody starts it.")
    else:
        yield from _loading(batch)
        yield from _missing_processes(batch)


def _pause(batch: Batch) -> Holdup:
    if batch.held_for == "budget":
        return Holdup("budget", "Its budget is spent, so it was paused. Raise the budget and resume it.")
    if batch.held_for:
        return Holdup(batch.held_for, f"It was paused by the system: {batch.held_for}.")
    return Holdup("paused", "It is paused: no further call begins until it is resumed.")


def _loading(batch: Batch) -> Iterator[Holdup]:
    if batch.loaded_at is None:
        yield Holdup("loading", f"Its items are still being read; {batch.total:,} are stored so far.")


def _missing_processes(batch: Batch) -> Iterator[Holdup]:
    seen = Worker.objects.filter(seen_at__gte=Now() - SEEN_WITHIN).values_list("role", "capacity")
    roles = list(seen)
    if not any(role == WorkerRole.WORKER and (capacity or {}).get(batch.channel) for role, capacity in roles):
        yield Holdup("no_workers", "No worker that could run its items is up. They wait, and nothing is lost.")
    if not any(role == WorkerRole.DISPATCHER for role, _ in roles):
        yield Holdup("no_dispatcher", "No dispatcher is up, so no items are handed out. Nothing is lost.")


def _account(batch: Batch) -> Iterator[Holdup]:
    account = ProviderAccount.objects.filter(alias=batch.provider).first() if batch.provider else None
    if account is None:
        return
    if account.opened_at is not None:
        reason, since = (account.opened_for or "errors").replace("_", " "), f"{account.opened_at:%Y-%m-%d %H:%M} UTC"
        meanwhile = _MEANWHILE[WhenUnavailable(batch.when_unavailable)]
        words = f"Provider {account.alias} unavailable: {reason} since {since}. {meanwhile}"
        yield Holdup("provider_unavailable", words, account.probe_at)
    elif account.is_closed:
        words = f"The provider of {account.alias} asked everybody to wait."
        yield Holdup("provider_closed", words, account.closed_until)


def _at_the_provider(batch: Batch) -> Iterator[Holdup]:
    submitted = Q(step__in=[Step.SUBMITTED, Step.COLLECTING])
    away = ProviderBatch.objects.filter(submitted, batch=batch).aggregate(
        items=Sum("size"), number=Count("pk"), since=Min("submitted_at")
    )
    if away["number"]:
        since = f" since {away['since']:%H:%M} UTC" if away["since"] else ""
        words = f"{away['items']:,} items wait at the provider{since}. Economy mode takes up to a day."
        yield Holdup("at_provider", words)
    troubled = ProviderBatch.objects.filter(batch=batch).exclude(step=Step.DONE).exclude(error_code="")
    for code, due_at in troubled.order_by("due_at").values_list("error_code", "due_at")[:1]:
        words = f"A step at the provider did not work ({code.replace('_', ' ')}). It is tried again; nothing is lost."
        yield Holdup("provider_step", words, due_at)


def _limits(batch: Batch, per_second: float | None) -> Iterator[Holdup]:
    limit = slowest(limits_of(batch, known_provider(batch.provider) if batch.provider else None))
    if limit is not None and per_second is not None and per_second >= AT_THE_LIMIT * limit.per_second:
        yield Holdup("rate_limit", f"It runs at its rate limit, {_rate(limit.per_second)}.")
    if batch.concurrency is not None:
        called = Lease.objects.filter(batch=batch).exclude(lane=ECONOMY_LANE)
        leased = called.aggregate(items=Sum("remaining"))["items"] or 0
        if leased >= batch.concurrency and batch.total - batch.finished > leased:
            words = f"As many items are under way at once as are allowed: {batch.concurrency:,}."
            yield Holdup("concurrency", words)


def _rate(per_second: float) -> str:
    return f"{per_second:,.3g} a second" if per_second >= 1 else f"{per_second * 60:,.3g} a minute"


def _later(batch: Batch) -> Iterator[Holdup]:
    """Nothing is under way, and the first of what waits is due later. One look into the claim's index."""
    if Lease.objects.filter(batch=batch).exists():
        return
    waiting = Item.objects.filter(batch=batch, status=ItemStatus.PENDING).order_by("due_at", "id")
    due_at, attempts = waiting.values_list("due_at", "attempts").first() or (None, 0)
    if due_at is None or due_at <= timezone.now() + timedelta(seconds=1):
        return
    if attempts == 0 and batch.parameters.get("quietHours"):
        words = "It is night where the recipients are: they are texted after their quiet hours."
        yield Holdup("quiet_hours", words, due_at)
    else:
        yield Holdup("retry_later", "All that is left waits for its next try.", due_at)

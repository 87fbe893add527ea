"""The admin's first page: what the whole system does now, of all owners, made anew every few seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Sum
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from batches.accounts import known_provider
from batches.dispatching.concerns import current_concerns
from batches.metrics.ledger import Process, read_ledger
from batches.models import Batch, ProviderAccount, WorkerRole
from batches.states import LANES, BatchStatus, Channel
from providers.registry import provider_aliases

SHOWN = 20
BACKLOG_COUNTED = 10_000
UNKNOWN_SINCE = timedelta(days=30)

# Of each batch no more than the bound is looked at, in the claim's own index.
_BACKLOG = """
    SELECT COALESCE(sum(waiting.number), 0)::bigint FROM batches_batch AS batch
     CROSS JOIN LATERAL (
        SELECT count(*) AS number FROM (
            SELECT 1 FROM batches_item AS item
             WHERE item.batch_id = batch.id AND item.status = 'pending' AND item.due_at > now() LIMIT %s
        ) AS bounded
     ) AS waiting
     WHERE batch.settled_at IS NULL AND batch.status IN ('running', 'paused')
"""


@dataclass(frozen=True, slots=True)
class LaneRow:
    """A lane: what is not final in it, what workers have, and how long its oldest due item has waited."""

    name: str
    unfinished: int
    leased: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A provider account. ``calls_per_second``: of the last seconds; ``limit``: in words, empty where there is none."""

    alias: str
    state: str
    until: datetime | None
    reason: str
    calls_per_second: float
    limit: str
    uses_sandbox: bool


def overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The context of the admin's first page; nothing of it for who may not look at batches."""
    return context | (_figures() if request.user.has_perm("batches.view_batch") else {})


def overview_part(request: HttpRequest) -> HttpResponse:
    """The figures alone, for the page to take in the place of the old ones."""
    if not request.user.has_perm("batches.view_batch"):
        raise PermissionDenied
    return render(request, "admin/overview.html", _figures())


overview_page = admin.site.admin_view(overview_part)


def _figures() -> dict[str, Any]:
    ledger = read_ledger()
    lanes = {lane.name: lane for lane in ledger.lanes}
    rows = [
        LaneRow(
            name,
            lanes[name].unfinished if name in lanes else 0,
            ledger.leased.get(name, 0),
            lanes[name].oldest_seconds if name in lanes else 0.0,
        )
        for name in (*LANES, *sorted(ledger.leased.keys() - set(LANES)))
    ]
    running = Batch.objects.filter(status=BatchStatus.RUNNING, settled_at=None, deleted_at=None).select_related("owner")
    return {
        "at": timezone.now(),
        "concerns": current_concerns(),
        "lanes": [row for row in rows if row.unfinished or row.leased],
        "running": running.defer("parameters", "warnings", "description").order_by("-id")[:SHOWN],
        "numbers": ledger.batches,
        "processes": [process for process in ledger.processes if process.role == WorkerRole.WORKER],
        "dispatchers": [process for process in ledger.processes if process.role == WorkerRole.DISPATCHER],
        "accounts": _accounts(ledger.processes),
        "backlog": _backlog(),
        "backlog_bound": BACKLOG_COUNTED,
        "unknown": _unknown(),
    }


def _backlog() -> int:
    """Items that wait for another attempt, or for a limit; of each batch no more are counted than the bound."""
    with connection.cursor() as cursor:
        cursor.execute(_BACKLOG, [BACKLOG_COUNTED])
        return int(cursor.fetchone()[0])


def _unknown() -> dict[str, Any]:
    """Messages of which nobody knows whether they arrived, and the batches that have them."""
    batches = Batch.objects.filter(
        channel=Channel.SMS, unknown__gt=0, deleted_at=None, created_at__gt=Now() - UNKNOWN_SINCE
    )
    return {
        "number": batches.aggregate(all=Sum("unknown"))["all"] or 0,
        "batches": batches.select_related("owner").order_by("-id")[:SHOWN],
    }


def _accounts(processes: list[Process]) -> list[AccountRow]:
    rates: dict[str, float] = {}
    for process in processes:
        for alias, rate in process.figures.get("calls_per_second", {}).items():
            rates[alias] = rates.get(alias, 0.0) + rate
    known = {account.alias: account for account in ProviderAccount.objects.all()}
    aliases = sorted({*provider_aliases(), *known})
    rows = [_account(alias, known.get(alias), rates.get(alias, 0.0)) for alias in aliases]
    return sorted(rows, key=lambda row: (row.state == "open", -row.calls_per_second, row.alias))


def _account(alias: str, account: ProviderAccount | None, rate: float) -> AccountRow:
    provider = known_provider(alias)
    state, until, reason = "open", None, ""
    if account is not None and account.opened_at is not None:
        state, until, reason = "unavailable", account.probe_at, account.opened_for
    elif account is not None and account.is_closed:
        state, until, reason = "closed", account.closed_until, account.reason
    elif provider is None:
        state, reason = "not usable", "no entry of the settings, or no key"
    learned = account.requests_per_minute if account is not None else None
    return AccountRow(
        alias=alias,
        state=state,
        until=until,
        reason=reason,
        calls_per_second=rate,
        limit=_limit(provider, learned),
        uses_sandbox=provider is not None and provider.uses_sandbox,
    )


def _limit(provider: Any, learned: float | None) -> str:
    if provider is None:
        return ""
    if provider.limits.sms_per_second:
        return ", ".join(f"{name} {rate:g}/s" for name, rate in provider.limits.sms_per_second.items())
    ceilings = [one for one in (provider.limits.requests_per_minute, learned) if one]
    return f"{min(ceilings):g} a minute" if ceilings else ""

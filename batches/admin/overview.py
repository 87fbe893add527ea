"""The admin's first page: what the whole system does now, of all owners, made anew every few seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from batches.dispatching.concerns import current_concerns
from batches.metrics.ledger import COUNTED_AT_MOST, Process, read_ledger
from batches.models import Batch, ProviderAccount, WorkerRole
from batches.provider_accounts.accounts import known_provider
from batches.states import LANES, BatchStatus, Channel
from providers.registry import provider_aliases

SHOWN = 20
UNKNOWN_SINCE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class LaneRow:
    """A lane: what is not final in it, what workers have, and how long its oldest due item has waited."""

    name: str
    unfinished: int
    leased: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A provider account. ``calls_per_second``: of the last seconds; ``limit``: in words, empty where there is none.
    ``is_known``: whether it has a row, which it gets when its provider has said something of itself."""

    alias: str
    state: str
    until: datetime | None
    reason: str
    calls_per_second: float
    limit: str
    uses_sandbox: bool
    is_known: bool


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
        "processes": ledger.processes,
        "missing": [role for role in WorkerRole if role not in {process.role for process in ledger.processes}],
        "accounts": _accounts(ledger.processes),
        "backlog": ledger.backlog,
        "unknown": ledger.unknown,
        "unknown_batches": _unknown() if ledger.unknown else [],
        "receipts": ledger.receipts,
        "counted_at_most": COUNTED_AT_MOST,
        "provider_batches": ledger.provider_batches,
    }


def _unknown() -> QuerySet[Batch]:
    """The batches that have messages of which nobody knows whether they arrived."""
    batches = Batch.objects.filter(
        channel=Channel.SMS, unknown__gt=0, deleted_at=None, created_at__gt=Now() - UNKNOWN_SINCE
    )
    return batches.select_related("owner").defer("parameters", "warnings", "description").order_by("-id")[:SHOWN]


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
        is_known=account is not None,
    )


def _limit(provider: Any, learned: float | None) -> str:
    if provider is None:
        return ""
    if provider.limits.sms_per_second:
        return ", ".join(f"{name} {rate:g}/s" for name, rate in provider.limits.sms_per_second.items())
    ceilings = [one for one in (provider.limits.requests_per_minute, learned) if one]
    return f"{min(ceilings):g} a minute" if ceilings else ""

"""The fields that every form has: who is asked, how urgent it is, when it starts, what it may cost, its name."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from batches.accounts import known_provider
from batches.operations.batch_options import NAME_LENGTH
from batches.pages.create.controls import Choice, Control, Form
from batches.states import ECONOMY, FAST, Priority
from providers.registry import Kind, provider_aliases

FIELDS = {
    "name": "name",
    "provider": "provider",
    "providerId": "provider",
    "model": "provider",
    "priority": "priority",
    "scheduleTime": "schedule",
    "maxCost": "max_cost",
    "mode": "mode",
}
"""The control of a body's field."""
PRIORITY_WORDS = {"high": "High: before everything else", "normal": "Normal", "low": "Low: when there is room"}


def provider_control(kind: Kind, default: str, *, optional: bool = False) -> Control:
    """Who is asked. ``optional``: an operation may do without, or choose by itself."""
    choices = [Choice("", "The usual one")] if optional else []
    choices += [Choice(alias, _spelled(alias)) for alias in provider_aliases(kind)]
    return Control("provider", "Provider", "choice", choices=choices, default="" if optional else default)


def _spelled(alias: str) -> str:
    provider = known_provider(alias)
    return f"{alias} (sandbox)" if provider is not None and provider.uses_sandbox else alias


def mode_control() -> Control:
    """All at once, or at the provider's leisure."""
    return Control(
        "mode",
        "Mode",
        "choice",
        default=FAST,
        choices=[
            Choice(FAST, "Fast: all at once"),
            Choice(ECONOMY, "Economy: within a day, at the provider's discount"),
        ],
    )


def common_controls(*, paid: bool = True) -> list[Control]:
    """The last fields of a form. ``paid``: whether somebody asks money for it."""
    controls = [
        Control(
            "name",
            "Name of the batch",
            hint="Only you see it. Without one it is named by what it does.",
            longest=NAME_LENGTH,
        ),
        Control(
            "priority",
            "Priority",
            "choice",
            default=Priority.NORMAL,
            choices=[Choice(each, PRIORITY_WORDS[each]) for each in Priority.values],
        ),
        Control("schedule", "Start at", "moment", hint="Empty: at once. In UTC."),
    ]
    if paid:
        hint = "It is paused before it would cost more. Empty: no limit."
        controls.append(Control("max_cost", "Spend at most", "number", hint=hint, placeholder="no limit"))
    return controls


def common_body(form: Form, zone: str) -> dict[str, Any]:
    """The fields of a body that these controls stand for; what was left empty is not said."""
    body: dict[str, Any] = {}
    for name in ("name", "provider", "priority", "mode"):
        if name in form.controls and form[name].value.strip():
            body[name] = form[name].value.strip()
    if form["schedule"].value:
        body["scheduleTime"] = instant_of(form["schedule"].value, zone)
    if "max_cost" in form.controls and form["max_cost"].value.strip():
        body["maxCost"] = form["max_cost"].value.strip().replace(",", ".")
    return body


def instant_of(text: str, zone: str) -> str:
    """A moment by the clock of whoever typed it. What is none is left for the operation to refuse."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone or "UTC")).isoformat()
    except (ValueError, LookupError, OSError, OverflowError):
        return text

"""The fields that forms share: who is asked, how urgent it is, when it starts, what it may cost, how fast it may go."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from batches.operations.batch_options import NAME_LENGTH
from batches.pages.create.controls import HOW, Choice, Condition, Control, Form, number_of
from batches.provider_accounts.accounts import known_provider
from batches.states import ECONOMY, FAST, Priority, WhenUnavailable
from providers.base import answers_batches
from providers.registry import Kind, provider_aliases

PRIORITY_WORDS = {"high": "High: before everything else", "normal": "Normal", "low": "Low: when there is room"}
_IN_ECONOMY = Condition("mode", frozenset({ECONOMY}))
_DECIMAL_COMMA = re.compile(r"\d+,\d{1,2}")


def _amount(text: str) -> str:
    """12,50 is meant as 12.50; what 1,000 is meant as nobody knows."""
    return text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text


def _names(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _unticked(text: str) -> bool:
    return text != "1"


_BODY: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "name": ("name", str),
    "provider": ("provider", str),
    "mode": ("mode", str),
    "economy_retries": ("economyRetries", str),
    "priority": ("priority", str),
    "max_cost": ("maxCost", _amount),
    "rate": ("rateLimit", number_of),
    "concurrency": ("concurrency", number_of),
    "when_unavailable": ("whenUnavailable", str),
    "fallbacks": ("fallbacks", _names),
    "by_hand": ("autoStart", _unticked),
}
"""The field of a body that a control stands for, and what the typed text becomes."""
_MOMENTS: Mapping[str, str] = {"schedule": "scheduleTime", "deadline": "deadline"}
FIELDS = {
    **{name: control for control, (name, _) in _BODY.items()},
    **{name: control for control, name in _MOMENTS.items()},
    "providerId": "provider",
    "model": "provider",
}
"""The control of a body's field."""


def provider_controls(kind: Kind, default: str, *, has_modes: bool = False) -> list[Control]:
    """Who is asked, and what is done while they take no calls. ``has_modes``: it may also go in economy mode."""
    aliases = provider_aliases(kind)
    choices = [Choice(alias, _spelled(alias)) for alias in aliases]
    controls = [Control("provider", "Provider", "choice", choices=choices, default=default, part=HOW)]
    if has_modes:
        controls += _mode_controls(aliases)
    controls.append(
        Control(
            "when_unavailable",
            "While the provider takes no calls",
            "choice",
            hint="When its key is refused, its credit is spent, or it is overloaded.",
            default=WhenUnavailable.WAIT,
            choices=[
                Choice(WhenUnavailable.WAIT, "Wait for it"),
                Choice(WhenUnavailable.SWITCH, "Ask another provider"),
                Choice(WhenUnavailable.FAIL, "Fail what is due"),
            ],
            part=HOW,
            is_rare=True,
        )
    )
    controls.append(
        Control(
            "fallbacks",
            "Ask instead, in this order",
            "ranks",
            hint="None chosen: those that the settings name for it.",
            choices=choices,
            part=HOW,
            is_rare=True,
            when=Condition("when_unavailable", frozenset({WhenUnavailable.SWITCH})),
        )
    )
    return controls


def _spelled(alias: str) -> str:
    provider = known_provider(alias)
    return f"{alias} (sandbox)" if provider is not None and provider.uses_sandbox else alias


def _mode_controls(aliases: list[str]) -> list[Control]:
    """All at once, or at the provider's leisure, where it has a batch API."""
    able = {alias for alias in aliases if (provider := known_provider(alias)) and answers_batches(provider)}
    return [
        Control(
            "mode",
            "Mode",
            "choice",
            default=FAST,
            choices=[
                Choice(FAST, "Fast: all at once"),
                Choice(ECONOMY, "Economy: within a day, cheaper"),
            ],
            part=HOW,
            when=Condition("provider", frozenset(able)) if able < {*aliases} else None,
        ),
        Control(
            "deadline",
            "Answers are needed by",
            "moment",
            hint="What is not answered when it nears is asked in fast mode. Empty: wait for the provider. In UTC.",
            part=HOW,
            when=_IN_ECONOMY,
        ),
        Control(
            "economy_retries",
            "What failed is asked again",
            "choice",
            default=ECONOMY,
            choices=[Choice(ECONOMY, "In economy mode"), Choice(FAST, "In fast mode: sooner, at the full price")],
            part=HOW,
            when=_IN_ECONOMY,
        ),
    ]


def common_controls(*own: Control, paid: bool = True) -> list[Control]:
    """The last fields of a form, among them some of its ``own``. ``paid``: whether somebody outside is called, who asks
    money for it."""
    calls = "Calls" if paid else "Steps"
    controls = [
        Control(
            "priority",
            "Priority",
            "choice",
            default=Priority.NORMAL,
            choices=[Choice(each, PRIORITY_WORDS[each]) for each in Priority.values],
            part=HOW,
        ),
        Control("schedule", "Start at", "moment", hint="Empty: at once. In UTC.", part=HOW),
    ]
    if paid:
        hint = "It is paused before it would cost more. Empty: no limit."
        controls.append(Control("max_cost", "Spend at most", "number", hint=hint, placeholder="no limit", part=HOW))
    return [
        *controls,
        *own,
        Control(
            "name",
            "Name of the batch",
            hint="Only you see it. Without one it is named by what it does.",
            longest=NAME_LENGTH,
            part=HOW,
        ),
        Control(
            "rate",
            f"{calls} a minute at most",
            "number",
            hint="Empty: the usual pace.",
            placeholder="usual",
            part=HOW,
            is_rare=True,
        ),
        Control(
            "concurrency",
            f"{calls} at once at most",
            "number",
            hint="Empty: as many as usual.",
            placeholder="usual",
            part=HOW,
            is_rare=True,
        ),
        Control(
            "by_hand",
            "Do not start it yet",
            "tick",
            hint="It is made and waits until you press Start on its page.",
            part=HOW,
            is_rare=True,
        ),
    ]


def common_body(form: Form, zone: str) -> dict[str, Any]:
    """The fields of a body that these controls stand for; what was left empty is not said."""
    body = {name: read(text) for control, (name, read) in _BODY.items() if (text := form.answer(control))}
    return body | {name: instant_of(text, zone) for control, name in _MOMENTS.items() if (text := form.answer(control))}


def instant_of(text: str, zone: str) -> str:
    """A moment by the clock of whoever typed it. What is none is left for the operation to refuse."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone or "UTC")).isoformat()
    except (ValueError, LookupError, OSError, OverflowError):
        return text

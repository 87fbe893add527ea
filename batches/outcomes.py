"""What an attempt returned: a closed set, and the one place where provider errors become it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from providers.base import ErrorCategory, ProviderError

ACCOUNT_CATEGORIES = frozenset({ErrorCategory.AUTHENTICATION, ErrorCategory.BUDGET})
"""What is wrong with an account, whatever it is asked."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an attempt did not succeed; safe to store and to show to staff."""

    category: ErrorCategory
    code: str
    message: str
    retry_after: float | None = None
    status: int | None = None
    """Of the provider's HTTP answer, where there was one."""
    elsewhere: bool = False
    """Surely nothing was sent, and another provider may do what this one did not."""


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The call did what was wanted. ``quality`` in [0, 1] where the operation can tell."""

    result: Mapping[str, Any]
    quality: float | None = None
    provider_reference: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Permanent: trying again cannot help. ``attempted``: whether anybody was asked; where not, no attempt counts."""

    fault: Fault
    attempted: bool = True


@dataclass(frozen=True, slots=True)
class Retry:
    """Transient: try again later, spending an attempt."""

    fault: Fault


@dataclass(frozen=True, slots=True)
class Snooze:
    """Not now, and nothing was spent: no permit, account closed, batch stopped, worker stopping.

    ``for_limits``: whether it is a limit, ours or the provider's, that the delay waits for.
    """

    delay_seconds: float = 0.0
    for_limits: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """The request may have left, its answer never came, and doing it twice would reach somebody twice."""

    fault: Fault


Outcome = Succeeded | Rejected | Retry | Snooze | Unknown


def outcome_of_error(error: ProviderError, *, idempotent: bool) -> Rejected | Retry | Unknown:
    """Classify a failed call; a possibly sent request is repeated only where repeating is harmless.

    Where it is not, an answer that is final but odd, such as a redirect, is no proof either that nobody was reached.
    """
    elsewhere = error.surely_not_sent and (
        not error.permanent or error.of_provider or error.category in ACCOUNT_CATEGORIES
    )
    fault = Fault(error.category, error.code, error.message, error.retry_after, error.status, elsewhere)
    if not idempotent and not error.surely_not_sent:
        return Unknown(fault)
    return Rejected(fault) if error.permanent else Retry(fault)

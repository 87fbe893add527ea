"""Economy at a fallback: while a provider refuses an account's batches for its key or its money, what is not submitted
yet goes to another provider with a batch API, where the batch may switch. What was submitted stays where it is.

Two refusals in a row open the account's breaker, as fast calls do, and a submit that is taken closes it. Meanwhile a
provider batch of one item finds out now and then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import connection
from django.utils import timezone

from batches.models import ProviderBatch
from batches.outcomes import ACCOUNT_CATEGORIES, Fault
from batches.provider_accounts.account_states import NOTHING_KNOWN, AccountState, read_states
from batches.provider_accounts.accounts import fallbacks_of, known_provider
from batches.running.account_health import AMBIGUOUS_STATUS, CERTAIN_REFUSALS, words_of
from batches.running.account_statements import answered, open_breaker
from batches.states import WhenUnavailable
from providers.base import ProviderError, answers_batches

PROBE = "probe"
"""In ``remote``: it is to find out whether its provider takes batches again."""


def asked_in_economy(
    alias: str, when_unavailable: str, fallbacks: Sequence[str], states: Mapping[str, AccountState]
) -> str:
    """Who is given what is gathered now: the batch's provider, or, while its breaker is open, the first fallback with a
    batch API whose breaker is not. Its own where there is none: it waits there."""
    if when_unavailable != WhenUnavailable.SWITCH or not states.get(alias, NOTHING_KNOWN).is_open:
        return alias
    for each in fallbacks_of(alias, fallbacks):
        provider = known_provider(each)
        if provider is not None and answers_batches(provider) and not states.get(each, NOTHING_KNOWN).is_open:
            return each
    return alias


def goes_elsewhere(row: ProviderBatch) -> bool:
    """Whether its items are better gathered anew, for a provider that takes them. Nothing of it is at its own."""
    with connection.cursor() as cursor:
        states = read_states(cursor)
    batch = row.batch
    asked = asked_in_economy(batch.provider, batch.when_unavailable, batch.fallbacks, states)
    return asked != row.provider and states.get(row.provider, NOTHING_KNOWN).is_open


def note_refusal(row: ProviderBatch, error: ProviderError, refusals: int) -> None:
    """A wrong key or an empty purse, twice in a row: it is the account's.

    Not what may be about the batch API alone (403): fast calls of the account may work.
    """
    certain = error.permanent and error.category in ACCOUNT_CATEGORIES and error.status != AMBIGUOUS_STATUS
    if certain and refusals >= CERTAIN_REFUSALS:
        with connection.cursor() as cursor:
            words = words_of(error.category, Fault(error.category, error.code, error.message))
            open_breaker(cursor, row.provider, words)


def note_taken(row: ProviderBatch) -> None:
    """Its provider took a batch, so the account is well."""
    if row.submitting_at is not None:
        with connection.cursor() as cursor:
            answered(cursor, row.provider, (timezone.now() - row.submitting_at).total_seconds())

"""What a worker knows of a batch while it runs its items; read anew every few seconds, so changes take effect."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batches.backoff import RetryPolicy
from batches.limits import Limit, limits_of
from batches.models import Batch
from batches.operations import Operation, get_operation, operation_names
from batches.provider_accounts.account_states import known_accounts
from batches.provider_accounts.accounts import chain_of
from batches.states import WhenUnavailable
from providers.base import NOBODY, Provider
from providers.registry import get_provider, provider_aliases

logger = logging.getLogger(__name__)

FRESH_SECONDS = 2.0


class Misconfigured(Exception):
    """This process does not know the batch's operation or provider, or has no key; another may, and so may this one
    after its next start. ``policy``: how long the batch's items wait for that."""

    def __init__(self, policy: RetryPolicy) -> None:
        super().__init__("the batch's operation or provider cannot be used here")
        self.policy = policy


@dataclass(frozen=True, slots=True)
class BatchContext:
    """A batch as its items need it. ``provider``: who is called, its own or a fallback; ``waits``: whether its items
    wait for an account that refuses everybody, rather than fail; ``counts_tokens``: whether a call's size decides when
    it may leave, so that nothing is reserved before it is known; ``chain``: to whom messages may go, its own provider
    first, empty where they may not switch."""

    batch_id: int
    owner_id: int
    channel: str
    operation: Operation
    provider: Provider
    parameters: Mapping[str, Any]
    policy: RetryPolicy
    timeout_seconds: float
    limits: tuple[Limit, ...]
    read_at: float
    waits: bool = True
    known_version: int = 0
    public_id: str = ""
    """By which the log knows it."""
    counts_tokens: bool = False
    chain: tuple[str, ...] = ()

    @property
    def is_fresh(self) -> bool:
        """Whether it is still what the database says, and its limits are what is known of the account."""
        return time.monotonic() - self.read_at <= FRESH_SECONDS and self.known_version == known_accounts.version

    @property
    def is_open(self) -> bool:
        """Whether a call may leave as soon as it is ready: nothing limits it, and repeating it is harmless."""
        return not self.limits and self.provider.idempotent


class Contexts:
    """The contexts of this process, by batch and the provider that is called."""

    def __init__(self) -> None:
        self._contexts: dict[tuple[int, str], BatchContext] = {}

    def get(self, batch_id: int, alias: str = "") -> BatchContext:
        """The batch's context for calls of this provider, its own where none is named; at most two seconds old.

        Raises :class:`Misconfigured`, and ``Batch.DoesNotExist`` when it was deleted.
        """
        context = self._contexts.get((batch_id, alias))
        if context is None or not context.is_fresh:
            context = self._contexts[batch_id, alias] = read(batch_id, alias)
            self._forget_old()
        return context

    def _forget_old(self) -> None:
        horizon = time.monotonic() - 60 * FRESH_SECONDS
        for place in [key for key, context in self._contexts.items() if context.read_at < horizon]:
            del self._contexts[place]


def read(batch_id: int, alias: str = "") -> BatchContext:
    """Read a batch's context from the database. Raises as :meth:`Contexts.get`."""
    version = known_accounts.version
    batch = Batch.objects.get(pk=batch_id)
    policy = RetryPolicy(
        max_retries=batch.max_retries,
        window_seconds=batch.retry_window_seconds,
        backoff_seconds=batch.backoff_ms / 1000 if batch.backoff_ms is not None else None,
    )
    try:
        operation = get_operation(batch.operation)
        provider = get_provider(alias or batch.provider) if batch.provider else NOBODY
    except Exception as error:  # whatever somebody's operation or adapter raises where it is made
        raise Misconfigured(policy) from error
    limits = limits_of(batch, provider)
    switches = batch.when_unavailable == WhenUnavailable.SWITCH
    return BatchContext(
        batch_id=batch.pk,
        owner_id=batch.owner_id,
        channel=batch.channel,
        operation=operation,
        provider=provider,
        parameters=batch.parameters,
        policy=policy,
        timeout_seconds=batch.timeout_ms / 1000,
        limits=limits,
        read_at=time.monotonic(),
        public_id=batch.public_id,
        waits=batch.when_unavailable != WhenUnavailable.FAIL,
        known_version=version,
        chain=chain_of(batch.provider, batch.fallbacks) if switches else (),
        counts_tokens=any(limit.tokens_per_second is not None for limit in limits),
    )


def prepare() -> None:
    """Import every operation and make every provider now.

    Where the first batch of a kind does it, all calls of the process stand still for up to a second: messages miss
    their slots. What cannot be made is said once here, and again by each batch that needs it.
    """
    made = [(get_operation, name) for name in operation_names()] + [(get_provider, name) for name in provider_aliases()]
    for make, name in made:
        try:
            make(name)
        except Exception as error:
            logger.warning("%r cannot be used by this worker: %s", name, type(error).__name__)

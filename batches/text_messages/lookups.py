"""Asks providers about messages in doubt, where they list what was sent: one that can only be ours settles its item.

A message that is not found proves nothing: lists are behind. Then a receipt, or a person, has the last word.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now

from batches.events import announce_facts
from batches.models import Item
from batches.states import ItemStatus
from batches.text_messages.doubts import Evidence, message_of, provider_of, settle
from batches.text_messages.receipts import sms_provider
from providers.base import ProviderError
from providers.sms.adapter import SmsAdapter
from providers.sms.callbacks import SentBefore

logger = logging.getLogger(__name__)

AFTER_SECONDS = 60
"""Of doubt: a late answer or a receipt mostly comes first, and a provider's list is behind."""
UNTIL_HOURS = 6
AT_ONCE = 50
LEEWAY_SECONDS = 30.0
"""By so much the provider's clock may differ from ours."""
TIMEOUT_SECONDS = 10.0


def look_up_doubts(seconds: float) -> int:
    """Ask about some of the items in doubt, for so long; returns how many were settled."""
    ends = time.monotonic() + seconds
    settled = 0
    silent: set[str] = set()
    for item in _items_in_doubt():
        if time.monotonic() > ends:
            break
        alias = provider_of(item)
        provider = sms_provider(alias)
        if provider is None or not provider.finds or alias in silent:
            continue
        try:
            settled += _look_up(item, provider)
        except ProviderError as error:
            logger.warning("%s was not asked about messages in doubt: %s", alias, error.code)
            silent.add(alias)
    return settled


def _items_in_doubt() -> list[Item]:
    """Some of them, others each time: who cannot be settled must not keep the rest from it."""
    items = Item.objects.filter(
        status=ItemStatus.UNKNOWN,
        attempt_id__isnull=False,
        started_at__isnull=False,
        finished_at__lt=Now() - timedelta(seconds=AFTER_SECONDS),
        finished_at__gt=Now() - timedelta(hours=UNTIL_HOURS),
        batch__channel="sms",
    )
    return list(items.select_related("batch").order_by("?")[:AT_ONCE])


def _look_up(item: Item, provider: SmsAdapter) -> int:
    """Settle the item by the one message that can be its own."""
    body = message_of(item)
    if body is None or item.started_at is None or item.finished_at is None or item.attempt_id is None:
        return 0
    since, until = item.started_at.timestamp() - LEEWAY_SECONDS, item.finished_at.timestamp() + LEEWAY_SECONDS
    found = [
        one
        for one in provider.find(item.input["to"], since, TIMEOUT_SECONDS)
        if one.body == body and since <= one.created_at <= until
    ]
    ours = _not_of_others(found, item)
    if ours is None:
        return 0
    evidence = Evidence(provider.alias, item.attempt_id, ours.provider_reference, ours.status)
    facts = settle([evidence])
    announce_facts(facts)
    return len(facts)


def _not_of_others(found: list[SentBefore], item: Item) -> SentBefore | None:
    """The one message that no other item has; None where there are several, or another item may have sent it."""
    references = [one.provider_reference for one in found]
    taken = set(
        Item.objects.filter(provider_reference__in=references)
        .exclude(provider_reference="")
        .values_list("provider_reference", flat=True)
    )
    free = [one for one in found if one.provider_reference not in taken]
    if len(free) != 1:
        return None
    in_doubt = Q(status=ItemStatus.UNKNOWN)
    on_its_way = Q(status=ItemStatus.RUNNING, lease__isnull=False, started_at__isnull=False)
    rivals = Item.objects.filter(in_doubt | on_its_way, input__to=item.input["to"]).exclude(pk=item.pk)
    return None if rivals.exists() else free[0]

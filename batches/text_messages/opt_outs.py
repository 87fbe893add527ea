"""Who wants no messages: a list per owner, fed by people's own words, by the owner, and asked before every send."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from django.db import connection, transaction
from django.db.models.functions import Now

from batches import audit
from batches.models import Contact, OptOut
from providers.sms.keywords import Wish, keyword_of, wish_of

INBOUND = "inbound"
CONTACT_DAYS = 400
"""Nobody answers a message that is older."""

_ASK = """
    WITH contact AS (
        INSERT INTO batches_contact AS contact (provider, number, owner_id) VALUES (%s, %s, %s)
        ON CONFLICT (number, provider, owner_id) DO UPDATE SET texted_at = now()
         WHERE contact.texted_at < now() - interval '30 days'
    )
    SELECT EXISTS (SELECT FROM batches_optout WHERE owner_id = %s AND number = %s)
"""


def may_text(owner_id: int, number: str, provider: str) -> bool:
    """Whether the owner may text this number now, through this account; that it was about to be texted is noted.

    The note comes before the message, so that whoever answers it with STOP is known. Takes a connection and gives it
    back. Raises the database's errors: without an answer nothing may be sent.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(_ASK, [provider, number, owner_id, owner_id, number])
            opted_out: bool = cursor.fetchone()[0]
    finally:
        if not connection.in_atomic_block:
            connection.close()
    return not opted_out


def forget_contacts() -> int:
    """Forget whom nobody has texted for long; returns how many."""
    forgotten, _ = Contact.objects.filter(texted_at__lt=Now() - timedelta(days=CONTACT_DAYS)).delete()
    return forgotten


def opted_out_among(owner_id: int, numbers: Iterable[str]) -> set[str]:
    """Those of the numbers (E.164) that get no messages of this owner."""
    wanted = sorted(set(numbers) - {""})
    if not wanted:
        return set()
    with connection.cursor() as cursor:
        cursor.execute("SELECT number FROM batches_optout WHERE owner_id = %s AND number = ANY(%s)", [owner_id, wanted])
        return {number for (number,) in cursor.fetchall()}


def hear(provider: str, sender: str, text: str) -> Wish | None:
    """Do what a person's message to this account asks for; None where it asks for nothing of the kind.

    It concerns every owner whose batches have texted the number through the account. A START takes back what the
    person said, never what an owner has put on the list. The text goes no further than its keyword.
    """
    keyword = keyword_of(text)
    wish = wish_of(keyword)
    owners = list(Contact.objects.filter(provider=provider, number=sender).values_list("owner_id", flat=True))
    if wish is None or not owners:
        return wish
    with transaction.atomic():
        if wish is Wish.STOP:
            OptOut.objects.bulk_create(
                [
                    OptOut(owner_id=owner_id, number=sender, source=INBOUND, keyword=keyword, provider=provider)
                    for owner_id in sorted(owners)
                ],
                ignore_conflicts=True,
            )
        else:
            OptOut.objects.filter(owner_id__in=owners, number=sender, source=INBOUND, provider=provider).delete()
    return wish


_ADD = """
    INSERT INTO batches_optout (owner_id, source, number, keyword, provider)
    SELECT %s, %s, unnest(%s::text[]), '', '' ON CONFLICT DO NOTHING
"""


@transaction.atomic
def add(owner_id: int, numbers: Sequence[str], *, source: str, actor_id: int | None) -> int:
    """Put numbers (E.164) on an owner's list; returns how many were not on it."""
    with connection.cursor() as cursor:
        cursor.execute(_ADD, [owner_id, source, sorted(set(numbers))])
        added: int = cursor.rowcount
    audit.record_for(owner_id, "opt_out_add", actor_id=actor_id, numbers=added)
    return added


@transaction.atomic
def remove(owner_id: int, numbers: Sequence[str], *, actor_id: int | None) -> int:
    """Take numbers off an owner's list; returns how many were on it."""
    removed, _ = OptOut.objects.filter(owner_id=owner_id, number__in=set(numbers)).delete()
    audit.record_for(owner_id, "opt_out_remove", actor_id=actor_id, numbers=removed)
    return removed

"""A run of creates, reads, updates and deletes: one transaction, one statement of each kind."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

from django.db import Error, connection

from batches.models import AuditEntry
from records import activity
from records.execution.faults import Fault, fault_of
from records.execution.operations import Operation, named_ids, named_topics
from records.execution.simulation import Simulation, Writes
from records.execution.statements import find_topics, lock_memories, write
from records.models import Action, Method
from records.outcomes import Outcome
from records.time_limit import TimeLimit

LONGEST_QUESTION_SECONDS = 5.0


class Undecided(Exception):
    """The connection broke during the commit, and nobody could be asked what became of it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, how, and under which id of theirs."""

    owner_id: int
    method: Method = Method.API
    batch_id: str = ""


def run_segment(
    caller: Caller, operations: list[Operation], *, stop: bool, first_index: int, limit: TimeLimit
) -> list[Outcome]:
    """Do them all in one transaction. Raises what Django raises of the database, and then nothing was done.

    A connection that breaks while the commit is under way leaves open whether it was done; Postgres is asked.
    """
    number, outcomes = "", None
    nested = connection.in_atomic_block
    try:
        with limit.transaction() as beginning:
            number, outcomes = beginning.number, None
            simulation = Simulation(
                caller.owner_id,
                beginning.now,
                lock_memories(caller.owner_id, named_ids(operations)),
                find_topics(caller.owner_id, named_topics(operations)),
            )
            outcomes = simulation.run(operations, stop=stop, first_index=first_index)
            write(caller.owner_id, simulation.writes)
            _note(caller, simulation.writes)
            done = outcomes
    except Error as error:
        if nested or outcomes is None or fault_of(error) is not Fault.CONNECTION or not was_committed(number, limit):
            raise
        done = outcomes
    return done


def was_committed(number: str, limit: TimeLimit) -> bool:
    """Whether the transaction of this number took place. Raises :class:`Undecided` if that could not be learned."""
    end = time.monotonic() + min(limit.left, LONGEST_QUESTION_SECONDS)
    while time.monotonic() < end:
        with contextlib.suppress(Error):
            connection.close()
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_xact_status(%s::xid8)", [number])
                (status,) = cursor.fetchone()
            if status != "in progress":
                return bool(status == "committed")
        time.sleep(0.1)
    raise Undecided


def _note(caller: Caller, writes: Writes) -> None:
    counts = {
        Action.CREATE: len(writes.created),
        Action.READ: len(writes.read),
        Action.UPDATE: len(writes.changed),
        Action.DELETE: len(writes.deleted),
    }
    activity.note(caller.owner_id, caller.method, counts)
    changes = {f"{action}s": count for action, count in counts.items() if count and action != Action.READ}
    if changes:
        details: dict[str, object] = dict(changes)
        if writes.deleted:
            details["deleted"] = [memory.public_id for memory in writes.deleted.values()]
        AuditEntry.objects.create(
            action="memories", actor_id=caller.owner_id, batch_public_id=caller.batch_id, details=details
        )

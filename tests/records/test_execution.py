"""Operations set-wise against one by one, and under every fault of the database: nothing lost, nothing twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import DataError, IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db import Error as DatabaseFault
from django.db.backends.base.base import BaseDatabaseWrapper
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from psycopg import errors as psycopg_errors

from batches.models import AuditEntry, IdempotentReply
from records.execution import segment as segment_module
from records.execution.faults import Fault, fault_of
from records.execution.operations import Create, Delete, Operation, Read, Search, Update
from records.execution.run import Options, run
from records.execution.segment import Caller
from records.execution.statements import find_topics
from records.models import Record, Topic
from records.outcomes import Code, Outcome, Status
from records.search import SearchRequest
from records.shapes import entry_shape
from tests.records.conftest import Remember, client_of, create


def caused(error: type[DatabaseFault], cause: type[psycopg.Error]) -> DatabaseFault:
    """As Django raises it."""
    raised = error("x")
    raised.__cause__ = cause("x")
    return raised


Steps = list[tuple[str, int]]
steps = st.lists(
    st.tuples(st.sampled_from(["create", "read", "update", "retag", "delete", "search"]), st.integers(0, 3)),
    max_size=12,
)


def operation(kind: str, number: int, ids: list[str]) -> Operation:
    """On one of three memories, or on one that does not exist."""
    public_id = [*ids, "mem_nothing"][number]
    match kind:
        case "create":
            return Create({"content": f"new apple {number}"})
        case "read":
            return Read(public_id)
        case "update":
            return Update(public_id, {"content": f"changed pear {number}", "metadata": {"n": number}})
        case "retag":
            return Update(public_id, {"tags": [f"tag{number}"]})
        case "delete":
            return Delete(public_id)
        case _:
            return Search(SearchRequest(["apple", "pear", "tag1", "first"][number]))


class SetWise(TestCase):
    """Neighbours done together are done as if one came after the other."""

    @settings(max_examples=50)
    @given(steps, st.booleans())
    def test_together_as_one_by_one(self, wanted: Steps, continue_on_error: bool) -> None:
        owner, _ = User.objects.get_or_create(username="carol")
        memories = [Record.objects.create(owner=owner, content=f"first {number}") for number in range(3)]
        operations = [operation(kind, number, [one.public_id for one in memories]) for kind, number in wanted]
        together, one_by_one = (
            self.outcome(owner, operations, Options(continue_on_error=continue_on_error, parallel=parallel))
            for parallel in (True, False)
        )
        assert together == one_by_one

    def outcome(self, owner: User, operations: list[Operation], options: Options) -> Any:
        """What came out, without the ids of new memories; the database is as before."""
        with transaction.atomic():
            outcomes = run(Caller(owner.pk), operations, options)
            shapes = [(one.status, nameless(one.result), one.failure) for one in outcomes]
            left = sorted(str(nameless(entry_shape(one))) for one in Record.objects.owned_by(owner.pk))
            transaction.set_rollback(True)
        return shapes, left


def nameless(result: Any) -> Any:
    """Without ids, and with hits of equal score in an order that does not depend on ids."""
    if isinstance(result, list):
        return sorted((nameless(one) for one in result), key=str)
    if isinstance(result, dict):
        return {key: nameless(value) for key, value in result.items() if key != "id"}
    return result


def codes(outcomes: list[Outcome]) -> list[Code | None]:
    return [one.failure.code if one.failure else None for one in outcomes]


def statuses(outcomes: list[Outcome]) -> list[str]:
    return [one.status.value for one in outcomes]


@contextmanager
def another_connection(act: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run something in another thread until the block ends; it says when it has begun."""
    begun = threading.Event()

    def work() -> None:
        try:
            act(begun)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        assert begun.wait(10)
        yield
        done.result(30)


def waiting_sessions() -> list[int]:
    """The sessions that wait for a lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return [row[0] for row in cursor.fetchall()]


def until_somebody_waits() -> int:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if waiting := waiting_sessions():
            return waiting[0]
        time.sleep(0.01)
    raise AssertionError("nobody waits")


def hold(memory: Record, seconds: float) -> Callable[[threading.Event], None]:
    """Keep a memory locked for a while."""

    def act(begun: threading.Event) -> None:
        with transaction.atomic():
            Record.objects.owned_by(memory.owner_id).select_for_update().get(pk=memory.pk)
            begun.set()
            time.sleep(seconds)

    return act


@pytest.mark.django_db(transaction=True)
class TestFaults:
    """Real faults, on connections of their own."""

    def test_time_runs_out_while_a_segment_waits(self, alice: User, remember: Remember) -> None:
        memory = remember()
        operations: list[Operation] = [
            Create({"content": "one"}),
            Update(memory.public_id, {"content": "two"}),
            Create({"content": "three"}),
        ]
        for parallel, stored in ((True, 1), (False, 2)):
            started = time.monotonic()
            with another_connection(hold(memory, 1.0)):
                outcomes = run(
                    Caller(alice.pk), operations, Options(timeout_ms=300, parallel=parallel, continue_on_error=True)
                )
                took = time.monotonic() - started
            assert took < 0.9
            expected = ["failed", "skipped", "skipped"] if parallel else ["success", "failed", "skipped"]
            assert statuses(outcomes) == expected
            assert set(codes(outcomes)) - {None} == {Code.TIMEOUT}
            assert Record.objects.count() == stored
        memory.refresh_from_db()
        assert memory.content == "Something"

    def test_a_slow_search_does_not_overrun(self, alice: User, remember: Remember) -> None:
        remember("apple")

        def lock_table(begun: threading.Event) -> None:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("LOCK TABLE records_word IN ACCESS EXCLUSIVE MODE")
                begun.set()
                time.sleep(1.0)

        started = time.monotonic()
        with another_connection(lock_table):
            searches: list[Operation] = [Search(SearchRequest("apple"))] * 3
            outcomes = run(Caller(alice.pk), searches, Options(timeout_ms=200))
            took = time.monotonic() - started
        assert took < 0.9
        assert statuses(outcomes) == ["failed", "skipped", "skipped"]
        assert codes(outcomes) == [Code.TIMEOUT] * 3
        # The connection is as good as before, without the limit.
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("0",)

    @pytest.mark.parametrize(("max_retries", "status"), [(0, "failed"), (1, "success")])
    def test_a_deadlock_passes(self, alice: User, remember: Remember, max_retries: int, status: str) -> None:
        first, second = remember("first"), remember("second")

        def the_other_way_round(begun: threading.Event) -> None:
            with transaction.atomic():
                Record.objects.owned_by(alice.pk).select_for_update().get(pk=second.pk)
                begun.set()
                until_somebody_waits()
                Record.objects.owned_by(alice.pk).select_for_update().get(pk=first.pk)

        with another_connection(the_other_way_round):
            outcomes = run(
                Caller(alice.pk),
                [Update(first.public_id, {"content": "x"}), Update(second.public_id, {"content": "x"})],
                Options(max_retries=max_retries, continue_on_error=True),
            )
        assert statuses(outcomes) == [status] * 2
        assert codes(outcomes) == [Code.DATABASE_ERROR if max_retries == 0 else None] * 2
        changed = list(Record.objects.order_by("pk").values_list("content", flat=True))
        assert changed == (["x", "x"] if max_retries else ["first", "second"])

    @pytest.mark.parametrize(("max_retries", "status"), [(0, "failed"), (2, "success")])
    def test_a_broken_connection_is_replaced(
        self, alice: User, remember: Remember, max_retries: int, status: str
    ) -> None:
        memory = remember()

        def hold_and_kill(begun: threading.Event) -> None:
            with transaction.atomic():
                Record.objects.owned_by(alice.pk).select_for_update().get(pk=memory.pk)
                begun.set()
                waiting = until_somebody_waits()
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_terminate_backend(%s)", [waiting])

        with another_connection(hold_and_kill):
            outcomes = run(
                Caller(alice.pk),
                [Create({"content": "new"}), Update(memory.public_id, {"content": "x"})],
                Options(max_retries=max_retries, continue_on_error=True),
            )
        assert statuses(outcomes) == [status] * 2
        assert Record.objects.count() == (2 if max_retries else 1)

    @pytest.mark.parametrize("reaches", [True, False])
    def test_a_commit_whose_answer_is_lost_is_done_once(
        self, alice: User, remember: Remember, monkeypatch: pytest.MonkeyPatch, reaches: bool
    ) -> None:
        """The connection breaks in the commit: before Postgres has it, or after."""
        memory = remember()
        broken = lose_the_answer_of_one_commit(monkeypatch, reaches=reaches)
        operations: list[Operation] = [Create({"content": "new"}), Delete(memory.public_id)]
        outcomes = run(Caller(alice.pk), operations, Options(max_retries=1))
        assert broken
        assert statuses(outcomes) == ["success", "success"]
        assert list(Record.objects.values_list("content", flat=True)) == ["new"]
        assert AuditEntry.objects.count() == 1

    def test_a_commit_that_nobody_can_tell_of_is_called_unknown(
        self, alice: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(segment_module, "LONGEST_QUESTION_SECONDS", 0.0)
        lose_the_answer_of_one_commit(monkeypatch, reaches=True)
        outcomes = run(Caller(alice.pk), [Create({"content": "new"}), Read("x")], Options(max_retries=5))
        assert codes(outcomes) == [Code.UNKNOWN, Code.SKIPPED]
        assert Record.objects.count() == 1

    def test_only_the_culprit_fails(self, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
        """A topic goes away between being found and being referred to."""
        topic = Topic.objects.create(owner=alice, name="t")

        def find_and_lose(*arguments: Any) -> dict[str, Topic]:
            topics = find_topics(*arguments)
            Topic.objects.all().delete()
            return topics

        monkeypatch.setattr(segment_module, "find_topics", find_and_lose)
        operations: list[Operation] = [
            Create({"content": "one"}),
            Create({"content": "two", "topic_id": str(topic.public_id)}),
            Create({"content": "three"}),
        ]
        outcomes = run(Caller(alice.pk), operations, Options(continue_on_error=True))
        assert statuses(outcomes) == ["success", "failed", "success"]
        assert codes(outcomes)[1] == Code.VALIDATION_ERROR
        assert sorted(Record.objects.values_list("content", flat=True)) == ["one", "three"]

    def test_the_same_idempotency_key_at_the_same_time(self, alice: User) -> None:
        answers = at_once(4, lambda: post_batch(alice, {"Idempotency-Key": "k"}))
        assert {answer.status_code for answer in answers} == {200}
        assert all(answer.json() == answers[0].json() for answer in answers)
        assert Record.objects.count() == 1

    def test_the_same_create_at_the_same_time(self, alice: User) -> None:
        client = client_of(alice)
        headers = {"Authorization": client.defaults["HTTP_AUTHORIZATION"]}

        def post() -> Any:
            return client_of(alice).post(
                "/api/v1/memory", {"content": "x"}, content_type="application/json", headers=headers
            )

        answers = at_once(4, post)
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert Record.objects.count() == 1

    def test_batches_that_touch_the_same_in_another_order_never_fail(self, alice: User, remember: Remember) -> None:
        ids = [remember(str(number)).public_id for number in range(8)]
        counter = iter(range(1000))

        def work() -> list[str]:
            number = next(counter)
            order = ids if number % 2 else ids[::-1]
            operations: list[Operation] = [Update(one, {"content": f"by {number}"}) for one in order]
            operations += [Read(one) for one in ids]
            outcomes = run(Caller(alice.pk), operations, Options())
            connection.close()
            return statuses(outcomes)

        assert all(set(answer) == {"success"} for answer in at_once(8, work))
        assert list(Record.objects.values_list("access_count", flat=True)) == [8] * 8


def post_batch(owner: User, headers: dict[str, str]) -> Any:
    body = {"operations": [create("x")]}
    return client_of(owner).post("/api/v1/batch", body, content_type="application/json", headers=headers)


def at_once(count: int, act: Callable[[], Any]) -> list[Any]:
    """The same in several threads, begun together."""
    barrier = threading.Barrier(count)

    def work() -> Any:
        try:
            barrier.wait(10)
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return [future.result(30) for future in [pool.submit(work) for _ in range(count)]]


def lose_the_answer_of_one_commit(monkeypatch: pytest.MonkeyPatch, *, reaches: bool) -> list[bool]:
    """The next commit of a segment breaks its connection; ``reaches``: only after Postgres did it."""
    broken: list[bool] = []
    commit = BaseDatabaseWrapper._commit  # type: ignore[attr-defined]

    def lose(wrapper: Any) -> Any:
        if broken:
            return commit(wrapper)
        broken.append(True)
        if reaches:
            commit(wrapper)
        wrapper.connection.close()
        raise OperationalError from psycopg_errors.AdminShutdown("gone")

    monkeypatch.setattr(BaseDatabaseWrapper, "_commit", lose)
    return broken


def test_an_idempotent_batch_that_fails_leaves_no_reply(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OperationalError from psycopg_errors.AdminShutdown("gone")

    monkeypatch.setattr(segment_module, "write", fail)
    response = post_batch(alice, {"Idempotency-Key": "k"})
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "SERVICE_UNAVAILABLE"
    assert not IdempotentReply.objects.exists()
    assert not Record.objects.exists()


def test_statuses_of_outcomes_are_the_documents() -> None:
    assert [status.value for status in Status] == ["success", "failed", "skipped"]


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (caused(OperationalError, psycopg_errors.QueryCanceled), Fault.TIME_IS_UP),
        (caused(OperationalError, psycopg_errors.DeadlockDetected), Fault.TRANSIENT),
        (caused(OperationalError, psycopg_errors.SerializationFailure), Fault.TRANSIENT),
        (caused(OperationalError, psycopg_errors.DiskFull), Fault.TRANSIENT),
        (caused(OperationalError, psycopg_errors.AdminShutdown), Fault.CONNECTION),
        (caused(OperationalError, psycopg_errors.ConnectionFailure), Fault.CONNECTION),
        (caused(OperationalError, psycopg.OperationalError), Fault.CONNECTION),
        (caused(InterfaceError, psycopg.InterfaceError), Fault.CONNECTION),
        (caused(OperationalError, psycopg_errors.ProgramLimitExceeded), Fault.VALUE),
        (caused(DataError, psycopg_errors.UntranslatableCharacter), Fault.VALUE),
        (caused(IntegrityError, psycopg_errors.ForeignKeyViolation), Fault.VALUE),
    ],
)
def test_faults_are_told_apart(error: DatabaseFault, fault: Fault) -> None:
    assert fault_of(error) is fault

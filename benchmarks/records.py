"""Document 003's batch beside plain SQL, and the search among many records.

A hundred creates, and a hundred mixed operations, each by one request over HTTP and by one plain SQL script over the
same table, in turns. The script does what the operations do to the rows, statement by statement, and nothing else: it
asks for no key, judges no input and answers nothing. Then searches over HTTP among a hundred thousand records, with the
plan of the statement that ranks them. ``python -m benchmarks.records OWNER QUERY`` prints a plan.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from benchmarks.processes import cpu_seconds
from benchmarks.stack import ROOT, Stack, running_stack

ROUNDS = 15
SEARCHES = 15
Prepare = Callable[[], Callable[[], object]]
"""Makes what a turn needs, and gives the work that is measured."""
LINE = 150
"""Characters of a plan's line that are printed."""
WITHOUT_THROTTLE = {"MEMORY_BATCHES_PER_MINUTE": "1000000"}
CATEGORIES = ("invoice", "note", "mail", "other")


@dataclass(frozen=True, slots=True)
class Times:
    """How long each turn took, and the CPU of web and Postgres together per turn; in milliseconds."""

    wall: list[float]
    cpu: float


@dataclass(frozen=True, slots=True)
class Pairs:
    """The same work in turns."""

    name: str
    request: Times
    script: Times


@dataclass(frozen=True, slots=True)
class Searched:
    """One query over HTTP, and how many it found."""

    name: str
    times: Times
    total: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything."""

    pairs: list[Pairs]
    records: int
    searched: list[Searched]
    plan: list[str]


class Texts:
    """Texts of words whose frequencies fall as in a language, and some that the searches look for."""

    def __init__(self) -> None:
        self._random = random.Random(7)
        syllables = [consonant + vowel for consonant in "bcdfghjklmnprstvw" for vowel in "aeiou"]
        made = ("".join(self._random.choices(syllables, k=self._random.randint(2, 4))) for _ in range(20_000))
        self.words = list(dict.fromkeys(made))
        self.words[200:203] = ["authentication", "customer", "catalog"]
        self._weights = list(itertools.accumulate(1 / (rank + 3) for rank in range(len(self.words))))

    def text(self, words: int) -> str:
        """So many words."""
        return " ".join(self._random.choices(self.words, cum_weights=self._weights, k=words))

    def metadata(self) -> dict[str, str]:
        """A category."""
        return {"category": self._random.choice(CATEGORIES)}


def measure(records: int) -> Measured:
    """Start a system, fill it, measure."""
    os.environ.update(WITHOUT_THROTTLE)
    texts = Texts()
    with running_stack(1) as stack, psycopg.connect(stack.environment()["DATABASE_URL"], autocommit=True) as database:
        first = batch(stack, [create(texts)])["operations"][0]["result"]["id"]
        owner = int(stack.call("GET", f"/api/v1/memory/{first}")["user_id"])
        fill(database, owner, records, texts)
        pairs = [
            in_turns(stack, "100 creates", creates(stack, texts), insert_script(database, owner, texts)),
            in_turns(stack, "100 mixed", mixed(stack, texts), mixed_script(database, owner, texts)),
        ]
        return Measured(pairs, records, searches(stack, texts), plan(stack, owner, texts.words[0]))


def batch(stack: Stack, operations: list[dict[str, Any]]) -> dict[str, Any]:
    """One request; everything must have succeeded."""
    answer = stack.call("POST", "/api/v1/batch", {"operations": operations, "options": {"continue_on_error": True}})
    data: dict[str, Any] = answer["data"]
    assert data["processed"] == data["total"], data
    return data


def create(texts: Texts) -> dict[str, Any]:
    """A memory of some 300 characters."""
    data = {"content": texts.text(45), "metadata": texts.metadata(), "tags": ["a", "b"]}
    return {"type": "create", "data": data}


def fill(database: psycopg.Connection, owner: int, count: int, texts: Texts) -> None:
    """So many records of 20 to 120 words, as an import would store them."""
    print(f"  storing {count:,} records", flush=True)
    columns = "public_id, owner_id, title, content, tags, metadata"
    with database.cursor().copy(f"COPY records_record ({columns}) FROM STDIN") as copy:
        for number in range(count):
            metadata = json.dumps(texts.metadata())
            words = 20 + number % 101
            copy.write_row((f"mem_bench{number}", owner, texts.text(4), texts.text(words), ["a", "b"], metadata))
    database.execute("VACUUM ANALYZE records_record")
    database.execute("VACUUM ANALYZE records_word")


def in_turns(stack: Stack, name: str, request: Prepare, script: Prepare) -> Pairs:
    """One after the other, so that both see the same machine; the first turn warms up."""
    walls: tuple[list[float], list[float]] = ([], [])
    cpus = [0.0, 0.0]
    for turn in range(ROUNDS + 1):
        for side, prepare in enumerate((request, script)):
            work = prepare()
            before, started = cpu_milliseconds(stack), time.perf_counter()
            work()
            took = (time.perf_counter() - started) * 1000
            if turn:
                walls[side].append(took)
                cpus[side] += cpu_milliseconds(stack) - before
    pairs = Pairs(name, *(Times(wall, cpu / ROUNDS) for wall, cpu in zip(walls, cpus, strict=True)))
    print(f"  {name}: {span(pairs.request.wall)} ms, script {span(pairs.script.wall)} ms", flush=True)
    return pairs


def cpu_milliseconds(stack: Stack) -> float:
    """Used so far by the web process and by Postgres; the kernel counts it in steps of 10 ms."""
    spent = cpu_seconds(stack.launcher_pid)
    return 1000 * (spent["web"] + spent["postgres"])


def creates(stack: Stack, texts: Texts) -> Prepare:
    """A hundred creates in one request."""

    def prepare() -> Callable[[], object]:
        operations = [create(texts) for _ in range(100)]
        return lambda: batch(stack, operations)

    return prepare


def insert_script(database: psycopg.Connection, owner: int, texts: Texts) -> Prepare:
    """A hundred rows in one INSERT."""
    numbers = itertools.count()

    def prepare() -> Callable[[], object]:
        rows = [
            (f"mem_script{next(numbers)}", owner, texts.text(45), ["a", "b"], json.dumps(texts.metadata()))
            for _ in range(100)
        ]
        places = ", ".join(["(%s, %s, %s, %s, %s)"] * len(rows))
        statement = f"INSERT INTO records_record (public_id, owner_id, content, tags, metadata) VALUES {places}"  # noqa: S608
        values = list(itertools.chain.from_iterable(rows))
        return lambda: database.execute(statement, values)

    return prepare


MIX = ("create", "read", "update", "delete") * 24


def mixed(stack: Stack, texts: Texts) -> Prepare:
    """24 creates, reads, updates and deletes in turns, and 4 searches between them."""

    def prepare() -> Callable[[], object]:
        ids = iter(store(stack, texts, 72))
        operations: list[dict[str, Any]] = []
        for number, kind in enumerate(MIX):
            if kind == "create":
                operations.append(create(texts))
            elif kind == "update":
                operations.append({"type": kind, "id": next(ids), "data": {"content": texts.text(45)}})
            else:
                operations.append({"type": kind, "id": next(ids)})
            if number % 24 == 23:
                operations.append({"type": "search", "query": "customer catalog"})
        assert len(operations) == 100
        return lambda: batch(stack, operations)

    return prepare


def store(stack: Stack, texts: Texts, count: int) -> list[str]:
    """Memories to be read, changed and deleted."""
    data = batch(stack, [create(texts) for _ in range(count)])
    return [one["result"]["id"] for one in data["operations"]]


def mixed_script(database: psycopg.Connection, owner: int, texts: Texts) -> Prepare:
    """The same as a hundred statements of one transaction, sent as one script."""
    numbers = itertools.count()

    def prepare() -> Callable[[], object]:
        ids = [f"mem_mixed{next(numbers)}" for _ in range(72)]
        for public_id in ids:
            database.execute(
                "INSERT INTO records_record (public_id, owner_id, content) VALUES (%s, %s, %s)",
                (public_id, owner, texts.text(45)),
            )
        script = ";\n".join(statements(owner, iter(ids), numbers, texts))
        return lambda: database.execute(f"BEGIN;\n{script};\nCOMMIT")

    return prepare


def statements(owner: int, ids: Iterator[str], numbers: Iterator[int], texts: Texts) -> Iterator[str]:
    """Plain SQL for the mix; the texts are of letters and spaces only."""
    mine = f"owner_id = {owner} AND public_id"
    for number, kind in enumerate(MIX):
        if kind == "create":
            values = (
                f"'mem_new{next(numbers)}', {owner}, '{texts.text(45)}', '{json.dumps(texts.metadata())}', '{{a,b}}'"
            )
            yield f"INSERT INTO records_record (public_id, owner_id, content, metadata, tags) VALUES ({values})"  # noqa: S608
        elif kind == "read":
            yield (
                "UPDATE records_record SET access_count = access_count + 1, last_accessed = now() "  # noqa: S608
                f"WHERE {mine} = '{next(ids)}' RETURNING *"
            )
        elif kind == "update":
            yield (
                f"UPDATE records_record SET content = '{texts.text(45)}', updated_at = now() "  # noqa: S608
                f"WHERE {mine} = '{next(ids)}'"
            )
        else:
            yield f"DELETE FROM records_record WHERE {mine} = '{next(ids)}'"  # noqa: S608
        if number % 24 == 23:
            yield (
                f"SELECT public_id, content, ts_rank_cd(search, query) AS score FROM records_record, "  # noqa: S608
                f"plainto_tsquery('records_text', 'customer catalog') AS query "
                f"WHERE owner_id = {owner} AND search @@ query ORDER BY score DESC LIMIT 10"
            )


def searches(stack: Stack, texts: Texts) -> list[Searched]:
    """Queries of all kinds, over HTTP."""
    queries: dict[str, dict[str, Any]] = {
        "a very frequent word": {"query": texts.words[0]},
        "a frequent word": {"query": texts.words[60]},
        "a rare word": {"query": texts.words[3000]},
        "two words": {"query": "customer catalog"},
        "four words": {"query": f"{texts.words[0]} {texts.words[60]} customer {texts.words[3000]}"},
        "a misspelt word": {"query": "authentcation"},
        "two words, filtered": {
            "query": "customer catalog",
            "filters": {"tags": ["a"]},
            "memory_types": ["context"],
        },
        "a word that is nowhere": {"query": "zzzzqqqq"},
    }
    found = []
    for name, body in queries.items():
        wall = []
        total = stack.call("POST", "/api/v1/memory/search", body)["total_results"]
        before = cpu_milliseconds(stack)
        for _ in range(SEARCHES):
            started = time.perf_counter()
            stack.call("POST", "/api/v1/memory/search", body)
            wall.append((time.perf_counter() - started) * 1000)
        found.append(Searched(name, Times(wall, (cpu_milliseconds(stack) - before) / SEARCHES), total))
        print(f"  {name}: {span(wall)} ms", flush=True)
    return found


def plan(stack: Stack, owner: int, word: str) -> list[str]:
    """The plan of the statement that ranks, by a process that may use the system's models."""
    query = f"customer {word} authentication"
    command = [sys.executable, "-m", "benchmarks.records", str(owner), query]
    done = subprocess.run(command, cwd=ROOT, env=stack.environment(), capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def report(measured: Measured) -> str:
    """Markdown tables."""
    lines = [
        f"### Document 003: one request of 100 operations beside plain SQL, among {measured.records:,} records",
        "",
        "CPU: of the web process and Postgres together, which another load of the machine changes less than the time.",
        "",
        "| work | request, ms (median, least to most) | SQL script, ms | request, CPU ms | SQL script, CPU ms |",
        "|---|---|---|---|---|",
    ]
    for pair in measured.pairs:
        cpus = f"{pair.request.cpu:.0f} | {pair.script.cpu:.0f}"
        lines.append(f"| {pair.name} | {span(pair.request.wall)} | {span(pair.script.wall)} | {cpus} |")
    lines += [
        "",
        f"### Search over HTTP among {measured.records:,} records of one owner",
        "",
        "Of very many matches the newest 300 with all words, and 50 for each word, are ranked and counted.",
        "",
        "| query | ms (median, least to most) | CPU ms | found |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {one.name} | {span(one.times.wall)} | {one.times.cpu:.0f} | {one.total} |" for one in measured.searched
    ]
    lines += ["", "The plan of a query of three words:", "", "```"]
    return "\n".join([*lines, *(line[:LINE] for line in measured.plan), "```"])


def span(milliseconds: list[float]) -> str:
    """Median, and from the least to the most."""
    return f"{statistics.median(milliseconds):.0f} ({min(milliseconds):.0f} to {max(milliseconds):.0f})"


def main() -> int:
    """Print a plan."""
    import django

    django.setup()
    from django.db import transaction

    from records.search import SearchRequest, matches
    from records.words import meanings_of

    owner, query = int(sys.argv[1]), sys.argv[2]
    with transaction.atomic():
        print(matches(owner, SearchRequest(query), meanings_of(owner, query)).explain(analyze=True, buffers=True))
    return 0


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "batchsite.settings")
    sys.exit(main())

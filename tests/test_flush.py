"""The rows of a test go although an engine is at work on them."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

from tests.engine_fixture import database_url

LOCKED = """SELECT c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
             WHERE l.mode = 'AccessExclusiveLock' AND l.granted AND c.relkind = 'r'
               AND l.pid IN (SELECT pid FROM pg_locks WHERE NOT granted)"""


def flush() -> None:
    call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)
    connection.close()


def test_whoever_meets_a_flush_halfway_gives_way(transactional_db: None) -> None:
    with psycopg.connect(database_url()) as engine, psycopg.connect(database_url(), autocommit=True) as watcher:
        engine.execute("SELECT 1 FROM batches_item, batches_batch, records_record LIMIT 1")
        thread = threading.Thread(target=flush)
        thread.start()
        deadline = time.monotonic() + 30
        while not (locked := watcher.execute(LOCKED).fetchall()):
            assert time.monotonic() < deadline, "the flush waits for nothing"
            time.sleep(0.05)
        with pytest.raises(psycopg.errors.DeadlockDetected):
            engine.execute(psycopg.sql.SQL("SELECT 1 FROM {}").format(psycopg.sql.Identifier(locked[0][0])))
        engine.rollback()
        thread.join(30)
        assert not thread.is_alive()

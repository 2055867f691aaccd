"""Somebody comes in between: an interrupt while the merge commits, a lock taken by force, another module in the same table."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import pipekit_engine.running.group_run
from pipekit_engine.errors import Interrupted, MergeError, OutcomeUnknown, RunCancelled
from pipekit_engine.models import Column, Hook
from pipekit_engine.running.events import RunEvent
from tests.running.conftest import bench_to
from tests.running.workbench import Workbench
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


def gated_commit(bench: Workbench) -> str:
    """A PostgreSQL destination whose COMMIT waits for the advisory lock 7; the database's name."""
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.fill("t", [(1,), (2,)])
    bench.execute(
        "CREATE TABLE t (id INTEGER)",
        "INSERT INTO t VALUES (-1)",
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION wait()",
    )
    bench.module()
    return bench.store.definitions.connection("dst").jdbc_url.rpartition("/")[2]


def test_an_interrupt_while_it_commits_says_what_became_of_it(
    pg_bench: Workbench, postgresql: PostgreSQLServer
) -> None:
    """A Ctrl-C that comes too late: the rows are there, and the run says so."""
    database = gated_commit(pg_bench)
    with postgresql.connect(database) as gate:
        gate.execute("SELECT pg_advisory_lock(7)")

        def interrupt() -> None:
            while gate.execute(WAITING).fetchone() == (0,):
                time.sleep(0.02)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
            gate.execute("SELECT pg_advisory_unlock(7)")

        interrupter = threading.Thread(target=interrupt, daemon=True)
        with pytest.raises(KeyboardInterrupt):
            pg_bench.run(on_event=lambda event: interrupter.start() if is_phase(event, "merge") else None)
        interrupter.join()
    record = pg_bench.store.runs.list()[0]
    assert record.status == "cancelled"
    assert record.error == "stopped by KeyboardInterrupt; the merge was committed before"
    assert pg_bench.rows("SELECT id FROM t") == [("1",), ("2",)]
    assert pg_bench.store.leases.all() == []
    assert pg_bench.staging_left() == []


def test_a_lock_freed_by_force_while_it_commits_is_outcome_unknown(
    pg_bench: Workbench, postgresql: PostgreSQLServer
) -> None:
    """Its jrunner is killed with the commit under way: nobody may say that the destination was not touched."""
    database = gated_commit(pg_bench)
    with postgresql.connect(database) as gate:
        gate.execute("SELECT pg_advisory_lock(7)")

        def unlock() -> None:
            while gate.execute(WAITING).fetchone() == (0,):
                time.sleep(0.02)
            pg_bench.engine.unlock("m", force=True)

        unlocker = threading.Thread(target=unlock, daemon=True)
        with pytest.raises(OutcomeUnknown, match="outcome unknown"):
            pg_bench.run(on_event=lambda event: unlocker.start() if is_phase(event, "merge") else None)
        unlocker.join()
    assert "unlocked by hand, outcome unknown" in (pg_bench.store.runs.list()[0].error or "")
    assert pg_bench.store.leases.all() == []


def is_phase(event: RunEvent, phase: str) -> bool:
    return (event.kind, event.phase) == ("phase", phase)


def test_a_run_that_lost_its_lock_leaves_the_others_staging_alone(pg_bench: Workbench) -> None:
    pg_bench.source("CREATE TABLE t (id INTEGER)")
    pg_bench.fill("t", [(1,)])
    pg_bench.module()

    def rob(event: RunEvent) -> None:
        if is_phase(event, "verify"):
            lease = pg_bench.store.leases.find("module", "m")
            assert lease is not None
            pg_bench.store.leases.release("module", "m", lease.token)
            assert pg_bench.store.leases.acquire("module", "m") is not None

    with pytest.raises(Interrupted, match="must not write any more; the destination is as it was"):
        pg_bench.run(on_event=rob)
    # It is now the new owner's, who would find its rows gone.
    assert pg_bench.staging_left() == ["m"]


@pytest.fixture
def mariadb_bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    """From SQLite into MariaDB."""
    yield from bench_to("mariadb", tmp_path, request)


def test_a_failed_merge_does_not_take_another_modules_rows_away(
    mariadb_bench: Workbench, mariadb: MariaDBServer
) -> None:
    """Where DDL cannot be rolled back, a failed run drops the destination that it made: not with rows of another in it."""
    bench = mariadb_bench
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.fill("t", [(1,)])
    bench.module(
        columns=(Column(source_name="id", dest_name="id", dest_type="INTEGER PRIMARY KEY"),), strategy="append"
    )
    connection = bench.store.definitions.connection("dst")
    database, staging = connection.jdbc_url.rpartition("/")[2], connection.staging_schema

    def slip_a_row_in(gate: subprocess.Popen[str]) -> None:
        while mariadb.sql(database, "SHOW TABLES LIKE 't'") == []:
            time.sleep(0.02)
        mariadb.sql(database, "INSERT INTO t VALUES (1)")
        assert gate.stdin is not None
        gate.stdin.close()

    with mariadb.client(database) as gate:
        assert gate.stdin is not None
        assert gate.stdout is not None
        other = threading.Thread(target=slip_a_row_in, args=(gate,), daemon=True)

        def hold_the_merge(event: RunEvent) -> None:
            if is_phase(event, "merge"):
                # The merge has to wait for these rows.
                print(f"BEGIN; SELECT id FROM `{staging}`.m FOR UPDATE;", file=gate.stdin, flush=True)
                assert gate.stdout is not None
                assert gate.stdout.readline()
                other.start()

        with pytest.raises(MergeError, match="Duplicate entry"):
            bench.run(on_event=hold_the_merge)
        other.join()
    assert bench.rows("SELECT id FROM t") == [("1",)]


def test_a_group_that_lost_its_lock_stops(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else may be running it by now; the members that are left are theirs."""
    monkeypatch.setattr(pipekit_engine.running.group_run, "HEARTBEAT_INTERVAL", timedelta(milliseconds=50))
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.module("first", hooks=[Hook(run_on="success", connection="src", sql=FOREVER)])
    bench.module("second", dest_table="u")
    bench.group(("first",), ("second",))

    def rob(event: RunEvent) -> None:
        if is_phase(event, "hooks"):
            lease = bench.store.leases.find("group", "g")
            assert lease is not None
            assert bench.store.leases.release("group", "g", lease.token)
            assert bench.store.leases.acquire("group", "g") is not None

    with pytest.raises(RunCancelled):
        bench.engine.run_group("g", on_event=rob)
    assert [run.module for run in bench.store.runs.list()] == ["first"]
    assert bench.store.leases.find("group", "g") is not None, "the lock is another's"

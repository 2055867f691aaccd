"""A merge that the database took back is tried again from staging: real deadlocks, of which the run is the victim."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from pipekit_engine.errors import MergeError
from tests.running.conftest import bench_to
from tests.running.workbench import Workbench
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

#: A thousand take some ten minutes: PIPEKIT_DEADLOCKS=1000.
DEADLOCKS = int(os.environ.get("PIPEKIT_DEADLOCKS", "3"))
ROWS = [(number, f"name {number}") for number in range(10)]


def start(bench: Workbench, **fields: object) -> None:
    bench.source("CREATE TABLE t (id INTEGER, name TEXT)")
    bench.fill("t", ROWS)
    bench.execute("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(40))")
    bench.execute("CREATE TABLE other (id INTEGER NOT NULL PRIMARY KEY, n INTEGER)")
    bench.module(strategy="upsert", merge_key="id", **fields)
    assert bench.run().rows_inserted == len(ROWS)


def change_source(bench: Workbench, number: int) -> list[tuple[str, str]]:
    bench.source(f"UPDATE t SET name = 'round {number}' WHERE id = 3")
    return sorted((str(key), f"round {number}" if key == 3 else name) for key, name in ROWS)


@pytest.fixture(params=["postgresql", "mariadb"])
def victim(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Workbench, str]]:
    yield from ((bench, request.param) for bench in bench_to(request.param, tmp_path, request))


def _database(bench: Workbench) -> str:
    return bench.store.definitions.connection("dst").jdbc_url.rpartition("/")[2].partition("?")[0]


class PostgreSQLRival(threading.Thread):
    """Holds a row that the merge will want, and asks for the table that the merge has locked."""

    def __init__(self, server: PostgreSQLServer, database: str) -> None:
        super().__init__()
        self.connection = server.connect(database, autocommit=False)
        self.watch = server.connect(database)
        self.ready = threading.Event()

    def run(self) -> None:
        with self.connection, self.watch:
            self.connection.execute("SET LOCAL deadlock_timeout = '60s'")
            self.connection.execute("UPDATE other SET n = n + 1")
            self.ready.set()
            locked = "SELECT count(*) FROM pg_locks WHERE mode = 'ShareRowExclusiveLock' AND granted AND relation = 't'::regclass"
            deadline = time.monotonic() + 20
            while self.watch.execute(locked).fetchone() == (0,) and time.monotonic() < deadline:
                time.sleep(0.002)
            with suppress(psycopg.errors.DeadlockDetected):
                self.connection.execute("UPDATE t SET name = 'rival'")
            self.connection.rollback()


class MariaDBRival(threading.Thread):
    """As PostgreSQL's. It has changed more rows than the merge: InnoDB takes back the transaction that changed the fewest."""

    def __init__(self, server: MariaDBServer, database: str) -> None:
        super().__init__()
        self.server, self.database = server, database
        self.ready = threading.Event()

    def run(self) -> None:
        with self.server.client(self.database) as client:
            assert client.stdin is not None
            assert client.stdout is not None
            client.stdin.write("BEGIN; UPDATE other SET n = n + 1; SELECT 'ready';\n")
            client.stdin.flush()
            while "ready" not in client.stdout.readline():
                pass
            client.stdout.readline()
            self.ready.set()
            locked = "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User sleep'"
            deadline = time.monotonic() + 20
            while self.server.sql("", locked) == [("0",)] and time.monotonic() < deadline:
                time.sleep(0.002)
            client.stdin.write("UPDATE t SET name = 'rival'; ROLLBACK;\n")
            client.stdin.close()


def set_trap(bench: Workbench, kind: str) -> None:
    """The merge's UPDATE dawdles, then wants the row that the rival has."""
    if kind == "postgresql":
        bench.execute(
            "INSERT INTO other VALUES (1, 0)",
            "CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('deadlock_timeout', '10ms', "
            "true); PERFORM pg_sleep(0.15); UPDATE other SET n = n + 1; RETURN NEW; END $$",
            "CREATE TRIGGER trap BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION trap()",
        )
        return
    bench.execute(
        "INSERT INTO other SELECT seq, 0 FROM seq_1_to_2000",
        "CREATE TRIGGER trap BEFORE UPDATE ON t FOR EACH ROW "
        "BEGIN SET @slept = SLEEP(0.3); UPDATE other SET n = n + 1 WHERE id = 1; END",
    )


@pytest.mark.timeout(180 + 4 * DEADLOCKS)
def test_the_victims_of_deadlocks_try_again(victim: tuple[Workbench, str], request: pytest.FixtureRequest) -> None:
    """No failed run, no doubled row, no second read of the source."""
    bench, kind = victim
    start(bench)
    set_trap(bench, kind)
    server = request.getfixturevalue(kind)
    rival_type = PostgreSQLRival if kind == "postgresql" else MariaDBRival
    seen, number = 0, 0
    while seen < DEADLOCKS and number < 3 * DEADLOCKS:
        number += 1
        expected = change_source(bench, number)
        rival = rival_type(server, _database(bench))
        rival.start()
        rival.ready.wait(20)
        record = bench.run()
        rival.join()
        assert (record.status, record.rows_read, record.rows_updated, record.rows_unchanged) == ("success", 10, 1, 9)
        assert bench.rows("SELECT id, name FROM t") == sorted(expected)
        assert record.live_log.count("rows read") == 1
        seen += record.live_log.count("the database took the merge back")
    assert seen >= DEADLOCKS
    assert bench.staging_left() == []


def test_a_lock_that_does_not_come(victim: tuple[Workbench, str], request: pytest.FixtureRequest) -> None:
    """`retry_merge` tries, then the error is told, and the destination is as it was."""
    bench, kind = victim
    start(bench, retry_merge=1)
    change_source(bench, 1)
    server, database = request.getfixturevalue(kind), _database(bench)
    if kind == "postgresql":
        server.sql(database, f"ALTER DATABASE \"{database}\" SET lock_timeout = '100ms'")
        holder = server.connect(database, autocommit=False)
        holder.execute("UPDATE t SET name = name")
    else:
        server.sql("", "SET GLOBAL innodb_lock_wait_timeout = 1")
        holder = None
    try:
        with bench.pool.session() as session:
            session.close()
        if holder is not None:
            with pytest.raises(MergeError, match="lock timeout") as caught:
                bench.run()
            holder.rollback()
        else:
            with server.client(database) as client:
                client.stdin.write("BEGIN; UPDATE t SET name = name; SELECT 'ready';\n")
                client.stdin.flush()
                while "ready" not in client.stdout.readline():
                    pass
                with pytest.raises(MergeError, match="Lock wait timeout") as caught:
                    bench.run()
    finally:
        if holder is None:
            server.sql("", "SET GLOBAL innodb_lock_wait_timeout = 50")
        else:
            holder.close()
    record = caught.value.record
    assert record is not None
    assert record.live_log.count("trying it again from staging in 0.2 s (1 of 1)") == 1
    assert [row[1] for row in bench.rows("SELECT id, name FROM t")] == [name for _, name in ROWS]
    with bench.pool.session() as session:
        session.close()
    if kind == "postgresql":
        server.sql(database, f'ALTER DATABASE "{database}" RESET lock_timeout')
    assert bench.run().rows_updated == 1

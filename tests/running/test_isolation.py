"""Databases whose transactions have a snapshot: a merge must see, or be told, what others committed while it waited."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.running.conftest import bench_to
from tests.running.workbench import Workbench
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.waiting import wait_until

ROWS = [(number, f"name {number}") for number in range(10)]
EXPECTED = sorted((str(number), "again" if number == 3 else name) for number, name in ROWS)


@pytest.fixture
def postgresql_bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    yield from bench_to("postgresql", tmp_path, request)


@pytest.fixture
def mariadb_bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    yield from bench_to("mariadb", tmp_path, request)


def database_of(bench: Workbench) -> str:
    return bench.store.definitions.connection("dst").jdbc_url.rpartition("/")[2].partition("?")[0]


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("isolation", "strategy"),
    [("repeatable read", "upsert"), ("serializable", "full"), ("serializable", "incremental")],
)
def test_what_commits_before_the_lock_is_seen(
    postgresql_bench: Workbench, postgresql: PostgreSQLServer, isolation: str, strategy: str
) -> None:
    """A merge that waited for its table's lock went by a snapshot from before it: a row of its key was there twice, "success"."""
    bench = postgresql_bench
    bench.source("CREATE TABLE t (id INTEGER, name TEXT)")
    bench.fill("t", ROWS)
    bench.execute("CREATE TABLE t (id INTEGER NOT NULL, name VARCHAR(40))")
    bench.module(strategy=strategy, merge_key=() if strategy == "full" else "id")
    database = database_of(bench)
    postgresql.sql("postgres", f"ALTER DATABASE \"{database}\" SET default_transaction_isolation = '{isolation}'")
    with bench.pool.session() as session:
        session.close()
    with postgresql.connect(database, autocommit=False) as rival:
        rival.execute("INSERT INTO t VALUES (3, 'of the rival')")

        def commit() -> None:
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 't'::regclass"
            wait_until(lambda: rival.execute(waiting).fetchone() == (1,), "the merge at the lock")
            rival.commit()

        thread = threading.Thread(target=commit)
        thread.start()
        record = bench.run()
        thread.join()
    assert record.status == "success"
    assert bench.rows("SELECT id, name FROM t") == sorted((str(number), name) for number, name in ROWS)


@contextmanager
def snapshot_isolation(bench: Workbench, mariadb: MariaDBServer, value: str) -> Iterator[None]:
    """`innodb_snapshot_isolation` of new sessions: MariaDB's default from 11.6 on."""
    if not mariadb.sql("", "SHOW VARIABLES LIKE 'innodb_snapshot_isolation'"):
        pytest.skip("this MariaDB has no innodb_snapshot_isolation")
    mariadb.sql("", f"SET GLOBAL innodb_snapshot_isolation = {value}")
    try:
        with bench.pool.session() as session:
            session.close()
        yield
    finally:
        mariadb.sql("", "SET GLOBAL innodb_snapshot_isolation = OFF")
        with bench.pool.session() as session:
            session.close()


@pytest.mark.mariadb
@pytest.mark.parametrize(("isolation", "strategy"), [("OFF", "full"), ("OFF", "incremental"), ("ON", "upsert")])
def test_what_commits_while_a_merge_waits_in_mariadb_is_seen(
    mariadb_bench: Workbench, mariadb: MariaDBServer, isolation: str, strategy: str
) -> None:
    bench = mariadb_bench
    bench.source("CREATE TABLE t (id INTEGER, name TEXT)")
    bench.fill("t", ROWS)
    bench.execute("CREATE TABLE t (id INTEGER NOT NULL, name VARCHAR(40))")
    bench.module(strategy=strategy, merge_key=() if strategy == "full" else "id")
    with snapshot_isolation(bench, mariadb, isolation), mariadb.client(database_of(bench)) as rival:
        assert rival.stdin is not None
        assert rival.stdout is not None
        rival.stdin.write("BEGIN; INSERT INTO t VALUES (3, 'of the rival'); SELECT 'ready';\n")
        rival.stdin.flush()
        while "ready" not in rival.stdout.readline():
            pass

        def commit() -> None:
            waiting = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"

            def waits() -> bool:
                time.sleep(
                    0.3
                )  # InnoDB shows the same as before to whoever asks more often than each tenth of a second
                return mariadb.sql("", waiting) != [("0",)]

            wait_until(waits, "the merge at the lock")
            rival.stdin.write("COMMIT;\n")
            rival.stdin.flush()

        thread = threading.Thread(target=commit)
        thread.start()
        record = bench.run()
        thread.join()
    assert record.status == "success"
    assert bench.rows("SELECT id, name FROM t") == sorted((str(number), name) for number, name in ROWS)


@pytest.mark.mariadb
def test_a_record_that_changed_after_the_snapshot(mariadb_bench: Workbench, mariadb: MariaDBServer) -> None:
    """Newer MariaDB refuses to change it (error 1020), where older ones took the newest: the merge is tried again."""
    bench = mariadb_bench
    bench.source("CREATE TABLE t (id INTEGER, name TEXT)")
    bench.fill("t", ROWS)
    bench.execute(
        "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(40))",
        "CREATE TABLE other (id INTEGER NOT NULL PRIMARY KEY, n INTEGER)",
        "INSERT INTO other VALUES (1, 0)",
        "CREATE TRIGGER dawdle BEFORE UPDATE ON t FOR EACH ROW "
        "BEGIN SET @slept = SLEEP(0.5); UPDATE other SET n = n + 1; END",
    )
    bench.module(strategy="upsert", merge_key="id")
    bench.run()
    bench.source("UPDATE t SET name = 'again' WHERE id = 3")
    database = database_of(bench)

    def interfere() -> None:
        dawdles = "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User sleep'"
        wait_until(lambda: mariadb.sql("", dawdles) == [("1",)], "the merge's update")
        mariadb.sql(database, "UPDATE other SET n = n + 100")

    with snapshot_isolation(bench, mariadb, "ON"):
        thread = threading.Thread(target=interfere)
        thread.start()
        record = bench.run()
        thread.join()
    assert (record.status, record.rows_read, record.rows_updated) == ("success", 10, 1)
    assert record.live_log.count("the database took the merge back") == 1
    assert bench.rows("SELECT id, name FROM t") == EXPECTED
    assert mariadb.sql(database, "SELECT n FROM other") == [("101",)]

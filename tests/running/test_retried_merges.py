"""A merge that the database took back is tried again from staging: real deadlocks, of which the run is the victim."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from pipekit_engine.errors import MergeError
from pipekit_engine.running import phases
from tests.running.conftest import bench_to
from tests.running.workbench import Workbench
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

#: A thousand take some minutes: PIPEKIT_DEADLOCKS=1000.
DEADLOCKS = int(os.environ.get("PIPEKIT_DEADLOCKS", "3"))
#: The number of PostgreSQL's advisory lock that says that deadlocks are wanted.
HUNTING = 4711
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


class PostgreSQLRival:
    """Holds rows that the merge will want, and asks for the table that the merge has locked. One session for all runs."""

    def __init__(self, server: PostgreSQLServer, database: str) -> None:
        self.connection = server.connect(database, autocommit=False)
        self.watch = server.connect(database)
        self.thread: threading.Thread | None = None
        self.ready = threading.Event()

    @property
    def is_idle(self) -> bool:
        return self.thread is None or not self.thread.is_alive()

    def order(self, rounds: int) -> None:
        """Force so many deadlocks; returns once the first is prepared."""
        self.ready.clear()
        self.thread = threading.Thread(target=self._run, args=(rounds,))
        self.thread.start()
        self.ready.wait(20)

    def _run(self, rounds: int) -> None:
        locked = "SELECT count(*) FROM pg_locks WHERE mode = 'ShareRowExclusiveLock' AND granted AND relation = 't'::regclass"
        # Told to the trap as long as it shall wait for this session.
        self.watch.execute(f"SELECT pg_advisory_lock({HUNTING})")
        for _ in range(rounds):
            self.connection.execute("SET LOCAL deadlock_timeout = '60s'")
            self.connection.execute("UPDATE other SET n = n + 1")
            self.ready.set()
            deadline = time.monotonic() + 20
            while self.watch.execute(locked).fetchone() == (0,) and time.monotonic() < deadline:
                time.sleep(0.002)
            with suppress(psycopg.errors.DeadlockDetected):
                self.connection.execute("UPDATE t SET name = 'rival'")
            self.connection.rollback()
        self.watch.execute(f"SELECT pg_advisory_unlock({HUNTING})")

    def close(self) -> None:
        assert self.thread is not None
        self.thread.join()
        self.connection.close()
        self.watch.close()


class MariaDBRival:
    """As PostgreSQL's. It has changed more rows than the merge: InnoDB takes back the transaction that changed the fewest."""

    def __init__(self, server: MariaDBServer, database: str) -> None:
        self.context = server.client(database)
        self.client = self.context.__enter__()
        self.said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.is_idle = True
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()

    def _listen(self) -> None:
        assert self.client.stdout is not None
        for line in self.client.stdout:
            if line == "ready now\n":
                self.said.put(line)
            elif line == "all done\n":
                self.is_idle = True

    def order(self, rounds: int) -> None:
        assert self.client.stdin is not None
        self.is_idle = False
        self.client.stdin.write(f"CALL rival({rounds});\n")
        self.client.stdin.flush()
        self.said.get(timeout=20)

    def close(self) -> None:
        assert self.client.stdin is not None
        self.client.stdin.close()
        self.thread.join()
        self.context.__exit__(None, None, None)


def set_trap(bench: Workbench, kind: str) -> None:
    """The merge's UPDATE wants the rows that the rival has, when the rival waits for the merge."""
    if kind == "postgresql":
        # The deadlock is looked for once, by the session that waits last: by the merge.
        bench.execute(
            "INSERT INTO other VALUES (1, 0)",
            "CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('deadlock_timeout', '1ms', "
            f"true); WHILE EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = {HUNTING} AND granted) "
            "AND NOT EXISTS (SELECT 1 FROM pg_locks WHERE relation = 't'::regclass AND NOT granted) "
            "LOOP PERFORM pg_sleep(0.002); END LOOP; UPDATE other SET n = n + 1; RETURN NEW; END $$",
            "CREATE TRIGGER trap BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION trap()",
        )
        return
    # A deadlock is found whoever waits last; the rows of t are locked when the merge's UPDATE begins.
    bench.execute(
        "INSERT INTO other SELECT seq, 0 FROM seq_1_to_200",
        "CREATE TRIGGER trap BEFORE UPDATE ON t FOR EACH ROW UPDATE other SET n = n + 1 WHERE id = 1",
        "CREATE PROCEDURE rival(rounds INT) BEGIN DECLARE done, tries INT DEFAULT 0; "
        "DECLARE CONTINUE HANDLER FOR 1213 BEGIN END; "
        "WHILE done < rounds DO START TRANSACTION; UPDATE other SET n = n + 1; IF done = 0 THEN SELECT 'ready now'; END IF; "
        "SET tries = 0; WHILE tries < 10000 AND NOT EXISTS (SELECT 1 FROM information_schema.processlist WHERE db = DATABASE() "
        "AND id <> CONNECTION_ID() AND info LIKE 'UPDATE%') DO DO SLEEP(0.002); SET tries = tries + 1; END WHILE; "
        "UPDATE t SET name = 'rival'; ROLLBACK; SET done = done + 1; END WHILE; SELECT 'all done'; END",
    )


@pytest.mark.timeout(180 + DEADLOCKS)
def test_the_victims_of_deadlocks_try_again(
    victim: tuple[Workbench, str], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No failed run, no doubled row, no second read of the source."""
    bench, kind = victim
    monkeypatch.setattr(phases, "MERGE_RETRY_DELAYS_S", (0.01, 0.02))
    start(bench, retry_merge=10)
    set_trap(bench, kind)
    server = request.getfixturevalue(kind)
    rival = (PostgreSQLRival if kind == "postgresql" else MariaDBRival)(server, _database(bench))
    each = min(10, DEADLOCKS)
    seen, number, logs = 0, 0, ""
    try:
        while seen < DEADLOCKS and number < 3 * DEADLOCKS:
            number += 1
            expected = change_source(bench, number)
            if rival.is_idle:
                rival.order(each)
            record = bench.run()
            assert (record.status, record.rows_read, record.rows_updated, record.rows_unchanged) == (
                "success",
                10,
                1,
                9,
            )
            assert bench.rows("SELECT id, name FROM t") == sorted(expected)
            assert record.live_log.count("rows read") == 1
            seen += record.live_log.count("the database took the merge back")
            logs += record.live_log
        assert seen >= DEADLOCKS
        assert "from staging in 0.01 s (1 of 10)" in logs
        assert "from staging in 0.02 s (2 of 10)" in logs
    finally:
        rival.close()
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

"""What an earlier run left at the destination is waited for or ended before anything is read there."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipekit_engine.errors import EarlierMergeActive, Interrupted, MergeError
from pipekit_engine.models import RunRecord
from pipekit_engine.running import fencing
from pipekit_engine.running.phases import Phases
from tests.running.conftest import bench_to
from tests.running.test_crash import child
from tests.running.workbench import Workbench
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.waiting import wait_until

#: A COMMIT that waits for the advisory lock 7 and does not notice that its client is gone, like one that waits for a standby.
GATE = (
    "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql SET client_connection_check_interval = 0 AS $$ "
    "BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$",
    "CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()",
)
AT_THE_GATE = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted"


def appending(bench: Workbench) -> str:
    """A hundred source rows, appended behind the greatest id that the destination has; the destination's database."""
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.fill("t", [(number,) for number in range(1, 101)])
    bench.execute("CREATE TABLE t (id INTEGER)")
    bench.module(
        strategy="append",
        query="SELECT id FROM t WHERE id > {last}",
        watermarks={"last": ("dst", "SELECT max(id) FROM t", "0")},
    )
    return bench.store.definitions.connection("dst").jdbc_url.rpartition("/")[2]


def each_once(bench: Workbench, rows: int) -> bool:
    return bench.rows("SELECT count(*), count(DISTINCT id) FROM t") == [(str(rows), str(rows))]


@contextmanager
def dead_run_at_the_gate(bench: Workbench, server: PostgreSQLServer) -> Iterator[threading.Event]:
    """A run whose engine and jrunner were killed while its COMMIT waits; the event opens the gate."""
    database = appending(bench)
    bench.execute(*GATE)
    opened = threading.Event()
    with server.connect(database) as gate:
        gate.execute("SELECT pg_advisory_lock(7)")
        with child(bench, "m") as process:
            wait_until(lambda: gate.execute(AT_THE_GATE).fetchone() == (1,), "the commit")
            lease = bench.store.leases.find("module", "m")
            assert lease is not None
            assert lease.child is not None
            process.send_signal(signal.SIGKILL)
            lease.child.kill()
        bench.fill("t", [(number,) for number in range(101, 151)])

        def open_gate() -> None:
            opened.wait(60)
            gate.execute("SELECT pg_advisory_unlock(7)")

        opener = threading.Thread(target=open_gate, daemon=True)
        opener.start()
        try:
            yield opened
        finally:
            opened.set()
            opener.join()


@pytest.mark.postgresql
def test_append_waits_for_a_dead_runs_commit(pg_bench: Workbench, postgresql: PostgreSQLServer) -> None:
    """The watermark was read before that commit, and its rows came twice, with status success."""
    with dead_run_at_the_gate(pg_bench, postgresql) as opened:
        threading.Timer(2, opened.set).start()
        record = pg_bench.run()
    assert record.status == "success"
    assert record.rows_inserted == 50
    assert each_once(pg_bench, 150)


@pytest.mark.postgresql
def test_a_dead_runs_commit_that_lasts_is_ended(
    pg_bench: Workbench, postgresql: PostgreSQLServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fencing, "PATIENCE_S", 1.0)
    with dead_run_at_the_gate(pg_bench, postgresql) as opened:
        threading.Timer(5, opened.set).start()  # for the second run's own commit
        record = pg_bench.run()
    assert record.status == "success"
    assert "ending it" in (record.live_log or "")
    assert each_once(pg_bench, 150)


@pytest.mark.postgresql
def test_a_commit_that_nobody_may_end_refuses_the_run(
    pg_bench: Workbench, postgresql: PostgreSQLServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fencing, "PATIENCE_S", 0.5)
    monkeypatch.setattr(fencing.MergeFence, "_end_holders", lambda *_: None)
    monkeypatch.setattr(fencing, "ENDING_S", 0.5)
    with dead_run_at_the_gate(pg_bench, postgresql) as opened:
        with pytest.raises(EarlierMergeActive, match="earlier run of module m may still be under way"):
            pg_bench.run()
        assert last(pg_bench).rows_read is None
        opened.set()
        monkeypatch.undo()
        assert pg_bench.run().status == "success"
    assert each_once(pg_bench, 150)


def last(bench: Workbench) -> RunRecord:
    return bench.store.runs.list(limit=1)[0]


@pytest.mark.postgresql
@pytest.mark.parametrize("strategy", ["append", "incremental", "upsert", "full"])
@pytest.mark.sample(2)
def test_a_frozen_run_that_wakes_commits_nothing_more(
    pg_bench: Workbench, postgresql: PostgreSQLServer, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    """Engine and jrunner stop in the merge, another host takes over, and they wake when it is done."""
    monkeypatch.setattr(fencing, "PATIENCE_S", 0.5)
    database = appending(pg_bench)
    pg_bench.execute(*GATE)
    if strategy != "append":
        module = pg_bench.store.definitions.module("m")
        pg_bench.replace(module.model_copy(update={"strategy": strategy, "merge_key": ("id",)}))
        if strategy == "full":
            pg_bench.replace(
                module.model_copy(update={"strategy": "full", "query": "SELECT id FROM t", "watermarks": ()})
            )
    with postgresql.connect(database) as gate:
        gate.execute("SELECT pg_advisory_lock(7)")
        with child(pg_bench, "m") as process:
            wait_until(lambda: gate.execute(AT_THE_GATE).fetchone() == (1,), "the commit")
            lease = pg_bench.store.leases.find("module", "m")
            assert lease is not None
            assert lease.child is not None
            os.kill(process.pid, signal.SIGSTOP)
            os.kill(lease.child.pid, signal.SIGSTOP)
            pg_bench.store.leases.release("module", "m", lease.token)  # as another host does after a minute
            pg_bench.fill("t", [(number,) for number in range(101, 151)])
            opener = threading.Timer(3, lambda: gate.execute("SELECT pg_advisory_unlock(7)"))
            opener.start()
            record = pg_bench.run()
            opener.join()
            os.kill(lease.child.pid, signal.SIGCONT)
            os.kill(process.pid, signal.SIGCONT)
            said, _ = process.communicate(timeout=60)
    assert record.status == "success"
    assert said.split()[-1] in ("OutcomeUnknown", "Interrupted", "MergeError")
    assert each_once(pg_bench, 150)


def test_a_merge_whose_lock_was_lost_in_the_meantime_is_rolled_back(
    main_bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All statements have run when the lock is looked at for the last time."""
    bench = main_bench
    appending(bench)
    asked = Phases._assert_lock

    def robbed(phases: Phases) -> None:
        lease = bench.store.leases.find("module", "m")
        assert lease is not None
        bench.store.leases.release("module", "m", lease.token)
        asked(phases)

    monkeypatch.setattr(Phases, "_assert_lock", robbed)
    with pytest.raises(Interrupted, match="the destination is as it was"):
        bench.run()
    assert bench.rows("SELECT id FROM t") == []
    monkeypatch.undo()
    assert bench.run().rows_inserted == 100
    assert each_once(bench, 100)


@pytest.fixture
def mariadb_bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    """From SQLite into MariaDB."""
    yield from bench_to("mariadb", tmp_path, request)


@pytest.mark.mariadb
@pytest.mark.parametrize("opens", [True, False], ids=["ends by itself", "has to be ended"])
@pytest.mark.sample(2)
def test_a_dead_runs_merge_in_mariadb(
    mariadb_bench: Workbench, mariadb: MariaDBServer, monkeypatch: pytest.MonkeyPatch, opens: bool
) -> None:
    """The server does not notice that the client is gone while a statement waits."""
    bench = mariadb_bench
    monkeypatch.setattr(fencing, "PATIENCE_S", 10.0 if opens else 1.0)
    database = appending(bench)
    mariadb.sql(
        database,
        "CREATE TRIGGER wait BEFORE INSERT ON t FOR EACH ROW SET @gate = GET_LOCK('gate', 120), @x = RELEASE_LOCK('gate')",
    )
    with mariadb.client(database) as gate:
        assert gate.stdin is not None
        assert gate.stdout is not None
        print("SELECT GET_LOCK('gate', 0);", file=gate.stdin, flush=True)
        assert gate.stdout.readline()
        with child(bench, "m") as process:
            waiting = "SELECT 1 FROM information_schema.processlist WHERE state = 'User lock'"
            wait_until(lambda: mariadb.sql(database, waiting) != [], "the merge")
            lease = bench.store.leases.find("module", "m")
            assert lease is not None
            assert lease.child is not None
            process.send_signal(signal.SIGKILL)
            lease.child.kill()
        threading.Timer(2 if opens else 6, gate.stdin.close).start()
        record = bench.run()
    assert record.status == "success"
    assert each_once(bench, 100)


@pytest.mark.mariadb
def test_the_fence_is_given_back_after_each_merge(mariadb_bench: Workbench) -> None:
    """Sessions are warm and shared: a lock that stayed would keep another session's next run out."""
    bench = mariadb_bench
    appending(bench)
    is_free = bench.engine.plan("m").fence.is_free
    assert is_free is not None
    bench.run()
    bench.execute("ALTER TABLE t ADD CONSTRAINT no CHECK (id < 101)")
    bench.fill("t", [(101,)])
    with pytest.raises(MergeError):
        bench.run()
    assert bench.rows(is_free) == [("1",)]

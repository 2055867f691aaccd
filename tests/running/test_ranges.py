"""With `resume_every` a load that broke off goes on behind the rows that are staged, and ends with the exact rows."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone

import psycopg
import pytest

from pipekit_engine.errors import MergeError, RunCancelled, RunError, SourceError, StagingError
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.models import RunRecord
from pipekit_engine.running import ranges
from pipekit_engine.running.events import RunEvent
from tests.running.test_crash import ROOT, gone
from tests.running.workbench import Workbench
from tests.servers.postgresql import PostgreSQLServer
from tests.waiting import LIMIT, wait_until

STAGED = re.compile(r"(\d[\d,]*) rows? read, .* are staged for good")


def start(bench: Workbench, rows: int = 1000, **fields: object) -> None:
    bench.source("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
    bench.fill("t", [(i, f"v{i}") for i in range(rows)])
    bench.module(**{"strategy": "full", "merge_key": "id", "resume_every": 100, **fields})


def log(record: RunRecord, bench: Workbench) -> str:
    return bench.store.runs.get(record.id).live_log


def ranges_read(record: RunRecord, bench: Workbench) -> int:
    """How many ranges of rows a run read, the last among them."""
    return len([line for line in log(record, bench).splitlines() if re.search(r"stage +[1-9][\d,]* rows? read", line)])


def at(bench: Workbench, count: int, then: Callable[[], None]) -> Callable[[RunEvent], None]:
    """Do something once so many ranges are staged."""
    seen = 0

    def on_event(event: RunEvent) -> None:
        nonlocal seen
        if event.kind == "log" and STAGED.match(event.message):
            seen += 1
            if seen == count + 1:  # the first is that of rows without a key
                then()

    return on_event


def kill(bench: Workbench) -> None:
    """Kill the run's jrunner."""
    lease = bench.store.leases.find("module", "m")
    assert lease is not None
    assert lease.child is not None
    os.kill(lease.child.pid, signal.SIGKILL)


def kill_all(bench: Workbench, where: str) -> None:
    """A run in a process that is killed there, and its jrunner with it."""
    program = [sys.executable, "-m", "tests.running.child", str(bench.folder), "m", where]
    killed = subprocess.run(program, cwd=ROOT, stdout=subprocess.DEVNULL, check=False, timeout=LIMIT)
    assert killed.returncode == -signal.SIGKILL
    lease = bench.store.leases.find("module", "m")
    assert lease is not None
    wait_until(lambda: gone(lease.child), "the end of jrunner with its engine")


def exact(bench: Workbench, rows: int = 1000) -> bool:
    return bench.rows("SELECT count(*), count(DISTINCT id), sum(id) FROM t") == [
        (str(rows), str(rows), str(rows * (rows - 1) // 2))
    ]


def broken(bench: Workbench, after: int = 4) -> None:
    """A run that breaks off after so many ranges."""
    cancel = threading.Event()
    with pytest.raises(RunCancelled):
        bench.run(on_event=at(bench, after, cancel.set), cancel=cancel)
    if bench.store.definitions.connection("dst").driver != "mariadb":
        assert bench.staging_left() != []


@pytest.mark.parametrize("strategy", ["full", "incremental", "upsert"])
@pytest.mark.parametrize("share", [1, 5, 9])
@pytest.mark.sample(4)
def test_engine_and_jrunner_killed(main_bench: Workbench, strategy: str, share: int) -> None:
    """At 10, 50 and 90 %, the next run reads the rest."""
    bench = main_bench
    start(bench, strategy=strategy)
    kill_all(bench, f"staged:{share + 1}")
    record = bench.run()
    assert f"{share * 100} rows are staged already" in log(record, bench) or (
        f"{(share + 1) * 100} rows are staged already" in log(record, bench)
    )
    assert ranges_read(record, bench) in (10 - share, 9 - share)
    assert (record.rows_read, record.rows_staged, record.rows_inserted) == (1000, 1000, 1000)
    assert exact(bench)
    assert bench.staging_left() == []


@pytest.mark.sample(2)
def test_a_cancelled_run_and_one_whose_jrunner_died(main_bench: Workbench) -> None:
    start(main_bench)
    broken(main_bench, 3)
    with SessionPool(1) as own, pytest.raises(RunError):
        main_bench.engine.run("m", sessions=own, on_event=at(main_bench, 2, lambda: kill(main_bench)))
    record = main_bench.run()
    assert ranges_read(record, main_bench) <= 5
    assert exact(main_bench)
    assert main_bench.staging_left() == []


@pytest.mark.sample(2)
def test_a_retry_goes_on(main_bench: Workbench) -> None:
    start(main_bench, retry=1)
    with SessionPool(1) as own:
        record = main_bench.engine.run("m", sessions=own, on_event=at(main_bench, 5, lambda: kill(main_bench))).record
    assert 10 <= ranges_read(record, main_bench) <= 11
    assert exact(main_bench)


@pytest.mark.sample(2)
def test_a_small_load_is_read_at_once(main_bench: Workbench) -> None:
    start(main_bench, rows=99)
    record = main_bench.run()
    assert ranges_read(record, main_bench) == 1
    assert "for good" not in log(record, main_bench)
    assert exact(main_bench, 99)
    main_bench.source("DELETE FROM t")
    assert main_bench.run().rows_read == 0
    assert main_bench.rows("SELECT count(*) FROM t") == [("0",)]


@pytest.mark.parametrize("change", ["query", "dest", "source"])
@pytest.mark.sample(3)
def test_another_query_destination_or_source_begins_anew(main_bench: Workbench, change: str) -> None:
    bench = main_bench
    start(bench)
    bench.run()
    bench.source("INSERT INTO t VALUES (1000, 'new')")
    broken(bench)
    module = bench.store.definitions.load().modules["m"]
    if change == "query":
        bench.replace(module.model_copy(update={"query": "SELECT id, v FROM t WHERE id <> 7"}))
    elif change == "dest":
        bench.execute("ALTER TABLE t ADD COLUMN w INTEGER")
        bench.replace(module.model_copy(update={"query": "SELECT id, v, 1 AS w FROM t"}))
    else:
        other = bench.folder / "other.db"
        other.write_bytes(bench.source_file.read_bytes())
        bench.connect("other", "sqlite", f"jdbc:sqlite:{other}")
        bench.replace(module.model_copy(update={"source": "other"}))
    record = bench.run()
    assert "nothing that an earlier run staged is of use" in log(record, bench)
    assert ranges_read(record, bench) == (10 if change == "query" else 11)
    assert exact(bench, 1001) or change == "query"
    assert bench.staging_left() == []


@pytest.mark.sample(2)
def test_rows_that_are_too_old_or_were_touched_are_read_again(
    main_bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = main_bench
    start(bench)
    broken(bench)

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(timezone.utc) + timedelta(days=1, minutes=1)

    with monkeypatch.context() as patched:
        patched.setattr(ranges, "datetime", Tomorrow)
        record = bench.run()
    assert "too old" in log(record, bench)
    assert ranges_read(record, bench) == 10
    bench.source("INSERT INTO t VALUES (1000, 'new')")
    broken(bench)
    if bench.store.definitions.connection("dst").driver == "sqlite":
        (file,) = bench.folder.glob("*.staging")
        file.write_bytes(b"no database")
    else:
        schema = bench.store.definitions.connection("dst").staging_schema or "pipekit_staging"
        bench.execute(f"DELETE FROM {schema}.m WHERE id = 3")
    record = bench.run()
    assert "nothing that an earlier run staged is of use" in log(record, bench)
    assert exact(bench, 1001)
    assert bench.staging_left() == []


def test_a_merge_that_fails_takes_staging_away(pg_bench: Workbench) -> None:
    """Else each later run would meet the same rows."""
    start(pg_bench)
    pg_bench.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, CHECK (id < 999))")
    with pytest.raises(MergeError):
        pg_bench.run()
    assert pg_bench.staging_left() == []
    pg_bench.source("DELETE FROM t WHERE id = 999")
    assert pg_bench.run().status == "success"


@pytest.mark.sample(2)
def test_killed_in_the_merge_nothing_is_read_again(main_bench: Workbench) -> None:
    bench = main_bench
    start(bench, strategy="upsert")
    bench.run()
    bench.source("UPDATE t SET v = 'new'")
    kill_all(bench, "merge")
    record = bench.run()
    assert ranges_read(record, bench) == 0
    assert (record.status, record.rows_read, record.rows_staged) == ("success", 1000, 1000)
    assert bench.rows("SELECT count(*) FROM t WHERE v = 'new'") == [("1000",)]
    assert bench.staging_left() == []


def test_a_server_that_crashes_keeps_what_is_staged(bench: Workbench) -> None:
    """A backend is killed, so all of them are, and the server recovers from its log; tables outside of it are emptied."""
    server = PostgreSQLServer()

    def crash() -> None:
        backends = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pipekit%'"
        for row in server.sql("postgres", backends):
            with suppress(ProcessLookupError):
                os.kill(row[0], signal.SIGKILL)

    def answers() -> bool:
        try:
            return server.sql("postgres", "SELECT 1") == [(1,)]
        except psycopg.OperationalError:
            return False

    try:
        server.sql("postgres", f'ALTER ROLE "{server.user}" SET synchronous_commit = on')
        bench.connect("warehouse", "postgresql", server.jdbc_url("postgres"), server.user, server.password)
        start(bench, dest="warehouse", dest_table="public.t")
        with pytest.raises(RunError):
            bench.run(on_event=at(bench, 6, crash))
        wait_until(answers, "the end of the recovery")
        record = bench.run()
        assert 1 <= ranges_read(record, bench) <= 4
        assert bench.rows("SELECT count(*), sum(id) FROM public.t", "warehouse") == [("1000", "499500")]
    finally:
        server.stop()


@pytest.mark.sample(2)
def test_rows_of_the_source_that_change_meanwhile(main_bench: Workbench) -> None:
    """An undisturbed load has the rows of one moment, whatever is written while its ranges are read."""
    bench = main_bench
    start(bench)
    bench.source("PRAGMA journal_mode = WAL")
    record = bench.run(on_event=at(bench, 2, lambda: bench.source("UPDATE t SET id = id + 5000 WHERE id >= 500")))
    assert ranges_read(record, bench) == 10
    assert exact(bench)
    assert bench.run().rows_read == 1000
    assert bench.rows("SELECT max(id) FROM t") == [("5999",)]


@pytest.mark.sample(3)
@pytest.mark.parametrize("values", [["a'b", "a''", "ä", "Z", " ", "~"], ["a\\b", "b\\", "c", "d", "e\x07", "f"]])
def test_texts_as_keys(main_bench: Workbench, values: list[str]) -> None:
    """A bound that is not safely written makes a range longer, nothing else."""
    bench = main_bench
    bench.source("CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER)")
    bench.fill("t", [(f"{value}{i}", i) for i in range(20) for value in values])
    bench.module(strategy="upsert", merge_key="id", resume_every=7)
    assert bench.run().rows_inserted == 120
    assert bench.rows("SELECT count(*), sum(n) FROM t") == [("120", "1140")]


@pytest.mark.sample(2)
def test_keys_without_a_value_are_told_as_ever(main_bench: Workbench) -> None:
    bench = main_bench
    bench.source("CREATE TABLE t (id INTEGER, v TEXT)")
    bench.fill("t", [(i, "x") for i in range(10)] + [(None, "no key")])
    bench.module(strategy="upsert", merge_key="id", resume_every=3)
    with pytest.raises(RunError, match="NULL"):
        bench.run()
    assert bench.staging_left() == []


@pytest.mark.sample(2)
def test_where_ranges_are_not_known_it_is_said(bench: Workbench, main_bench: Workbench) -> None:
    main_bench.source("CREATE TABLE t (id REAL, v TEXT)", "INSERT INTO t VALUES (1.5, 'x')")
    main_bench.module(strategy="full", merge_key="id", resume_every=1)
    record = main_bench.run()
    assert "resume_every is not used: column id is of type REAL" in log(record, main_bench)
    main_bench.module("n", query="SELECT 1 AS id LIMIT 1", dest_table="n", merge_key="id", resume_every=1)
    assert "the query says LIMIT, so it may give other rows" in log(main_bench.run("n"), main_bench)
    main_bench.source("CREATE TABLE i (id INTEGER)", "CREATE VIEW u AS SELECT id FROM i")
    main_bench.module("o", query="SELECT id FROM u", dest_table="o", merge_key="id", resume_every=1)
    assert "SQLite compares each cell by its own type" in log(main_bench.run("o"), main_bench)


@pytest.mark.sample(2)
def test_errors_keep_their_families(main_bench: Workbench) -> None:
    bench = main_bench
    start(bench, query="SELECT id, abs(-9223372036854775807 - (id = 250)) AS v FROM t")
    with pytest.raises(SourceError, match="overflow"):
        bench.run()
    bench.execute("CREATE TABLE u (id SMALLINT PRIMARY KEY, v VARCHAR(3))")
    bench.module("n", strategy="full", merge_key="id", resume_every=100, dest_table="u")
    if bench.store.definitions.connection("dst").driver != "sqlite":
        with pytest.raises(StagingError, match="'v'"):
            bench.run("n")

"""Runs whose source is read over several connections."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from pipekit_engine.databases.dialects.postgresql import PostgreSQL
from pipekit_engine.errors import ConfigurationError, RunCancelled, RunError
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.models import RunRecord
from pipekit_engine.planning import split
from pipekit_engine.running.events import RunEvent
from tests.running.workbench import Workbench
from tests.servers.postgresql import PostgreSQLServer

PARTITIONED = (
    "CREATE TABLE t (id INT, v TEXT) PARTITION BY HASH (id); "
    "CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (modulus 2, remainder 0); "
    "CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (modulus 2, remainder 1)"
)


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "ROWS_PER_RANGE", 50)


def start(bench: Workbench, rows: int = 1000, **fields: object) -> None:
    bench.source("CREATE TABLE t (id INTEGER PRIMARY KEY, code TEXT, v TEXT)", "CREATE INDEX t_code ON t (code)")
    bench.fill("t", [(i, f"{i * 7919 % 1009:04}'s", f"v{i}") for i in range(rows)])
    bench.module(**{"strategy": "full", "split_by": "id", "parallel": 4, **fields})


def log(record: RunRecord, bench: Workbench) -> str:
    return bench.store.runs.get(record.id).live_log


@pytest.mark.parametrize("split_by", ["id", "code", "code, id"])
@pytest.mark.parametrize(
    "fields", [{}, {"staging": "auto"}, {"strategy": "upsert", "merge_key": "id", "verify": "values"}], ids=repr
)
@pytest.mark.sample(3)
def test_the_rows_are_exact(main_bench: Workbench, split_by: str, fields: dict[str, str]) -> None:
    start(main_bench, split_by=split_by, **fields)
    for _ in range(2):
        record = main_bench.run()
        assert (record.status, record.rows_read) == ("success", 1000)
        assert main_bench.rows("SELECT count(*), count(DISTINCT code), sum(id) FROM t") == [("1000", "1000", "499500")]
        assert "22 ranges over 4 connections, at one moment" in log(record, main_bench)


def test_parallel_alone_takes_the_key(main_bench: Workbench) -> None:
    start(main_bench, split_by=(), strategy="upsert", merge_key="code")
    assert "ranges over 4 connections, at one moment" in log(main_bench.run(), main_bench)
    main_bench.module("n", dest_table="n", parallel=4)
    record = main_bench.run("n")
    assert "parallel is not used: there is no key" in log(record, main_bench)
    assert record.rows_read == 1000


def test_a_small_source_is_read_over_one_connection(bench: Workbench) -> None:
    start(bench, rows=49)
    assert "over one connection, as one range holds all of them" in log(bench.run(), bench)


def test_a_failure_of_one_reader_leaves_the_destination(main_bench: Workbench) -> None:
    start(main_bench)
    main_bench.run()
    module = main_bench.store.definitions.load().modules["m"]
    query = "SELECT id, code, abs(-9223372036854775807 - (id = 990)) AS v FROM t"
    main_bench.replace(module.model_copy(update={"query": query}))
    with pytest.raises(RunError, match="overflow"):
        main_bench.run()
    assert main_bench.rows("SELECT count(*) FROM t WHERE v LIKE 'v%'") == [("1000",)]
    assert main_bench.staging_left() == []


def test_columns_of_two_types_are_refused(bench: Workbench) -> None:
    """In SQLite a literal is compared by the column's affinity, of which a UNION has several."""
    start(bench)
    bench.source(
        "CREATE TABLE u (id TEXT, code TEXT, v TEXT)", "CREATE VIEW w AS SELECT * FROM t UNION ALL SELECT * FROM u"
    )
    for name, query in (
        ("a", "SELECT * FROM w"),
        ("b", "SELECT id + 0 AS id FROM t"),
        ("c", "SELECT id FROM t UNION ALL SELECT id FROM u"),
    ):
        bench.module(name, query=query, split_by="id", parallel=2)
        with pytest.raises(ConfigurationError, match="SQLite compares each cell by its own type"):
            bench.run(name)
    bench.module(
        "d",
        query="WITH x AS (SELECT id AS i FROM t) SELECT i, u.v FROM x LEFT JOIN u ON u.id = i",
        split_by="i",
        parallel=2,
    )
    assert bench.run("d").rows_read == 1000


def test_ranges_of_rowid(main_bench: Workbench) -> None:
    start(main_bench, split_by="rowid", query="SELECT t.code, t.v, id FROM t WHERE id >= 0 -- all")
    main_bench.source("DELETE FROM t WHERE id % 3 = 0")
    record = main_bench.run()
    assert record.rows_read == 666
    assert "14 ranges over 4 connections, at one moment" in log(record, main_bench)
    assert main_bench.rows("SELECT count(*), count(DISTINCT id) FROM t") == [("666", "666")]


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ("CREATE VIEW u AS SELECT 1 AS id", "it is no table of the main file"),
        ("CREATE TABLE u (id INTEGER PRIMARY KEY) WITHOUT ROWID", "the table has none of its own"),
        ("CREATE TABLE u (id INTEGER, rowid TEXT)", "it is a column of the table, which the query does not give"),
    ],
)
def test_tables_without_rowids_are_refused(bench: Workbench, made: str, why: str) -> None:
    start(bench, split_by="rowid", query="SELECT id FROM u")
    bench.source(made)
    with pytest.raises(ConfigurationError, match=why):
        bench.run()


@pytest.fixture
def from_pg(bench: Workbench, postgresql: PostgreSQLServer) -> Iterator[tuple[Workbench, Callable[[str], object]]]:
    """A workbench with a source of PostgreSQL, and what runs SQL in it."""
    with postgresql.fresh_database() as database:
        bench.connect("pg", "postgresql", postgresql.jdbc_url(database), postgresql.user, postgresql.password)
        yield bench, lambda sql: postgresql.sql(database, sql)


@pytest.mark.postgresql
@pytest.mark.parametrize("table", ["CREATE TABLE t (id INT, v TEXT)", PARTITIONED])
def test_ranges_of_ctid(
    from_pg: tuple[Workbench, Callable[[str], object]], monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """While each row that is updated moves to another place."""
    bench, sql = from_pg
    monkeypatch.setattr(PostgreSQL, "blocks_per_range", 3)
    sql(table)
    sql("INSERT INTO t SELECT g, repeat('x', 300) FROM generate_series(0, 2999) g")
    sql("DELETE FROM t WHERE id % 10 = 3")
    bench.module(source="pg", query="SELECT id FROM t WHERE id < 2990", strategy="full", split_by="ctid", parallel=4)
    stopped = threading.Event()

    def move() -> None:
        while not stopped.is_set():
            sql("UPDATE t SET v = v || 'y' WHERE id % 7 = 0")

    moving = threading.Thread(target=move)
    moving.start()
    try:
        for _ in range(3):
            record = bench.run()
            assert record.rows_read == 2691
            assert bench.rows("SELECT count(*), count(DISTINCT id) FROM t") == [("2691", "2691")]
            ranges = re.search(r"(\d+) ranges over 4 connections, at one moment", log(record, bench))
            assert ranges is not None
            assert int(ranges[1]) > 10
    finally:
        stopped.set()
        moving.join()


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("made", "why"),
    [
        ("CREATE VIEW u AS SELECT 1 AS id", "it is no table of PostgreSQL's own"),
        ("CREATE TABLE u (id INT); CREATE TABLE w () INHERITS (u)", "other tables inherit from the table"),
    ],
)
def test_what_has_no_ctid_is_refused(from_pg: tuple[Workbench, Callable[[str], object]], made: str, why: str) -> None:
    bench, sql = from_pg
    sql(made)
    bench.module(source="pg", query="SELECT id FROM u", split_by="ctid", parallel=4)
    with pytest.raises(ConfigurationError, match=why):
        bench.run()


def test_a_cancelled_run_leaves_the_destination(main_bench: Workbench) -> None:
    bench = main_bench
    start(bench)
    bench.run()
    module = bench.store.definitions.load().modules["m"]
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000 + t.id)"
    query = f"SELECT id, code, ({numbers} SELECT max(i) FROM n) AS v FROM t"
    bench.replace(module.model_copy(update={"query": query}))
    cancel = threading.Event()

    def on_event(event: RunEvent) -> None:
        if event.phase == "stage":
            threading.Timer(0.5, cancel.set).start()

    with pytest.raises(RunCancelled):
        bench.run(on_event=on_event, cancel=cancel)
    assert bench.rows("SELECT count(*) FROM t WHERE v LIKE 'v%'") == [("1000",)]
    assert bench.staging_left() == []


def test_a_reader_whose_jrunner_is_killed_tries_again(bench: Workbench) -> None:
    start(bench, retry=1)
    killed = False

    def on_event(event: RunEvent) -> None:
        nonlocal killed
        lease = bench.store.leases.find("module", "m")
        if event.phase == "stage" and not killed and lease is not None and lease.child is not None:
            killed = True
            os.kill(lease.child.pid, signal.SIGKILL)

    with SessionPool(1) as own:
        record = bench.engine.run("m", sessions=own, on_event=on_event).record
    assert killed
    assert record.rows_read == 1000
    assert bench.rows("SELECT count(*), count(DISTINCT id) FROM t") == [("1000", "1000")]

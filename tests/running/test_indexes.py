"""Destinations of one's own without an index: told with the DDL, and mended by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipekit_engine.databases.dialects import get_dialect
from pipekit_engine.models import Column, Module, Partition, Watermark
from pipekit_engine.planning.indexes import compared_columns
from tests.running.conftest import bench_to
from tests.running.workbench import Workbench


@pytest.fixture
def mariadb_bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    yield from bench_to("mariadb", tmp_path, request)


def warnings(bench: Workbench) -> tuple[str, ...]:
    """Of a dry run."""
    plan = bench.engine.run("m", dry_run=True, sessions=bench.pool).plan
    return plan.warnings if plan else ()


@pytest.mark.parametrize("strategy", ["upsert", "incremental"])
@pytest.mark.sample(2)
def test_a_table_without_an_index_is_told_and_mended(any_bench: Workbench, strategy: str) -> None:
    bench = any_bench
    kind = bench.store.definitions.connection("dst").driver
    bench.source("CREATE TABLE t (k VARCHAR(20), nr INTEGER, seen INTEGER)", "INSERT INTO t VALUES ('a', 1, 5)")
    text = (
        "VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin" if kind in ("mariadb", "mysql") else "VARCHAR(20)"
    )
    bench.execute(f"CREATE TABLE own (k {text}, nr INTEGER, seen INTEGER)")
    bench.module(
        query="SELECT * FROM t WHERE seen >= {since}",
        dest_table="own",
        strategy=strategy,
        merge_key="k, nr",
        watermarks={"since": ("dst", "SELECT max(seen) FROM own", "0")},
    )
    result = bench.engine.run("m", sessions=bench.pool)
    told = [text for text in result.plan.warnings if "has no index" in text] if result.plan else []
    assert [text.partition("(pipekit")[2] for text in told] == [" tables fix m does it)"] * 2
    log = result.record.live_log or ""
    assert log.count("has no index on") == 2
    missing = bench.engine.missing_indexes("m", sessions=bench.pool)
    assert [(tuple(name.lower() for name in item.columns), item.purpose) for item in missing] == [
        (("k", "nr"), "key"),
        (("seen",), "mark"),
    ]
    unique = "ADD PRIMARY KEY" if kind == "duckdb" else "UNIQUE"
    assert [unique in (item.ddl or "") for item in missing] == [strategy == "upsert", False]
    bench.engine.execute("dst", [item.ddl for item in missing if item.ddl], sessions=bench.pool)
    assert bench.engine.missing_indexes("m", sessions=bench.pool) == []
    assert not [text for text in warnings(bench) if "has no index" in text]
    bench.run()
    assert len(bench.rows("SELECT * FROM own")) == 1


def test_an_index_that_serves_is_enough(any_bench: Workbench) -> None:
    """A primary key whose first column is in the key; `full` and `append` look nothing up."""
    bench = any_bench
    bench.source("CREATE TABLE t (k INTEGER, n INTEGER)", "INSERT INTO t VALUES (1, 1)")
    bench.execute(
        "CREATE TABLE own (k INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (n, k))",
        "CREATE TABLE bare (k INTEGER, n INTEGER)",
    )
    bench.module("keyed", dest_table="own", strategy="upsert", merge_key="k, n")
    bench.module("other", dest_table="own", strategy="incremental", merge_key="k")
    for strategy in ("full", "append"):
        bench.module(strategy, dest_table="bare", strategy=strategy)
    found = {
        name: len(bench.engine.missing_indexes(name, sessions=bench.pool))
        for name in ("keyed", "other", "full", "append")
    }
    assert found == {"keyed": 0, "other": 1, "full": 0, "append": 0}


def test_a_created_table_lacks_none(any_bench: Workbench) -> None:
    bench = any_bench
    bench.source("CREATE TABLE t (k TEXT, seen INTEGER)", "INSERT INTO t VALUES ('a', 5)")
    kind = bench.store.definitions.connection("dst").driver
    bench.module(
        query="SELECT * FROM t WHERE seen >= {since}",
        strategy="upsert",
        merge_key="k",
        watermarks={"since": ("dst", f"SELECT max(seen) FROM {'`t`' if kind in ('mariadb', 'mysql') else 't'}", "0")},
    )
    bench.run()
    assert bench.engine.missing_indexes("m", sessions=bench.pool) == []


def test_the_column_of_partitions_has_an_index(any_bench: Workbench) -> None:
    """Under its name in the destination; a table of one's own is told."""
    bench = any_bench
    bench.source("CREATE TABLE t (k TEXT, seen INTEGER)", "INSERT INTO t VALUES ('a', 5)")
    bench.execute("CREATE TABLE own (k VARCHAR(20), nr INTEGER)")
    for table in ("made", "own"):
        bench.module(
            table,
            query="SELECT * FROM t WHERE seen >= {partition_start} AND seen < {partition_end}",
            dest_table=table,
            partition=Partition(by="number", start="0", end="10", step=10, column="seen"),
            columns=(Column(source_name="k", dest_name="k"), Column(source_name="seen", dest_name="nr")),
        )
        bench.run(table, partition="0")
    assert bench.engine.missing_indexes("made", sessions=bench.pool) == []
    (missing,) = bench.engine.missing_indexes("own", sessions=bench.pool)
    assert (missing.purpose, [name.lower() for name in missing.columns]) == ("part", ["nr"])
    assert missing.ddl is not None
    bench.engine.execute("dst", [missing.ddl], sessions=bench.pool)
    assert bench.engine.missing_indexes("own", sessions=bench.pool) == []


def test_a_type_that_takes_no_index(mariadb_bench: Workbench) -> None:
    bench = mariadb_bench
    bench.source("CREATE TABLE t (k TEXT, n INTEGER)", "INSERT INTO t VALUES ('a', 1)")
    bench.execute("CREATE TABLE own (k longtext COLLATE utf8mb4_nopad_bin, n int) CHARACTER SET utf8mb4")
    bench.module(dest_table="own", strategy="upsert", merge_key="k")
    [missing] = bench.engine.missing_indexes("m", sessions=bench.pool)
    assert missing.ddl is None
    assert warnings(bench) == ("`own` has no index on k, which each merge looks up: their types take none",)
    bench.run()


@pytest.mark.parametrize(
    ("condition", "columns"),
    [
        ("at >= '{since}'", ["at"]),
        ('o."At" > {since} AND o.n < {until}', ["At", "n"]),
        ("at >= TIMESTAMP '{since}'", ["at"]),
        ("at >= CAST('{since}' AS timestamp)", ["at"]),
        ("at BETWEEN '{since}' AND '{until}'", ["at"]),
        ("date(at) >= '{since}'", []),
        ("at + 1 >= {since}", []),
        ("at <> {since}", []),
        ("'{since}' <= at", []),
    ],
)
def test_columns_that_a_query_compares(condition: str, columns: list[str]) -> None:
    marks = tuple(Watermark(name=name, connection="c", resolver_sql="SELECT 1") for name in ("since", "until"))
    module = Module(
        name="m", source="a", dest="b", query=f"SELECT * FROM o WHERE {condition}", dest_table="t", strategy="append",
        watermarks=marks,
    )  # fmt: skip
    assert list(compared_columns(module, get_dialect("postgresql"))) == columns

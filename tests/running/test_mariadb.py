"""Where MariaDB is unlike the others: tables without transactions, zeros that are numbered anew, backslashes, # comments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipekit_engine.errors import DestinationError
from pipekit_engine.models import Hook
from tests.running.conftest import bench_to
from tests.running.workbench import Workbench


@pytest.fixture
def mariadb_bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    """From SQLite into MariaDB."""
    yield from bench_to("mariadb", tmp_path, request)


@pytest.mark.parametrize("strategy", ["full", "append"])
@pytest.mark.parametrize("engine", ["MyISAM", "Aria"])
def test_a_destination_that_cannot_roll_back_is_refused(mariadb_bench: Workbench, engine: str, strategy: str) -> None:
    """A merge that fails in such a table leaves it half done, whatever the transaction says."""
    bench = mariadb_bench
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.fill("t", [(1,), (2,), (2,)])
    bench.execute(f"CREATE TABLE t (id INTEGER PRIMARY KEY) ENGINE={engine}", "INSERT INTO t VALUES (9)")
    bench.module(strategy=strategy)
    with pytest.raises(DestinationError, match=f"{engine}, which has no transactions.*ENGINE=InnoDB"):
        bench.run()
    assert bench.rows("SELECT id FROM t") == [("9",)]
    bench.execute("ALTER TABLE t ENGINE=InnoDB")
    bench.fill("t", [(3,)])
    bench.module(strategy=strategy, query="SELECT DISTINCT id FROM t")
    assert bench.run().rows_inserted == 3


@pytest.mark.parametrize("strategy", ["incremental", "upsert"])
def test_a_zero_stays_a_zero_in_a_numbered_column(mariadb_bench: Workbench, strategy: str) -> None:
    """MariaDB gives a 0 the next number, unless told otherwise: the row would come again with each run."""
    bench = mariadb_bench
    bench.source("CREATE TABLE t (id INTEGER, v INTEGER)")
    bench.fill("t", [(0, 1), (5, 2)])
    bench.execute("CREATE TABLE t (id INTEGER AUTO_INCREMENT PRIMARY KEY, v INTEGER)")
    bench.module(strategy=strategy, merge_key="id")
    for _ in range(2):
        bench.run()
        assert bench.rows("SELECT id, v FROM t") == [("0", "1"), ("5", "2")]


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_backslash_in_a_watermark_is_a_backslash(mariadb_bench: Workbench, quote: str) -> None:
    """Read as an escape it would be another value: rows would come twice, or end the literal."""
    bench = mariadb_bench
    bench.source("CREATE TABLE t (k TEXT)")
    paths = ["C:\\temp\\", "C:\\temp\\a", "C:\\temp\\a'b\"c\\", "C:\\temp\\b"]
    bench.fill("t", [(path,) for path in paths[:1]])
    bench.module("load", dest_table="s", strategy="append")
    bench.module(
        source="dst",
        query=f"SELECT k FROM s WHERE k > {quote}{{last}}{quote}",
        strategy="append",
        watermarks={"last": ("dst", "SELECT max(k) FROM t", "")},
    )
    for count, path in enumerate(paths, start=1):
        bench.source("DELETE FROM t")
        bench.fill("t", [(path,)])
        bench.run("load")
        bench.run()
        bench.run()
        assert bench.rows("SELECT k FROM t") == [(path,) for path in paths[:count]]


def test_hooks_and_queries_in_its_own_spelling(mariadb_bench: Workbench) -> None:
    bench = mariadb_bench
    bench.source("CREATE TABLE there (x)")
    bench.execute("CREATE TABLE s (k VARCHAR(20))", "INSERT INTO s VALUES ('it''s; -- not')", "CREATE TABLE h (k TEXT)")
    bench.module(
        source="dst",
        query="SELECT k FROM s # it's {nothing}\n WHERE k = 'it\\'s; -- not' AND k <> '{w}' # it's the end",
        watermarks={"w": ("dst", "SELECT 'a'", None)},
        hooks=[
            Hook(
                run_on="success",
                sql="INSERT INTO h VALUES ('it\\'s; one'), (\";\") # it's; nothing\n; INSERT INTO h VALUES (3--1)",
            ),
            Hook(run_on="success", connection="src", sql="CREATE TABLE a (x); CREATE TABLE b (y) -- it's; nothing"),
        ],
    )
    bench.run()
    assert bench.rows("SELECT k FROM t") == [("it's; -- not",)]
    assert bench.rows("SELECT k FROM h") == [("4",), (";",), ("it's; one",)]
    assert bench.rows("SELECT count(*) FROM sqlite_master WHERE name IN ('a', 'b')", "src") == [("2",)]

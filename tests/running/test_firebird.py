"""A database that pipekit knows by nothing but its driver: kind `generic`, into a Firebird server by Jaybird."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipekit_engine.demo.local_server import ServerUnavailable
from pipekit_engine.errors import MergeError
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.models import Driver
from tests.conftest import unavailable
from tests.databases.jars.test_drivers import DRIVERS
from tests.jars import pinned_jar
from tests.running.workbench import Workbench
from tests.servers.firebird import FirebirdServer

ROWS = [(1, "a", 1.5), (2, "it's ж😀", None), (3, None, -0.25)]
TABLE = "CREATE TABLE S (ID INTEGER, NAME VARCHAR(40), AMOUNT DOUBLE PRECISION)"


@pytest.fixture(scope="module")
def firebird() -> Iterator[FirebirdServer]:
    try:
        server = FirebirdServer()
    except ServerUnavailable as error:
        unavailable(str(error))
    yield server
    server.stop()


@pytest.fixture
def bench(tmp_path: Path, pool: SessionPool, firebird: FirebirdServer) -> Iterator[Workbench]:
    """From SQLite into an empty database of Firebird."""
    driver = next(item.values[1] for item in DRIVERS if item.values[1].artifact == "jaybird")  # type: ignore[union-attr]
    bench = Workbench(tmp_path, pool)
    bench.save(Driver(name="firebird", kind="generic", jar=pinned_jar(driver)))  # type: ignore[arg-type]
    with firebird.fresh_database() as database:
        bench.connect("dst", "firebird", firebird.jdbc_url(database), firebird.user, firebird.password)
        bench.source(TABLE)
        bench.fill("S", ROWS)
        yield bench
    bench.close()


def stored(rows: list[tuple[int, str | None, float | None]]) -> list[tuple[str | None, ...]]:
    return [tuple(None if value is None else str(value) for value in row) for row in rows]


def test_a_missing_table_is_made_and_filled(bench: Workbench) -> None:
    # A text without a length: of such a type there is no spelling that all know.
    columns = ({"source_name": "ID"}, {"source_name": "NAME", "dest_type": "VARCHAR(40)"}, {"source_name": "AMOUNT"})
    bench.module(query="SELECT * FROM S", dest_table="D", strategy="full", columns=columns)
    for _ in range(2):
        assert bench.run().status == "success"
        assert bench.rows('SELECT ID, NAME, AMOUNT FROM "D"') == stored(ROWS)


@pytest.mark.parametrize("strategy", ["full", "append", "incremental", "upsert"])
def test_every_strategy_twice(bench: Workbench, strategy: str) -> None:
    """Into a table of one's own, whose staging table is made in its types."""
    bench.execute(
        "CREATE TABLE D (ID INTEGER NOT NULL, NAME VARCHAR(40), AMOUNT NUMERIC(12, 2), MADE DATE DEFAULT CURRENT_DATE)"
    )
    key = {"merge_key": ("ID",)} if strategy in ("incremental", "upsert") else {}
    bench.module(query="SELECT * FROM S", dest_table="D", strategy=strategy, on_schema_change="ignore", **key)
    first = bench.run()
    assert (first.status, first.rows_inserted) == ("success", 3)
    bench.source(
        "UPDATE S SET NAME = 'b' WHERE ID = 1", "DELETE FROM S WHERE ID = 3", "INSERT INTO S VALUES (4, 'new', 0)"
    )
    assert bench.run().status == "success"
    now = [("1", "b"), ("2", "it's ж😀"), ("4", "new")]
    then = [("1", "a"), ("2", "it's ж😀"), ("3", None)]
    expected = {"full": now, "append": then + now}.get(strategy, [*now, ("3", None)])
    assert bench.rows("SELECT ID, NAME FROM D") == sorted(expected, key=lambda row: (row[0], row[1] or ""))
    assert bench.rows("SELECT RDB$RELATION_NAME FROM RDB$RELATIONS WHERE RDB$RELATION_NAME CONTAINING 'staging'") == []


def test_a_failing_merge_leaves_the_table_as_it_was(bench: Workbench) -> None:
    bench.execute("CREATE TABLE D (ID INTEGER NOT NULL, NAME VARCHAR(40), AMOUNT NUMERIC(12, 2), CHECK (ID < 3))")
    bench.execute("INSERT INTO D VALUES (0, 'old', 1)")
    bench.module(query="SELECT * FROM S", dest_table="D", strategy="full")
    with pytest.raises(MergeError, match="rolled back"):
        bench.run()
    assert bench.rows("SELECT ID, NAME FROM D") == [("0", "old")]


def test_firebird_as_a_source(bench: Workbench) -> None:
    bench.execute(
        "CREATE TABLE D (ID INTEGER, NAME VARCHAR(40), AMOUNT NUMERIC(12, 2), MADE TIMESTAMP, NOTE BLOB SUB_TYPE TEXT)"
    )
    bench.execute("INSERT INTO D VALUES (1, 'ж', 1.25, '2024-02-29 12:34:56.1234', 'long')")
    bench.connect("file", "sqlite", f"jdbc:sqlite:{bench.folder}/d.db")
    bench.module("back", source="dst", dest="file", query="SELECT * FROM D", dest_table="b", strategy="full")
    assert bench.run("back").status == "success"
    assert bench.rows("SELECT * FROM b", "file") == [("1", "ж", "1.25", "2024-02-29 12:34:56.1234", "long")]


@pytest.mark.parametrize("strategy", ["full", "upsert"])
def test_long_texts_go_there_and_back(bench: Workbench, strategy: str) -> None:
    """A BLOB SUB_TYPE TEXT is a CLOB to the driver: written, compared by a merge, read."""
    texts = ["ж😀" * 50_000, "", None, "it's\nlong\t", "\u00e9" * 8192]
    bench.source("CREATE TABLE L (ID INTEGER, NOTE TEXT, RAW BLOB)")
    bench.fill("L", [(at, text, None if text is None else text.encode()) for at, text in enumerate(texts)])
    bench.execute("CREATE TABLE D (ID INTEGER NOT NULL, NOTE BLOB SUB_TYPE TEXT, RAW BLOB SUB_TYPE BINARY)")
    key = {"merge_key": ("ID",)} if strategy == "upsert" else {}
    bench.module(query="SELECT * FROM L", dest_table="D", strategy=strategy, **key)
    bench.connect("file", "sqlite", f"jdbc:sqlite:{bench.folder}/d.db")
    bench.module("back", source="dst", dest="file", query="SELECT * FROM D", dest_table="b", strategy="full")
    bench.run()
    for _ in range(2):
        bench.source("UPDATE L SET NOTE = NOTE || 'x', RAW = CAST(RAW || 'x' AS BLOB)")
        assert bench.run().status == "success"
        bench.run("back")
        with (
            closing(sqlite3.connect(bench.folder / "d.db")) as there,
            closing(sqlite3.connect(bench.source_file)) as here,
        ):
            found = there.execute("SELECT * FROM b ORDER BY ID").fetchall()
            assert found == here.execute("SELECT ID, NOTE, RAW FROM L ORDER BY ID").fetchall()

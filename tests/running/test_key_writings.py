"""Keys that are equal at the source although they are written differently stay one row, or the run is refused.

docs/guarantees.md has a table of these rules; each row of it is a case here or in tests/truth_sets/test_keys.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipekit_engine.errors import DestinationError, StagingError
from tests.running.conftest import bench_to
from tests.running.workbench import Workbench

#: Kind of the destination, and a key of text in a table of one's own.
OWN_TEXTS = {
    "postgresql": "text",
    "mariadb": "varchar(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin",
    "sqlite": "TEXT",
    "h2": "VARCHAR(60)",
    "derby": "VARCHAR(60) NOT NULL",
    "hsqldb": "VARCHAR(60)",
}


@pytest.fixture(scope="module")
def numbers(request: pytest.FixtureRequest) -> Iterator[tuple[str, str, str]]:
    """A PostgreSQL database whose view `k` shows another writing of the same keys each time that the table `run` moves on."""
    server = request.getfixturevalue("postgresql")
    with server.fresh_database() as database:
        server.sql(database, "CREATE TABLE run (n integer)")
        server.sql(database, "CREATE TYPE one AS (k numeric)")
        server.sql(database, "CREATE TABLE n (run integer, k numeric, m numeric(6,2), f float8, i interval)")
        server.sql(database, "INSERT INTO n VALUES (1, 1.0, 1, '-0', '1 mon'), (2, 1.00, 1, '0', '30 days')")
        server.sql(database, "INSERT INTO n VALUES (1, 100, 2, 1, '1 day'), (2, 1e2, 2, 1, '24:00')")
        yield server.jdbc_url(database), server.user, server.password


def connect(bench: Workbench, numbers: tuple[str, str, str]) -> None:
    bench.connect("pg", "postgresql", *numbers)
    bench.source("CREATE TABLE runs (n INTEGER)")


def module(bench: Workbench, key: str, table: str, strategy: str = "upsert") -> None:
    bench.module(
        f"{strategy}_{table}",
        source="pg",
        query=f"SELECT {key} AS k, run FROM n WHERE run = {{run}}",
        dest_table=table,
        strategy=strategy,
        merge_key="k",
        watermarks={"run": ("src", "SELECT max(n) FROM runs", None)},
    )


@pytest.mark.parametrize("kind", OWN_TEXTS)
@pytest.mark.sample(3)
def test_numbers_in_a_text_are_written_in_one_way(
    kind: str, numbers: tuple[str, str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for bench in bench_to(kind, tmp_path, request):
        connect(bench, numbers)
        for strategy in ("upsert", "incremental"):
            for key in ("k", "f"):
                bench.execute(f"CREATE TABLE own_{strategy}_{key} (k {OWN_TEXTS[kind]} PRIMARY KEY, run INTEGER)")
                module(bench, key, f"own_{strategy}_{key}", strategy)
        for run in (1, 2):
            bench.fill("runs", [(run,)])
            for strategy in ("upsert", "incremental"):
                for key, usual in {"k": ["1", "100"], "f": ["0", "1"]}.items():
                    bench.run(f"{strategy}_own_{strategy}_{key}")
                    rows = bench.rows(f"SELECT k, run FROM own_{strategy}_{key}")
                    assert rows == [(text, str(run)) for text in usual]
        # A table of an earlier version has them as they came.
        bench.execute("UPDATE own_upsert_k SET k = '1.00' WHERE k = '1'", "UPDATE own_upsert_k SET run = 9")
        with pytest.raises(DestinationError, match=r"(?si)1\.00 for 1: \(1\)\..*UPDATE .*own_upsert_k") as refused:
            bench.run("upsert_own_upsert_k")
        assert [row[1] for row in bench.rows("SELECT k, run FROM own_upsert_k")] == ["9", "9"]
        bench.execute(str(refused.value).rpartition("Write them as pipekit does: ")[2])
        bench.run("upsert_own_upsert_k")
        assert bench.rows("SELECT k, run FROM own_upsert_k") == [("1", "2"), ("100", "2")]


def test_numbers_in_a_created_text(bench: Workbench, numbers: tuple[str, str, str]) -> None:
    """SQLite keeps long decimals as texts. A fixed number of digits is always written alike, and stays as it is."""
    connect(bench, numbers)
    module(bench, "k", "new")
    module(bench, "CAST(m AS numeric(20,2))", "fixed")
    for run in (1, 2):
        bench.fill("runs", [(run,)])
        bench.run("upsert_new")
        bench.run("upsert_fixed")
    assert bench.rows("SELECT k, run FROM new") == [("1", "2"), ("100", "2")]
    assert bench.rows("SELECT k, run FROM fixed") == [("1.00", "2"), ("2.00", "2")]


def test_keys_of_which_several_texts_are_equal(any_bench: Workbench, numbers: tuple[str, str, str]) -> None:
    """Intervals are texts everywhere but in PostgreSQL."""
    bench = any_bench
    connect(bench, numbers)
    module(bench, "i", "new")
    kind = bench.store.definitions.connection("dst").driver
    for run in (1, 2):
        bench.fill("runs", [(run,)])
        if kind != "postgresql":
            with pytest.raises(
                DestinationError, match=r"(?i)Key column k .*interval.*several texts are equal.*Convert"
            ):
                bench.run("upsert_new")
        else:
            bench.run("upsert_new")
            assert [row[1] for row in bench.rows("SELECT k, run FROM new")] == [str(run)] * 2


def test_numbers_within_other_values(bench: Workbench, numbers: tuple[str, str, str]) -> None:
    """1.0 and 1.00 are equal as well in arrays, ranges, JSON and rows, each of them a text in SQLite."""
    connect(bench, numbers)
    for table, key in {"a": "ARRAY[k]", "r": "numrange(0, k)", "j": "to_jsonb(k)", "w": "CAST(ROW(k) AS one)"}.items():
        module(bench, key, table)
        bench.fill("runs", [(1,)])
        with pytest.raises(DestinationError, match=r"Key column k .*several texts are equal"):
            bench.run(f"upsert_{table}")
    module(bench, "ARRAY[CAST(m AS integer)]", "whole")
    assert bench.run("upsert_whole")


@pytest.mark.parametrize("kind", ["h2", "hsqldb"])
def test_instants_with_offsets(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """In types with a zone they are one key; SQLite's, and a text of one's own, would hold two."""
    for bench in bench_to(kind, tmp_path, request):
        zone = "+0:00" if kind == "hsqldb" else "+00:00"
        other = "+2:00" if kind == "hsqldb" else "+02:00"
        stamp = "TIMESTAMP" if kind == "hsqldb" else "TIMESTAMP WITH TIME ZONE"
        bench.execute(
            "CREATE TABLE s (run INTEGER, k TIMESTAMP WITH TIME ZONE)",
            f"INSERT INTO s VALUES (1, {stamp} '2024-01-01 00:00:00{zone}')",
            f"INSERT INTO s VALUES (2, {stamp} '2024-01-01 02:00:00{other}')",
            "CREATE TABLE own (k VARCHAR(60) PRIMARY KEY, run INTEGER)",
        )
        bench.source("CREATE TABLE runs (n INTEGER)")
        for table, dest in (("same", "dst"), ("other", "src"), ("own", "dst")):
            bench.module(
                table,
                source="dst",
                dest=dest,
                query="SELECT k, run FROM s WHERE run = {run}",
                dest_table=table,
                strategy="upsert",
                merge_key="k",
                watermarks={"run": ("src", "SELECT max(n) FROM runs", None)},
            )
        for run in (1, 2):
            bench.fill("runs", [(run,)])
            bench.run("same")
            assert [row[0] for row in bench.rows("SELECT run FROM same")] == [str(run)]
            for table in ("own", "other"):
                with pytest.raises(DestinationError, match=r"(?i)Key column k .*several texts are equal"):
                    bench.run(table)


@pytest.mark.parametrize("strategy", ["upsert", "incremental"])
@pytest.mark.parametrize("type_", ["", "BLOB"])
def test_numbers_and_texts_of_one_column_stay_apart(bench: Workbench, type_: str, strategy: str) -> None:
    """1, '1' and x'31' are three keys of SQLite where a column has no affinity; so they are in a column made for them."""
    bench.source(f"CREATE TABLE t (k {type_}, n INTEGER)", "CREATE TABLE texts (k TEXT, n INTEGER)")
    bench.execute("CREATE TABLE own (k TEXT PRIMARY KEY, n INTEGER)")
    fields = {"query": "SELECT k, n FROM t", "strategy": strategy, "merge_key": "k"}
    bench.module("new", dest_table="new", **fields)
    bench.module("own", dest_table="own", **fields)
    for rows in ([(1, 1), ("1", 2)], [(1, 10), ("1", 20), (b"1", 30), (1.5, 40), ("1.5", 50)]):
        bench.source("DELETE FROM t")
        bench.fill("t", rows)
        bench.run("new")
        assert bench.rows("SELECT n, typeof(k) FROM new") == bench.rows("SELECT n, typeof(k) FROM t", "src")
        with pytest.raises(
            StagingError, match=r"the number 1 stands in a key column without a type.*CAST .*column 'k'"
        ):
            bench.run("own")
    assert bench.rows("SELECT * FROM own") == []


def test_numbers_and_texts_of_one_column_elsewhere(any_bench: Workbench) -> None:
    """Other databases have one type a column: the number is refused, also when no text is there yet, or the text."""
    bench = any_bench
    if bench.store.definitions.connection("dst").driver == "sqlite":
        return
    bench.source("CREATE TABLE t (k, n INTEGER)")
    bench.execute("CREATE TABLE own (k VARCHAR(20) NOT NULL, n INTEGER, PRIMARY KEY (k))")
    for table in ("new", "own"):
        bench.module(table, dest_table=table, strategy="upsert", merge_key="k")
    bench.fill("t", [(1, 1)])
    with pytest.raises(StagingError, match=r"the number 1 stands in a key column without a type"):
        bench.run("own")
    bench.run("new")
    bench.source("DELETE FROM t")
    bench.fill("t", [("1", 2)])
    bench.run("own")
    with pytest.raises(StagingError, match=r"the text '1' stands in a key column without a type.*CAST"):
        bench.run("new")
    assert [row[1] for row in bench.rows("SELECT k, n FROM new")] == ["1"]


#: Type of a key in a table of one's own, texts that are its value, and the one that is its usual text.
OTHER_TYPES = {
    "integer": (["1.0"], "1"),
    "decimal(10,2)": (["1.0", "1.50"], "1.5"),
    "date": (["2024-01-02 00:00:00"], "2024-01-02"),
    "timestamp": (["2024-01-02T03:04:05", "2024-01-02 03:04:05.000"], "2024-01-02 03:04:05"),
    "uuid": (["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"], "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "timestamp with time zone": (["2024-01-02 03:04:05Z", "2024-01-02 05:04:05+02:00"], "2024-01-02 03:04:05+00:00"),
}


@pytest.mark.parametrize("kind", ["postgresql", "h2"])
def test_texts_that_become_another_type(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Several texts are one value there: the usual one comes, is found again, and the others are refused."""
    for bench in bench_to(kind, tmp_path, request):
        bench.source("CREATE TABLE t (k TEXT, n INTEGER)")
        for number, (type_, (others, usual)) in enumerate(OTHER_TYPES.items()):
            table = f"own{number}"
            bench.execute(f"CREATE TABLE {table} (k {type_} PRIMARY KEY, n integer)")
            bench.module(table, dest_table=table, strategy="upsert", merge_key="k")
            for n in (1, 2):
                bench.source("DELETE FROM t")
                bench.fill("t", [(usual, n)])
                bench.run(table)
            for other in others:
                bench.source("DELETE FROM t")
                bench.fill("t", [(other, 3)])
                with pytest.raises(
                    StagingError, match=rf"(?i)the text '{re.escape(other)}' of the key .*usually written.*column 'k'"
                ):
                    bench.run(table)
            assert [row[1] for row in bench.rows(f"SELECT k, n FROM {table}")] == ["2"]


def test_keys_of_types_that_cannot_be_compared(pg_bench: Workbench) -> None:
    """PostgreSQL's json has no equality, and its jsonb has several texts for one value."""
    bench = pg_bench
    bench.connect("h2", "h2", f"jdbc:h2:{bench.folder}/h2", "sa", "")
    bench.execute("CREATE TABLE s (k JSON, n INTEGER)", "INSERT INTO s VALUES (JSON '1', 1)", connection="h2")
    bench.execute("CREATE TABLE own (k jsonb PRIMARY KEY, n integer)", "CREATE TABLE bare (k json, n integer)")
    for table in ("new", "bare", "own", "text"):
        columns = [{"source_name": "K", "dest_type": "text"}, {"source_name": "N"}] if table == "text" else []
        bench.module(
            table, source="h2", query="SELECT * FROM s", dest_table=table, strategy="upsert", merge_key="k",
            columns=columns,
        )  # fmt: skip
    for table in ("new", "bare"):
        with pytest.raises(
            DestinationError, match=r"(?i)Key column k of .* json, .*JSON: PostgreSQL cannot .*dest_type"
        ):
            bench.run(table)
    with pytest.raises(DestinationError, match=r"(?i)Key column k of .* is jsonb, .*several texts of it are one key"):
        bench.run("own")
    for _ in range(2):
        bench.run("text")
    assert bench.rows('SELECT * FROM "text"') == [("1", "1")]


@pytest.mark.parametrize("strategy", ["upsert", "incremental"])
def test_keys_of_bytes(any_bench: Workbench, strategy: str) -> None:
    """Derby compares no BLOB: there a created key is of a sized type, and a table of one's own with a BLOB is refused."""
    bench = any_bench
    bench.source("CREATE TABLE t (k BLOB, n INTEGER)")
    bench.module(strategy=strategy, merge_key="k")
    for number in (1, 2):
        bench.source("DELETE FROM t")
        bench.fill("t", [(b"a", number), (b"a\x00", number), (b"A", number)])
        bench.run()
        assert [row[0] for row in bench.rows("SELECT n FROM t")] == [str(number)] * 3
    if bench.store.definitions.connection("dst").driver == "derby":
        bench.execute("CREATE TABLE own (k BLOB, n INTEGER)")
        bench.module("own", dest_table="own", strategy=strategy, merge_key="k")
        with pytest.raises(DestinationError, match=r"Key column K of .* is BLOB.*Derby cannot.*dest_type"):
            bench.run("own")

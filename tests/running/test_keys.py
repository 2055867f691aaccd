"""Keys mean what the source means by them: texts that differ there stay different rows, or the run is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipekit_engine.errors import DestinationError
from pipekit_engine.jrunner.errors import JRunnerError
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.models import Column
from tests.running.conftest import EMBEDDED, bench_to
from tests.running.workbench import Workbench

ALIKE = {
    "case": ("aB3", "ab3"),
    "accent": ("resume", "résumé"),
    "blank": ("a", "a "),
    "form": ("caf\u00e9", "cafe\u0301"),
}
STRATEGIES = ("upsert", "incremental")


@pytest.fixture
def mariadb_bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    yield from bench_to("mariadb", tmp_path, request)


def load(bench: Workbench, table: str, rows: list[tuple[str, int]]) -> None:
    """The source's rows of a run."""
    bench.source(f"DELETE FROM {table}")
    bench.fill(table, rows)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.sample(2)
def test_keys_stay_apart_in_a_created_table(any_bench: Workbench, strategy: str) -> None:
    """In two runs and in one; Derby's texts cannot tell blanks at the end apart, so there it is refused."""
    bench = any_bench
    derby = bench.store.definitions.connection("dst").driver == "derby"
    for name, (one, two) in ALIKE.items():
        for runs in ([[(one, 1)], [(two, 2)], [(one, 10), (two, 20)]], [[(one, 1), (two, 2)]]):
            table = f"{name}_{len(runs)}"
            bench.source(f"CREATE TABLE {table} (k VARCHAR(20), n INTEGER)")
            bench.module(table, query=f"SELECT k, n FROM {table}", dest_table=table, strategy=strategy, merge_key="k")
            there: dict[str, int] = {}
            for rows in runs:
                load(bench, table, rows)
                once = strategy == "incremental" and not there
                if derby and name == "blank" and (there or len(rows) == 2) and not once:
                    with pytest.raises(DestinationError, match=r"(?i)Column k: .*blanks.*choose another key"):
                        bench.run(table)
                    break
                bench.run(table)
                there.update(rows)
                assert bench.rows(f"SELECT k, n FROM {table}") == sorted((k, str(n)) for k, n in there.items())


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("collation", ["utf8mb4_nopad_bin", "utf8mb4_bin", "utf8mb4_general_ci"])
@pytest.mark.sample(3)
def test_mariadb_keys_are_those_of_their_collation(mariadb_bench: Workbench, collation: str, strategy: str) -> None:
    """Within MariaDB the source's own collation tells which texts differ; a created key tells all of them apart."""
    bench = mariadb_bench
    bench.execute(f"CREATE TABLE s (run INT, k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE {collation}, n INT)")
    bench.execute("INSERT INTO s VALUES (1, 'aB3', 1), (2, 'ab3', 2)")
    bench.execute(f"CREATE TABLE own (k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE {collation} PRIMARY KEY, n INT)")
    bench.execute("CREATE TABLE coarse (k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci, n INT)")
    bench.source("CREATE TABLE runs (n INTEGER)")
    for table in ("new", "own", "coarse"):
        bench.module(
            table,
            source="dst",
            query="SELECT k, n FROM s WHERE run = {run}",
            dest_table=table,
            strategy=strategy,
            merge_key="k",
            watermarks={"run": ("src", "SELECT max(n) FROM runs", None)},
        )
    bench.fill("runs", [(1,)])
    for table in ("new", "own", "coarse"):
        bench.run(table)
    bench.fill("runs", [(2,)])
    bench.run("new")
    assert bench.rows("SELECT k, n FROM new") == [("aB3", "1"), ("ab3", "2")]
    bench.run("own")
    same = collation.endswith("_ci")
    assert len(bench.rows("SELECT k, n FROM own")) == (1 if same else 2)
    if same:
        bench.run("coarse")
        assert [row[1] for row in bench.rows("SELECT k, n FROM coarse")] == ["2"]
    else:
        with pytest.raises(
            DestinationError, match=r"(?s)such as.*Column k: the collation utf8mb4_unicode_ci.*ALTER TABLE"
        ):
            bench.run("coarse")
        assert bench.rows("SELECT k, n FROM coarse") == [("aB3", "1")]


#: Tables of one's own that take two keys for one: what makes them, the two keys, what the message says.
COARSE = {
    "citext": (
        "postgresql",
        ["CREATE EXTENSION citext", "CREATE TABLE own (k citext PRIMARY KEY, n integer)"],
        "case",
        "the type citext.*ALTER TABLE .* TYPE text",
    ),
    "citext_domain": (
        "postgresql",
        [
            "CREATE EXTENSION citext",
            "CREATE DOMAIN mail AS citext",
            "CREATE DOMAIN login AS mail",
            "CREATE TABLE own (k login PRIMARY KEY, n integer)",
        ],
        "case",
        "the type citext.*ALTER TABLE .* TYPE text",
    ),
    "icu": (
        "postgresql",
        [
            "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)",
            "CREATE TABLE own (k varchar(20) COLLATE loose PRIMARY KEY, n integer)",
        ],
        "accent",
        "the collation loose.*ALTER TABLE",
    ),
    "icu_unindexed": (
        "postgresql",
        [
            "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)",
            "CREATE TABLE own (k varchar(20) COLLATE loose, n integer)",
        ],
        "case",
        "the collation loose.*ALTER TABLE",
    ),
    "nocase": (
        "sqlite",
        ["CREATE TABLE own (k TEXT COLLATE NOCASE PRIMARY KEY, n INTEGER)"],
        "case",
        "NOCASE.*COLLATE BINARY",
    ),
    "rtrim": ("sqlite", ["CREATE TABLE own (k TEXT COLLATE RTRIM, n INTEGER)"], "blank", "RTRIM.*COLLATE BINARY"),
    "h2": ("h2", ["CREATE TABLE own (k VARCHAR_IGNORECASE(20) PRIMARY KEY, n INTEGER)"], "case", "IGNORECASE.*ALTER"),
    "derby": ("derby", ["CREATE TABLE own (k VARCHAR(20) NOT NULL PRIMARY KEY, n INTEGER)"], "blank", "RTRIM"),
    "hsqldb": ("hsqldb", ["CREATE TABLE own (k VARCHAR(20) PRIMARY KEY, n INTEGER)"], "blank", "blanks.*ALTER TABLE"),
    "hsqldb_case": (
        "hsqldb",
        ["CREATE TABLE own (k VARCHAR_IGNORECASE(20) PRIMARY KEY, n INTEGER)"],
        "case",
        "case or blanks.*ALTER TABLE",
    ),
    "mariadb": (
        "mariadb",
        ["CREATE TABLE own (k varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY, n int)"],
        "blank",
        "the collation utf8mb4_bin.*ALTER TABLE",
    ),
}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", COARSE)
@pytest.mark.sample(3)
def test_a_coarser_table_of_ones_own_is_refused(
    name: str, strategy: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Once keys would be taken for one another, and not before: the same key comes again without a word."""
    kind, statements, pair, reason = COARSE[name]
    for bench in bench_to(kind, tmp_path, request):
        one, two = ALIKE[pair]
        bench.source("CREATE TABLE t (k TEXT, n INTEGER)")
        bench.execute(*statements)
        bench.module(dest_table="own", strategy=strategy, merge_key="k")
        for number in (0, 1):
            load(bench, "t", [(one, number)])
            bench.run()
        load(bench, "t", [(two, 2)])
        with pytest.raises(DestinationError, match=f"(?is)the source tells apart, such as .*Column k: .*{reason}"):
            bench.run()
        assert [row[1] for row in bench.rows("SELECT k, n FROM own")] == ["1"]
        if (
            strategy == "upsert" and kind != "sqlite"
        ):  # whose staging has no collation: the index refuses the second key
            bench.execute("DELETE FROM own")
            load(bench, "t", [(one, 1), (two, 2)])
            with pytest.raises(DestinationError, match=f"(?is)the source tells apart, such as .*Column k: .*{reason}"):
                bench.run()
            assert bench.rows("SELECT k, n FROM own") == []


#: CHAR takes blanks off, or fills them up: kind, the type of the key.
FIXED = {
    "postgresql": "char(20)",
    "mariadb": "char(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin",
    "h2": "CHAR(20)",
    "derby": "CHAR(20) NOT NULL",
    "hsqldb": "CHAR(20)",
}


@pytest.mark.parametrize("kind", FIXED)
@pytest.mark.sample(2)
def test_a_char_key_is_not_given_texts_that_end_in_blanks(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The table could not tell them from those without; keys without come, are found again, and are updated."""
    for bench in bench_to(kind, tmp_path, request):
        bench.source("CREATE TABLE t (k TEXT, n INTEGER)")
        bench.execute(f"CREATE TABLE own (k {FIXED[kind]} PRIMARY KEY, n INTEGER)")
        for strategy in STRATEGIES:
            bench.module(strategy, dest_table="own", strategy=strategy, merge_key="k")
            for number in (1, 2):
                load(bench, "t", [("a", number), (" b", number), ("", number)])
                bench.run(strategy)
                assert [row[1] for row in bench.rows("SELECT k, n FROM own")] == [str(number)] * 3
            load(bench, "t", [("a ", 3)])
            with pytest.raises(DestinationError, match=r"(?is)such as \(a \).*Column k: its type .*no blanks.*RTRIM"):
                bench.run(strategy)
            assert bench.staging_left() == []


def test_a_char_key_of_the_source_has_no_blanks(pg_bench: Workbench) -> None:
    """Padded on both sides; and a key that is no text, or a table that the run makes as CHAR."""
    bench = pg_bench
    bench.execute(
        "CREATE TABLE s (k char(5), n integer)",
        "INSERT INTO s VALUES ('a', 1)",
        "CREATE TABLE own (k char(20) PRIMARY KEY, n integer)",
        "CREATE TABLE numbers (n char(20) PRIMARY KEY)",
    )
    bench.module("texts", source="dst", query="SELECT * FROM s", dest_table="own", strategy="upsert", merge_key="k")
    bench.module("ints", source="dst", query="SELECT n FROM s", dest_table="numbers", strategy="upsert", merge_key="n")
    for _ in range(2):
        bench.run("texts")
        bench.run("ints")
    assert bench.rows("SELECT k, n FROM own") == [("a".ljust(20), "1")]
    bench.source("CREATE TABLE t (k TEXT, n INTEGER)")
    load(bench, "t", [("a ", 3)])
    columns = (Column(source_name="k", dest_name="k", dest_type="char(5)"), Column(source_name="n", dest_name="n"))
    bench.module("new", dest_table="new", strategy="upsert", merge_key="k", columns=columns)
    with pytest.raises(DestinationError, match=r"Column k: its type char\(5\) keeps no blanks"):
        bench.run("new")


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("key", ["k VARCHAR(20)", "k VARCHAR(20), m INTEGER", "k DATE", "k DECIMAL(10, 2)", "k TEXT"])
@pytest.mark.sample(3)
def test_a_created_table_has_an_index_on_its_key(any_bench: Workbench, strategy: str, key: str) -> None:
    """Unique for upsert, so that nothing else puts a key there twice."""
    bench = any_bench
    names = [item.split()[0] for item in key.split(", ") if item[0].islower()]
    bench.source(
        f"CREATE TABLE t ({key}, n INTEGER)",
        f"INSERT INTO t ({', '.join(names)}) VALUES ({', '.join('1' for _ in names)})",
    )
    if "DATE" in key:
        bench.source("UPDATE t SET k = '2024-01-01'")
    bench.module(strategy=strategy, merge_key=", ".join(names))
    for _ in range(2):
        bench.run()
    again = "INSERT INTO t SELECT * FROM t"
    if strategy == "upsert":
        with pytest.raises(JRunnerError):
            bench.execute(again)
    else:
        bench.execute(again)
    assert len(bench.rows("SELECT * FROM t")) == (1 if strategy == "upsert" else 2)


def test_blanks_of_char_keys_are_padding(tmp_path: Path, pool: SessionPool) -> None:
    """Between two databases of a kind that pads CHAR, 'a' and 'a ' are one key, as they are at the source."""
    for kind in ("h2", "hsqldb", "derby"):
        folder = tmp_path / kind
        folder.mkdir()
        bench = Workbench(folder, pool)
        url, user = EMBEDDED[kind]
        for name in ("dst", "from"):
            bench.connect(name, kind, url.format(folder=folder / name), user, "" if user else None)
        bench.execute(
            "CREATE TABLE t (k CHAR(5) NOT NULL, n INTEGER)",
            "INSERT INTO t VALUES ('a', 1)",
            "INSERT INTO t VALUES ('b ', 1)",
            connection="from",
        )
        for strategy in ("upsert", "incremental"):
            bench.module(strategy, source="from", strategy=strategy, merge_key="k", dest_table=strategy)
            bench.run(strategy)
        bench.execute(
            "DELETE FROM t", "INSERT INTO t VALUES ('a ', 2)", "INSERT INTO t VALUES ('b', 2)", connection="from"
        )
        for strategy in ("upsert", "incremental"):
            record = bench.run(strategy)
            assert (record.rows_inserted or 0) + (record.rows_updated or 0) == 2
            assert bench.rows(f"SELECT k, n FROM {strategy}") == [("a    ", "2"), ("b    ", "2")]
        bench.close()

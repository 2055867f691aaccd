"""Tables that a run makes: NOT NULL, indexes, and between two databases of one kind the source's own types."""

from __future__ import annotations

import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from pipekit_engine.common.columns import Column
from pipekit_engine.databases.dialects import get_dialect, kinds
from pipekit_engine.errors import MergeError, RunError
from pipekit_engine.sql.greatest import gives_one_row, greatest_columns
from tests.running.conftest import bench_to
from tests.running.workbench import Workbench


def nullable(bench: Workbench, table: str) -> dict[str, bool]:
    with bench.session("dst") as (session, handle):
        # DuckDB's driver knows it of a table alone.
        of = (
            {"table": table}
            if bench.store.definitions.connection("dst").driver == "duckdb"
            else {"sql": f"SELECT * FROM {table}"}
        )
        return {item.name.lower(): item.nullable for item in session.describe(handle, **of)}


def test_never_null_is_kept(any_bench: Workbench) -> None:
    """And a source that comes to allow NULL is told in words that name the column and the way out."""
    bench = any_bench
    bench.source(
        "CREATE TABLE t (k INTEGER NOT NULL, n INTEGER NOT NULL, m INTEGER)", "INSERT INTO t VALUES (1, 2, NULL)"
    )
    bench.module(strategy="upsert", merge_key="k")
    bench.run()
    assert nullable(bench, "t") == {"k": False, "n": False, "m": True}
    bench.run()
    bench.source(
        "ALTER TABLE t RENAME TO old",
        "CREATE TABLE t (k INTEGER, n INTEGER, m INTEGER)",
        "INSERT INTO t SELECT * FROM old",
        "INSERT INTO t VALUES (2, NULL, 3)",
    )
    with pytest.raises(
        RunError, match=r"(?is)Column N of .* is NOT NULL, and the query gave a NULL for it\. .*NULL"
    ) as error:
        bench.run()
    kind = bench.store.definitions.connection("dst").driver
    if kind in ("postgresql", "h2", "derby", "hsqldb"):
        bench.execute(str(error.value).partition("let the column be NULL (")[2].partition(");")[0])
        bench.run()
        assert len(bench.rows("SELECT * FROM t")) == 2
    bench.source("UPDATE t SET n = 1, k = NULL WHERE k = 2")
    with pytest.raises(RunError, match=r"(?i)NULL.*\bk\b.*never be matched again"):
        bench.run()


def test_what_may_be_null_is_not_claimed(pg_bench: Workbench) -> None:
    """Outer joins, views, groups and expressions: the driver calls their columns NOT NULL."""
    bench = pg_bench
    bench.execute(
        "CREATE TABLE a (k integer NOT NULL, n integer NOT NULL)",
        "INSERT INTO a VALUES (1, 2), (2, 3)",
        "CREATE VIEW v AS SELECT l.k, r.n FROM a l LEFT JOIN a r ON r.k = l.k + 1",
    )
    queries = {
        "joined": "SELECT l.k, r.n FROM a l LEFT JOIN a r ON r.k = l.k + 1",
        "viewed": "SELECT k, n FROM v",
        "nested": "SELECT * FROM (SELECT l.k, r.n FROM a l LEFT JOIN a r ON r.k = l.k + 1) x",
        "grouped": "SELECT n, count(*) AS k FROM a GROUP BY ROLLUP (n)",
        "united": "SELECT k, n FROM a UNION ALL SELECT 9, NULL",
    }
    for name, query in queries.items():
        bench.module(name, source="dst", query=query, dest_table=name)
        for _ in range(2):
            bench.run(name)
        assert nullable(bench, name)["n"], name
    bench.module("plain", source="dst", query="SELECT a.k, a.n + 0 AS m, n FROM a WHERE k > 0", dest_table="plain")
    bench.run("plain")
    assert nullable(bench, "plain") == {"k": False, "m": True, "n": False}


PG_TYPES = {
    "e": ("mood", "'so-so'"),
    "ea": ("mood[]", "'{happy}'"),
    "odd": ('"Odd Mood"', "'a'"),
    "ci": ("citext", "'aB'"),
    "hs": ("hstore", "'a=>1'"),
    "r": ("int4range", "'[1,10)'"),
    "na": ("numeric[]", "'{1.50,NaN}'"),
    "b": ("bit(8)", "B'10100101'"),
    "vb": ("bit varying(7)", "B'101'"),
    "c": ("character(5)", "'a'"),
    "v": ("character varying(10)", "'b '"),
    "v0": ("character varying", "'c'"),
    "ts": ("timestamp(3) without time zone", "'2024-01-01 00:00:00.123'"),
    "i": ("interval", "'1 mon'"),
}
PG_SETUP = (
    "CREATE TYPE mood AS ENUM ('happy', 'so-so')",
    "CREATE TYPE \"Odd Mood\" AS ENUM ('a')",
    "CREATE EXTENSION citext",
    "CREATE EXTENSION hstore",
)


def test_types_of_postgresql_stay(pg_bench: Workbench, request: pytest.FixtureRequest) -> None:
    """Those that the destination has; the others are text, and told."""
    bench, server = pg_bench, request.getfixturevalue("postgresql")
    with server.fresh_database() as database:
        bench.connect("own", "postgresql", server.jdbc_url(database), server.user, server.password)
        bench.execute(
            *PG_SETUP, "CREATE TYPE lost AS ENUM ('x')", "CREATE SCHEMA s", "CREATE TYPE s.pair AS (a integer)"
        )
        bench.execute(*PG_SETUP, connection="own")
        made = ", ".join(f"{name} {item[0]}" for name, item in PG_TYPES.items())
        bench.execute(
            f"CREATE TABLE t (k integer NOT NULL, {made}, l lost, p s.pair)",
            f"INSERT INTO t VALUES (1, {', '.join(item[1] for item in PG_TYPES.values())}, 'x', '(1)')",
        )
        bench.module(source="dst", dest="own", query="SELECT * FROM t", strategy="upsert", merge_key="k")
        plan = bench.engine.run("m", dry_run=True, sessions=bench.pool).plan
        assert plan is not None
        assert [text for text in plan.warnings if "has no type" in text] == [
            'column l (lost as text): the destination has no type "lost"',
            'column p ("s"."pair" as text): the destination has no type "s"."pair"',
        ]
        for _ in range(2):
            bench.run()
        told = bench.rows(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 1",
            "own",
        )
        assert dict(told) == {
            **{name: item[0] for name, item in PG_TYPES.items()}, "l": "text", "p": "text",
        }  # fmt: skip
        names = ", ".join(f"{name}::text" for name in PG_TYPES)
        assert bench.rows(f"SELECT {names} FROM t", "own") == bench.rows(f"SELECT {names} FROM t")
        bench.execute("UPDATE t SET e = 'happy', c = 'z'")
        bench.run()
        assert bench.rows("SELECT e, c FROM t", "own") == [("happy", "z    ")]


MARIADB_TYPES = {
    "en": ("enum('a','B b','it''s')", "'it''s'"),
    "st": ("set('a','b')", "'a,b'"),
    "ti": ("tinyint(3) unsigned", "255"),
    "one": ("tinyint(1)", "2"),
    "ub": ("bigint(20) unsigned", "18446744073709551615"),
    "c": ("char(5)", "'a'"),
    "v": ("varchar(10)", "'b '"),
    "y": ("year(4)", "2024"),
    "j": ("json", "'{\"a\": 1.50}'"),
    "bi": ("binary(4)", "X'00010000'"),
    "vb": ("varbinary(300)", "X'00FF'"),
    "mt": ("mediumtext", "'text'"),
}


@pytest.fixture
def mariadb_bench(tmp_path: Path, request: pytest.FixtureRequest):  # type: ignore[no-untyped-def]  # noqa: ANN201
    from tests.running.conftest import bench_to

    yield from bench_to("mariadb", tmp_path, request)


def test_types_of_mariadb_stay(mariadb_bench: Workbench) -> None:
    bench = mariadb_bench
    made = ", ".join(f"{name} {item[0]}" for name, item in MARIADB_TYPES.items())
    bench.execute(
        f"CREATE TABLE s (k char(3) COLLATE utf8mb4_nopad_bin NOT NULL, {made}, dt timestamp(6) NOT NULL, "
        "same enum('a','A') COLLATE utf8mb4_bin, l text CHARACTER SET latin1) CHARACTER SET utf8mb4",
        f"INSERT INTO s VALUES ('k', {', '.join(item[1] for item in MARIADB_TYPES.values())}, "
        "'2024-01-01 00:00:00.5', 'A', 'é')",
    )
    bench.module(source="dst", query="SELECT * FROM s", dest_table="t", strategy="upsert", merge_key="k")
    for _ in range(2):
        bench.run()
    types = "SELECT column_name, column_type FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = "
    source, dest = dict(bench.rows(types + "'s'")), dict(bench.rows(types + "'t'"))
    assert source | {"dt": "timestamp(6)", "same": "varchar(1)", "l": "longtext"} == dest
    assert bench.rows("SELECT * FROM t") == bench.rows("SELECT * FROM s")
    bench.execute("UPDATE s SET j = '{}', en = 'a'")
    bench.run()
    assert bench.rows("SELECT en, j, dt FROM t") == bench.rows("SELECT en, j, dt FROM s")


def test_the_watermark_has_an_index(any_bench: Workbench) -> None:
    bench = any_bench
    bench.source("CREATE TABLE t (k INTEGER, at INTEGER)", "INSERT INTO t VALUES (1, 5)")
    columns = {"at": ("dst", 'SELECT max("at") - 1 FROM t', "0")}
    kind = bench.store.definitions.connection("dst").driver
    quoted = "`at`" if kind in ("mariadb", "mysql") else '"AT"' if kind in ("h2", "derby", "hsqldb") else '"at"'
    columns["at"] = ("dst", f"SELECT max({quoted}) - 1 FROM t", "0")
    bench.module(query="SELECT * FROM t WHERE at >= {at}", strategy="upsert", merge_key="k", watermarks=columns)
    plan = bench.engine.run("m", dry_run=True, sessions=bench.pool).plan
    assert plan is not None
    made = [
        text for text in (*plan.prepare, *(item.sql for item in plan.merge)) if "INDEX" in text or "ADD PRIMARY" in text
    ]
    assert [text.split("(")[1] for text in made] == [f"{quoted.replace('at', 'k').replace('AT', 'K')})", f"{quoted})"]
    for _ in range(2):
        bench.run()
    assert len(bench.rows("SELECT * FROM t")) == 1


def test_a_table_of_an_earlier_version_is_as_it_was(any_bench: Workbench) -> None:
    """Neither NOT NULL nor an index: it goes on."""
    bench = any_bench
    bench.source("CREATE TABLE t (k VARCHAR(20) NOT NULL, n INTEGER NOT NULL)", "INSERT INTO t VALUES ('a', 1)")
    bench.execute("CREATE TABLE t (k VARCHAR(20), n INTEGER)")
    bench.module(strategy="upsert", merge_key="k")
    for _ in range(2):
        bench.run()
    assert nullable(bench, "t") == {"k": True, "n": True}


def test_a_key_longer_than_an_index(pg_bench: Workbench) -> None:
    """PostgreSQL's index holds a third of a page."""
    bench = pg_bench
    bench.source("CREATE TABLE t (k TEXT, n INTEGER)")
    bench.fill("t", [("short", 1)])
    bench.module(strategy="upsert", merge_key="k")
    bench.run()
    bench.fill("t", [(secrets.token_hex(9000), 2)])
    with pytest.raises(MergeError, match=r"the key \(k\) is longer than an index of PostgreSQL holds.*hash"):
        bench.run()
    bench.module("new", dest_table="new", strategy="upsert", merge_key="k")
    with pytest.raises(MergeError, match=r"the key \(k\) is longer than an index"):
        bench.run("new")


def test_an_index_that_is_left(any_bench: Workbench) -> None:
    """Of a table that was renamed, say."""
    bench = any_bench
    bench.source("CREATE TABLE t (k INTEGER, n INTEGER)", "INSERT INTO t VALUES (1, 1)")
    bench.execute("CREATE TABLE old (k INTEGER)")
    kind = bench.store.definitions.connection("dst").driver
    name = '"T_key"' if kind in ("h2", "derby", "hsqldb") else "t_key"
    bench.execute(f"CREATE INDEX {name} ON old (k)")
    bench.module(strategy="upsert", merge_key="k")
    if kind in ("postgresql", "mariadb", "mysql", "h2", "duckdb"):  # DuckDB's is a constraint, which has no name
        bench.run()
        return
    with pytest.raises(MergeError, match=r"(?is)t_key.*An index of that name is there already.*Rename or drop"):
        bench.run()
    bench.execute(f"DROP INDEX {name}")
    bench.run()


@pytest.mark.parametrize("kind", kinds())
def test_a_key_is_never_a_large_object(kind: str) -> None:
    """Text without a length, of each family that becomes text; as a watermark or key it can be compared."""
    dest = get_dialect(kind)
    for source in kinds():
        for family in ("text", "json", "xml", "any", "other", "interval", "array"):
            if family in ("json", "xml", "array") and family in dest.types:
                continue
            mapped = dest.map_type(Column("k", family, "", 0, 0, 0, True), get_dialect(source))
            made = dest.key_type(mapped.sql, None).lower()
            assert not any(word in made for word in ("lob", "large", "longtext", "max")), (source, family, made)


def test_the_greatest_of_a_column() -> None:
    syntax = get_dialect("postgresql").capabilities.syntax
    for sql, columns in {
        "SELECT max(at) FROM t": ["at"],
        "SELECT COALESCE(MAX(\"At\") - interval '1 hour', now()) FROM s.t": ["At"],
        "SELECT max(a), max(b) FROM t": ["a", "b"],
        "SELECT max(a + 1) FROM t": [],
        "SELECT max(t.a) FROM t JOIN u USING (k)": [],
        "SELECT 1": [],
        "this is no SQL": [],
    }.items():
        assert [origin.column for origin in greatest_columns(sql, syntax)] == columns, sql


def test_one_row_is_told_from_the_text() -> None:
    """Only such a query runs without a row limit: a driver holds all the rows of one that gives many."""
    syntax = get_dialect("postgresql").capabilities.syntax
    one = (
        "SELECT max(at) FROM t",
        "(select coalesce(max(t.a), '-') from t where b > 1);",
        "SELECT count(*) FROM (SELECT 1) k",
    )
    many = (
        "SELECT at FROM t", "SELECT max(a) FROM t GROUP BY b", "SELECT max(a), generate_series(1, 9) FROM t",
        "SELECT max(a, b) FROM t", "SELECT max(a) OVER () FROM t", "SELECT (SELECT max(a) FROM t) FROM u",
        "SELECT max(a) FROM t UNION ALL SELECT b FROM t", "WITH t AS (SELECT 1 AS a) SELECT max(a) FROM t", "", "no SQL",
    )  # fmt: skip
    assert [sql for sql in one if not gives_one_row(sql, syntax)] == []
    assert [sql for sql in many if gives_one_row(sql, syntax)] == []


def test_a_plain_greatest_needs_no_parser() -> None:
    code = (
        "import sys; from pipekit_engine.sql.greatest import gives_one_row, greatest_columns as g\n"
        "from pipekit_engine.sql.syntax import SqlSyntax as S\n"
        "a = [g(sql, S(unquoted_case='lower')) for sql in ('SELECT MAX(At) FROM s.T', 'SELECT count(*) FROM t')]\n"
        "assert 'sqlglot' not in sys.modules; g('SELECT max(a) FROM t u', S()); assert 'sqlglot' in sys.modules\n"
        "print([[(origin.table, origin.column) for origin in found] for found in a])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == "[[(('s', 't'), 'at')], []]\n"


def test_names_that_are_long_or_odd(any_bench: Workbench) -> None:
    """63 bytes for a table, quotes and blanks in columns: the index has a name that the database takes."""
    bench = any_bench
    table = "T" + "x" * 60 + "y"
    bench.source('CREATE TABLE t ("the ""key""" INTEGER NOT NULL, "At Time" INTEGER)', "INSERT INTO t VALUES (1, 1)")
    quote = "`" if bench.store.definitions.connection("dst").driver in ("mariadb", "mysql") else '"'
    marks = {"at": ("dst", f"SELECT max({quote}At Time{quote}) FROM {quote}{table}{quote}", "0")}
    bench.module(
        query='SELECT * FROM t WHERE "At Time" >= {at}', dest_table=f'"{table}"', strategy="upsert",
        merge_key='the "key"', watermarks=marks,
    )  # fmt: skip
    for _ in range(2):
        bench.run()
    assert len(bench.rows(f"SELECT * FROM {quote}{table}{quote}")) == 1


def test_a_given_type_says_more(bench: Workbench) -> None:
    """`dest_type` with NULL, a default or a key of its own stands as it is."""
    for kind, given in (("sqlite", "INTEGER PRIMARY KEY"), ("mariadb", "int DEFAULT 3"), ("db2", "INTEGER NOT NULL")):
        assert get_dialect(kind).not_null_type(given) == given
    assert get_dialect("mariadb").not_null_type("timestamp(6) NULL") == "timestamp(6) NULL"


def test_long_texts_in_hsqldb(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """A CLOB's file was synced for each value; a VARCHAR can be compared, too."""
    for bench in bench_to("hsqldb", tmp_path, request):
        bench.source("CREATE TABLE t (id INTEGER, note TEXT)")
        bench.fill("t", [(number, f"note {number} " + "x" * 50) for number in range(5_000)])
        bench.fill("t", [(5_000, "long " * 20_000), (5_001, None), (5_002, ""), (5_003, "blank "), (5_004, "blank")])
        bench.module(verify="values", strategy="upsert", merge_key="id")
        assert bench.run().rows_inserted == 5_005
        bench.source("UPDATE t SET note = 'blank  ' WHERE id = 5004")
        record = bench.run()
        assert (record.rows_updated, record.rows_unchanged) == (1, 5_004)
        assert bench.rows("SELECT id, note FROM t") == bench.rows("SELECT id, note FROM t", "src")

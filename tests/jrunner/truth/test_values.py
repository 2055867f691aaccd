"""What the table of pairs cannot say: dynamic cells, paths, huge values, names, trimming, splitting, errors, cancel."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pipekit_engine.jrunner import ColumnPair, JRunnerCancelled, JRunnerError, MigrateRequest, MigrateResult, Session
from tests.jrunner.conftest import mariadb_request, postgresql_request, sqlite_request
from tests.jrunner.truth.conftest import Truth, table
from tests.jrunner.truth.data import KINDS, SHAPES
from tests.jrunner.truth.databases import normal, probe
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.proxy import CuttableProxy

Open = Callable[[int], CuttableProxy]
TEXT = {
    "postgresql": "text",
    "mariadb": "longtext",
    "derby": "CLOB",
    "hsqldb": "LONGVARCHAR",
    "duckdb": "VARCHAR",
    "h2": "CLOB",
    "sqlite": "TEXT",
}


def move(truth: Truth, source: str, sql: str, dest: str, into: str, **more: object) -> MigrateResult:
    """Migrate `sql` of `source` into table `into` of `dest`, emptied first."""
    return truth.session.migrate(MigrateRequest(source=source, sql=sql, dest=dest, table=into, clear=True, **more))  # type: ignore[arg-type]


def refused(truth: Truth, source: str, sql: str, dest: str, into: str, **more: object) -> JRunnerError:
    """The error of a migration that must fail."""
    with pytest.raises(JRunnerError) as caught:
        move(truth, source, sql, dest, into, **more)
    return caught.value


@pytest.mark.parametrize(
    ("dest", "path"),
    [("postgresql", "copy-text"), ("postgresql", "batch"), ("mariadb", "batch")],
)
def test_the_other_paths_hold_the_same_values(truth: Truth, dest: str, path: str) -> None:
    wrong = []
    for shape in SHAPES:
        held = [n for n, value in enumerate(shape.values, 1) if not value.lacks & {"sqlite", dest}]
        where = f"id IN ({', '.join(map(str, [0, *held]))})"
        result = move(
            truth, "sqlite_from", f"SELECT * FROM {table(shape)} WHERE {where}", f"{dest}_to", table(shape), path=path
        )
        assert result.path == path
        rows = dict(truth.rows(f"{dest}_to", f"SELECT id, {probe(dest, shape)} FROM {table(shape)}"))
        for n in held:
            if normal(shape, rows[str(n)]) != normal(shape, shape.values[n - 1].text):
                wrong.append(f"{shape.name}: {shape.values[n - 1].shown} became {rows[str(n)]!r:.60}")
        assert rows["0"] is None
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("source", ["sqlite", "mariadb"])
def test_cells_are_never_coerced(truth: Truth, source: str) -> None:
    """Any text may stand in a number's place in SQLite; MariaDB's driver would make numbers of text, too."""
    truth.execute("postgresql_to", "CREATE TABLE c (i bigint, t text, d date, b boolean)")
    try:
        queries = {
            "SELECT 1 AS i UNION ALL SELECT 'abc'": ("i", 2),
            "SELECT '12abc' AS i": ("i", 1),
            "SELECT 1.5 AS i": ("i", 1),
            "SELECT 'tomorrow' AS d": ("d", 1),
            "SELECT 1704067200 AS d": ("d", 1),
            "SELECT x'00ff' AS t" if source == "sqlite" else "SELECT CAST(x'00ff' AS BINARY) AS t": ("t", 1),
        }
        for sql, (column, row) in queries.items():
            error = refused(truth, f"{source}_from", sql, "postgresql_to", "c")
            assert (error.code, error.column, error.row) == ("value", column, row), f"{sql}: {error}"
        move(truth, f"{source}_from", "SELECT '12' AS i, 12 AS t, '2024-01-01' AS d, 1 AS b", "postgresql_to", "c")
        assert truth.rows("postgresql_to", "SELECT i, t, d, b FROM c") == [("12", "12", "2024-01-01", "true")]
    finally:
        truth.execute("postgresql_to", "DROP TABLE c")


def test_sqlite_to_sqlite_keeps_storage_classes(truth: Truth) -> None:
    columns = "(a INTEGER, b TEXT, c, d NUMERIC)"
    truth.execute(
        "sqlite_from", f"CREATE TABLE s {columns}", "INSERT INTO s VALUES ('abc', x'00', 1.5, 'x'), (1, '1', '1', 1)"
    )
    truth.execute("sqlite_to", f"CREATE TABLE s {columns}")
    move(truth, "sqlite_from", "SELECT * FROM s", "sqlite_to", "s")
    sql = "SELECT typeof(a), typeof(b), typeof(c), typeof(d), quote(a), quote(b), quote(c), quote(d) FROM s ORDER BY rowid"
    assert truth.rows("sqlite_to", sql) == truth.rows("sqlite_from", sql)


def test_invalid_utf8_is_refused(truth: Truth) -> None:
    for dest, name in (("postgresql_to", "v"), ("mariadb_to", "v"), ("h2_to", "V"), ("sqlite_to", "v")):
        shape = next(shape for shape in SHAPES if shape.name == "text")
        error = refused(truth, "sqlite_from", "SELECT 1 AS id, CAST(x'61ff62' AS TEXT) AS v", dest, table(shape))
        assert (error.code, error.column, error.row) == ("value", name, 1), f"{dest}: {error}"


def test_zero_dates_are_refused(truth: Truth) -> None:
    truth.execute(
        "mariadb_from",
        "SET @mode = @@sql_mode, sql_mode = ''",
        "CREATE TABLE zero (id INT, day DATE, at DATETIME)",
        "INSERT INTO zero VALUES (1, '2024-01-01', '2024-01-01'), (2, '0000-00-00', '2024-01-01')",
        "INSERT INTO zero VALUES (3, '2024-01-01', '0000-00-00')",
        "SET sql_mode = @mode",
    )
    truth.execute("sqlite_to", "CREATE TABLE zero (id INT, day DATE, at TIMESTAMP)")
    error = refused(truth, "mariadb_from", "SELECT * FROM zero ORDER BY id", "sqlite_to", "zero")
    assert (error.code, error.column, error.row) == ("value", "day", 2)
    assert "NULLIF" in str(error)
    error = refused(truth, "mariadb_from", "SELECT * FROM zero WHERE id = 3", "sqlite_to", "zero")
    assert (error.code, error.column, error.row) == ("value", "at", 1)


@pytest.mark.slow
@pytest.mark.parametrize("dest", KINDS)
@pytest.mark.parametrize("source", [kind for kind in KINDS if kind != "derby"])
def test_ten_megabytes_of_text(truth: Truth, source: str, dest: str) -> None:
    """From each source (Derby has no function that makes such text) into each destination, in a JVM of bounded heap."""
    made = {
        "sqlite": "replace(hex(zeroblob(2500000)), '00', 'aé€')",
        "postgresql": "repeat('aé€', 2500000)",
        "mariadb": "repeat('aé€', 2500000)",
        "h2": "CAST(REPEAT('aé€', 2500000) AS CLOB)",
        "hsqldb": "REPEAT('aé€', 2500000)",
        "duckdb": "repeat('aé€', 2500000)",
    }[source]
    once = {"hsqldb": " FROM (VALUES(0))"}.get(source, "")
    truth.execute(f"{dest}_to", f"CREATE TABLE big (id INT, v {TEXT[dest]})")
    try:
        result = move(truth, f"{source}_from", f"SELECT 1 AS id, {made} AS v{once}", f"{dest}_to", "big")
        assert result.rows_written == 1
        ends = {"derby": "LENGTH(v), SUBSTR(v, 7499998)", "hsqldb": "CHAR_LENGTH(v), SUBSTRING(v FROM 7499998)"}
        length = "LENGTH(v)" if dest in {"sqlite", "duckdb"} else "CHAR_LENGTH(v)"
        rows = truth.rows(f"{dest}_to", f"SELECT {ends.get(dest, f'{length}, SUBSTR(v, 7499998)')} FROM big")
        assert rows == [("7500000", "aé€")]
    finally:
        truth.execute(f"{dest}_to", "DROP TABLE big")


@pytest.mark.parametrize("dest", KINDS)
def test_odd_names(truth: Truth, dest: str) -> None:
    names = ["select", "Mixed Case", "hy-phen", "ümläut €", "a.b", "semi;colon", "1st"]
    quote = "`" if dest == "mariadb" else '"'
    if dest not in {"mariadb", "h2", "derby", "hsqldb"}:
        names.append('with"quote')
    columns = [quote + name.replace('"', '""') + quote for name in names]
    into = f"{quote}Odd-Täble{quote}"
    truth.execute(f"{dest}_to", f"CREATE TABLE {into} ({', '.join(f'{column} INT' for column in columns)})")
    select = ", ".join(f'{n} AS "{name}"'.replace('with"', 'with""') for n, name in enumerate(names))
    move(truth, "postgresql_from", f"SELECT {select}", f"{dest}_to", into)
    assert truth.rows(f"{dest}_to", f"SELECT * FROM {into}") == [tuple(str(n) for n in range(len(names)))]
    # By name and never by position: the other way round, and renamed.
    pairs = tuple(ColumnPair(f"c{n}", name) for n, name in enumerate(names))
    select = ", ".join(f"{n} AS c{n}" for n in reversed(range(len(names))))
    move(truth, "postgresql_from", f"SELECT {select}, 99 AS extra", f"{dest}_to", into, columns=pairs)
    assert truth.rows(f"{dest}_to", f"SELECT * FROM {into}") == [tuple(str(n) for n in range(len(names)))]


def test_columns_that_do_not_match(truth: Truth) -> None:
    truth.execute("sqlite_to", "CREATE TABLE m (a INT, B INT)")
    for sql, said in {
        'SELECT 1 AS a, 2 AS "nope"': "nope",
        'SELECT 1 AS a, 2 AS "a"': "two columns named 'a'",
        'SELECT 1 AS a, 2 AS "A"': "two source columns",
    }.items():
        for source in ("postgresql_from", "sqlite_from"):
            error = refused(truth, source, sql, "sqlite_to", "m")
            assert error.code == "columns", sql
            assert said in str(error)
    move(truth, "postgresql_from", "SELECT 2 AS b, 1 AS a", "sqlite_to", "m")
    assert truth.rows("sqlite_to", "SELECT a, B FROM m") == [("1", "2")]
    error = refused(truth, "postgresql_from", "SELECT 1 AS a", "sqlite_to", "m", columns=(ColumnPair("x", "y"),))
    assert "'x'" in str(error)
    assert "'y'" in str(error)


@pytest.mark.parametrize("source", KINDS)
def test_no_rows(truth: Truth, source: str) -> None:
    shape = SHAPES[0]
    for dest in KINDS:
        result = move(truth, f"{source}_from", f"SELECT * FROM {table(shape)} WHERE 1 = 0", f"{dest}_to", table(shape))
        assert (result.rows_read, result.rows_written) == (0, 0)


def test_trim_takes_padding_only(truth: Truth) -> None:
    truth.execute(
        "postgresql_from", "CREATE TABLE p (c char(6), t text)", "INSERT INTO p VALUES ('ab', 'cd  '), ('', '')"
    )
    truth.execute("sqlite_to", "CREATE TABLE p (c TEXT, t TEXT)")
    move(truth, "postgresql_from", "SELECT * FROM p", "sqlite_to", "p")
    assert truth.rows("sqlite_to", "SELECT c, t FROM p") == [("ab    ", "cd  "), ("      ", "")]
    move(truth, "postgresql_from", "SELECT * FROM p", "sqlite_to", "p", trim=True)
    assert truth.rows("sqlite_to", "SELECT c, t FROM p") == [("ab", "cd  "), ("", "")]


def test_auto_increment_keeps_zero(truth: Truth) -> None:
    truth.execute("mariadb_to", "CREATE TABLE numbered (id INT AUTO_INCREMENT PRIMARY KEY, v INT)")
    for path in ("load-data", "batch"):
        move(truth, "sqlite_from", "SELECT 0 AS id, 7 AS v", "mariadb_to", "numbered", path=path)
        assert truth.rows("mariadb_to", "SELECT id, v FROM numbered") == [("0", "7")]


@pytest.mark.parametrize(
    ("dest", "path"),
    [("postgresql", "copy-binary"), ("postgresql", "batch"), ("mariadb", "load-data"), ("mariadb", "batch")]
    + [(kind, "batch") for kind in ("sqlite", "h2", "derby", "hsqldb")],
)
def test_a_violated_constraint_leaves_the_destination_as_it_was(truth: Truth, dest: str, path: str) -> None:
    """The first error is the one reported, and a clear that came before it is undone."""
    truth.execute(f"{dest}_to", "CREATE TABLE u (id INT NOT NULL PRIMARY KEY)", "INSERT INTO u VALUES (42)")
    sql = "SELECT CASE g WHEN 4000 THEN 1 ELSE g END AS id FROM generate_series(1, 9000) g"
    try:
        error = refused(truth, "postgresql_from", sql, f"{dest}_to", "u", path=path)
        assert error.code == "sql", str(error)
        assert (error.sqlstate or "").startswith("23") or dest == "sqlite", str(error)
        assert truth.rows(f"{dest}_to", "SELECT id FROM u") == [("42",)]
    finally:
        truth.execute(f"{dest}_to", "DROP TABLE u")


def test_null_into_not_null(truth: Truth) -> None:
    for dest in KINDS:
        truth.execute(f"{dest}_to", "CREATE TABLE nn (id INT, v INT NOT NULL)")
        error = refused(truth, "postgresql_from", "SELECT 1 AS id, NULL::int AS v", f"{dest}_to", "nn")
        assert error.code in {"sql", "value"}, f"{dest}: {error}"
        assert "v" in str(error).lower()
        truth.execute(f"{dest}_to", "DROP TABLE nn")


def test_load_data_forbidden_by_the_server(truth: Truth, mariadb: MariaDBServer) -> None:
    with mariadb.fresh_database() as name:
        truth.session.open(mariadb_request("forbidden", mariadb, name))
        truth.execute("forbidden", "CREATE TABLE f (id INT)", "SET GLOBAL local_infile = 0")
        try:
            result = move(truth, "sqlite_from", "SELECT 1 AS id", "forbidden", "f")
            assert (result.path, result.rows_written) == ("batch", 1)
            assert "forbid" in result.path_reason
            assert "local_infile" in str(
                refused(truth, "sqlite_from", "SELECT 1 AS id", "forbidden", "f", path="load-data")
            )
        finally:
            truth.execute("forbidden", "SET GLOBAL local_infile = 1")
            truth.session.close("forbidden")


FOREVER = {
    "postgresql": "SELECT g AS id, repeat('x', 200) AS v FROM generate_series(1, 100000000) g",
    "mariadb": "SELECT seq AS id, repeat('x', 200) AS v FROM seq_1_to_100000000",
    "sqlite": "WITH RECURSIVE g(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM g WHERE id < 100000000) SELECT id, 'x' AS v FROM g",
}


@pytest.mark.parametrize(
    ("source", "dest", "path"),
    [
        ("postgresql", "postgresql", "copy-raw"),
        ("postgresql", "postgresql", "copy-text"),
        ("sqlite", "postgresql", "auto"),
        ("mariadb", "postgresql", "auto"),
        ("postgresql", "mariadb", "load-data"),
        ("postgresql", "sqlite", "auto"),
        ("mariadb", "h2", "auto"),
    ],
)
@pytest.mark.sample(3)
def test_cancel_in_the_middle(truth: Truth, source: str, dest: str, path: str) -> None:
    truth.execute(
        f"{dest}_to", f"CREATE TABLE endless (id INT, v {TEXT[dest]})", "INSERT INTO endless VALUES (1, 'kept')"
    )
    stop = threading.Event()
    request = MigrateRequest(
        source=f"{source}_from", sql=FOREVER[source], dest=f"{dest}_to", table="endless", path=path, clear=True
    )
    try:
        with pytest.raises(JRunnerCancelled):
            truth.session.migrate(request, on_progress=lambda _: stop.set(), cancel=stop)
        # Both connections are free again: what was cancelled would keep them busy for minutes.
        assert truth.rows(f"{dest}_to", "SELECT id, v FROM endless") == [("1", "kept")]
        assert truth.rows(f"{source}_from", "SELECT 1")
    finally:
        truth.execute(f"{dest}_to", "DROP TABLE endless")


@pytest.mark.parametrize("cut", ["source", "dest"])
@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_cut_connection_is_the_error_reported(
    truth: Truth,
    postgresql: PostgreSQLServer,
    mariadb: MariaDBServer,
    cuttable_proxy: Open,
    tmp_path: Path,
    kind: str,
    cut: str,
) -> None:
    server = postgresql if kind == "postgresql" else mariadb
    proxy = cuttable_proxy(server.port)
    with server.fresh_database() as name:
        make = postgresql_request if kind == "postgresql" else mariadb_request
        request = make("cut", server, name)  # type: ignore[arg-type]
        url = request.url.replace(f":{server.port}/", f":{proxy.port}/")
        truth.session.open(type(request)(**{**request.__dict__, "url": url}))
        truth.session.open(sqlite_request("lite", tmp_path / "cut.db"))
        truth.session.execute("lite", ["CREATE TABLE t (id INT, v TEXT)", "INSERT INTO t VALUES (1, 'kept')"])
        truth.session.execute("cut", ["CREATE TABLE t (id INT, v TEXT)"])
        source, dest, sql = ("cut", "lite", FOREVER[kind]) if cut == "source" else ("lite", "cut", FOREVER["sqlite"])
        request2 = MigrateRequest(source=source, sql=sql, dest=dest, table="t")
        with pytest.raises(JRunnerError) as caught:
            truth.session.migrate(request2, on_progress=lambda _: proxy.cut())
        assert caught.value.code == "connection_lost", str(caught.value)
        if cut == "source":
            assert truth.rows("lite", "SELECT id, v FROM t") == [("1", "kept")]
        truth.session.close("cut")
        truth.session.close("lite")


@pytest.mark.parametrize(
    ("source", "dest", "path"),
    [
        ("postgresql", "postgresql", "copy-raw"),
        ("postgresql", "postgresql", "copy-binary"),
        ("postgresql", "mariadb", "load-data"),
        ("sqlite", "postgresql", "copy-text"),
        ("mariadb", "sqlite", "batch"),
    ],
)
@pytest.mark.sample(3)
def test_huge_rows_do_not_add_up_in_memory(truth: Truth, source: str, dest: str, path: str) -> None:
    """Twenty rows of ten megabytes each through a heap of 256 MB; with all of them in it, it would not do."""
    numbers = {
        "postgresql": "SELECT g AS id, repeat('0123456789', 1000000) AS v FROM generate_series(1, 20) g",
        "mariadb": "SELECT seq AS id, repeat('0123456789', 1000000) AS v FROM seq_1_to_20",
        "sqlite": "WITH RECURSIVE g(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM g WHERE id < 20) "
        "SELECT id, replace(hex(zeroblob(1000000)), '00', '0123456789') AS v FROM g",
    }[source]
    sizes = "SELECT COUNT(*), MIN(LENGTH(v)), MAX(LENGTH(v)) FROM huge"
    with Session(heap="256m") as session:
        session.open(truth.requests[f"{source}_from"])
        session.open(truth.requests[f"{dest}_to"])
        session.execute(f"{dest}_to", [f"CREATE TABLE huge (id INT, v {TEXT[dest]})"])
        try:
            result = session.migrate(
                MigrateRequest(source=f"{source}_from", sql=numbers + ";", dest=f"{dest}_to", table="huge", path=path)
            )
            assert (result.path, result.rows_written) == (path, 20)
            assert session.query(f"{dest}_to", sizes).rows == (("20", "10000000", "10000000"),)
        finally:
            if session.alive:
                session.execute(f"{dest}_to", ["DROP TABLE huge"])

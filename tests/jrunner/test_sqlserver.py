"""SQL Server's kind in jrunner, against H2 behind the ways of Microsoft's driver and of the server (TsqlDriver.java)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipekit_engine.databases.dialects import get_dialect
from pipekit_engine.jrunner import JRunnerError, MigrateRequest, OpenRequest, Session
from pipekit_engine.sql.subqueries import divide_query
from tests.jars import jar
from tests.jrunner.conftest import compiled_jar, sqlite_request
from tests.jrunner.splitting import split_request

Open = Callable[..., str]


@pytest.fixture(scope="module")
def driver(java: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return compiled_jar("TsqlDriver", tmp_path_factory.mktemp("tsql"), jar("h2"))


@pytest.fixture
def tsql(session: Session, driver: str) -> Iterator[Open]:
    """A function that opens a new database as kind sqlserver, as Microsoft's driver or jTDS show it."""

    def connect(name: str = "ms", *, as_jtds: bool = False) -> str:
        url = f"jdbc:tsql:{secrets.token_hex(6)}{';jtds' if as_jtds else ''}"
        session.open(OpenRequest(name, url, [driver, jar("h2")], kind="sqlserver", driver_class="tsql.TsqlDriver"))
        return name

    yield connect
    session.close()


def test_counts_are_told_whatever_the_servers_default(session: Session, tsql: Open) -> None:
    """With NOCOUNT on for the server, each merge would count -1."""
    tsql()
    assert "SET NOCOUNT OFF" in [row[0] for row in session.query("ms", "SELECT * FROM settings", max_rows=9).rows]


QUERIES = [
    "SELECT id, name FROM s",
    "SELECT id, name FROM s ORDER BY name",
    "WITH a AS (SELECT * FROM s), b (id, name) AS (SELECT id, name FROM a) SELECT id, name FROM b",
    "-- of [it's]\n/* with */ with a AS (SELECT id, name FROM s) SELECT id, name FROM a ORDER BY name DESC",
    "SELECT TOP (3) id, name FROM s ORDER BY id",
]


@pytest.mark.parametrize("as_jtds", [False, True], ids=["microsoft", "jtds"])
@pytest.mark.parametrize("sql", QUERIES)
def test_a_query_is_described_read_and_split(
    session: Session, tsql: Open, tmp_path: Path, sql: str, *, as_jtds: bool
) -> None:
    """Behind SET FMTONLY ON a WITH fails with 319; within parentheses it fails with 156, and an ORDER BY with 1033."""
    tsql(as_jtds=as_jtds)
    session.execute(
        "ms", ["CREATE TABLE s (id INT, name VARCHAR(9))", "INSERT INTO s VALUES (1, 'a'), (2, 'b'), (9, 'c')"]
    )
    assert [column.name.lower() for column in session.describe("ms", sql=sql)] == ["id", "name"]
    session.open(sqlite_request("file", tmp_path / "f.db"))
    session.execute("file", ["CREATE TABLE d (id INTEGER, name TEXT)"])
    # H2 names its columns in capitals.
    ranges = None if "TOP" in sql else split_request(session, "ms", "sqlserver", sql, ["ID"], rows=1)
    for split in (None, ranges):
        done = session.migrate(MigrateRequest("ms", sql, "file", "d", split=split))
        assert done.rows_read == 3
        assert (done.split is None) == (split is None)
    assert session.query("file", "SELECT COUNT(*) FROM d WHERE name IN ('a', 'b', 'c')").first == "6"


@pytest.mark.parametrize(
    ("sql", "divided"),
    [
        ("SELECT 1", ("", "SELECT 1")),
        ("SELECT a FROM t ORDER BY a", ("", "SELECT a FROM t")),
        ("SELECT a FROM t ORDER BY a OPTION (RECOMPILE)", ("", "SELECT a FROM t")),
        ("SELECT a FROM t OPTION (MAXDOP 1)", ("", "SELECT a FROM t")),
        ("SELECT TOP 5 a FROM t ORDER BY a", ("", "SELECT TOP 5 a FROM t ORDER BY a")),
        ("SELECT a FROM t ORDER BY a OFFSET 5 ROWS", ("", "SELECT a FROM t ORDER BY a OFFSET 5 ROWS")),
        ("SELECT ROW_NUMBER() OVER (ORDER BY a) FROM [order by]", ("", "SELECT ROW_NUMBER() OVER (ORDER BY a) FROM [order by]")),
        ("WITH x (a) AS (SELECT 1 ORDER BY 1), [y--z] AS (SELECT 2) SELECT * FROM x ORDER BY 1",
         ("WITH x (a) AS (SELECT 1 ORDER BY 1), [y--z] AS (SELECT 2) ", "SELECT * FROM x")),
        ("WITH x AS (SELECT 1) (SELECT * FROM x)", ("WITH x AS (SELECT 1) ", "(SELECT * FROM x)")),
    ],
)  # fmt: skip
def test_a_query_is_divided_for_a_subquery(sql: str, divided: tuple[str, str]) -> None:
    assert divide_query(sql, get_dialect("sqlserver").capabilities.syntax, ordered=False) == divided
    if not sql.startswith("WITH"):
        assert divide_query(sql, get_dialect("postgresql").capabilities.syntax, ordered=True) == ("", sql)


def test_characters_that_a_code_page_lacks_are_refused(session: Session, tsql: Open, tmp_path: Path) -> None:
    """They were stored as question marks: `中ж€` became `??€`."""
    tsql()
    session.open(sqlite_request("file", tmp_path / "f.db"))
    pages = {"western": 1252, "cyrillic": 1251, "chinese": 936, "utf8": 65001, "other": 4242}
    columns = ", ".join(f"{name} VARCHAR(20)" for name in (*pages, "wide"))
    rows = ", ".join(f"('{name.upper()}', {page})" for name, page in pages.items())
    session.execute(
        "ms",
        [f"CREATE TABLE d ({columns})", "CREATE TABLE code_pages (name VARCHAR(20), page INT)",
         f"INSERT INTO code_pages VALUES {rows}"],
    )  # fmt: skip

    def move(column: str, text: str) -> str | None:
        try:
            session.migrate(MigrateRequest("file", f"SELECT '{text}' AS {column.upper()}", "ms", "d"))
        except JRunnerError as error:
            return f"{error.code} {error.column}: {error.message}"
        assert session.query("ms", f"SELECT COUNT(*) FROM d WHERE {column} = '{text}'").first == "1"
        return None

    for column, text in [("western", "é€"), ("cyrillic", "ж€"), ("chinese", "中ж"), ("utf8", "中ж€😀"), ("other", "plain"),
                         ("wide", "中ж€😀")]:  # fmt: skip
        assert move(column, text) is None
    for column, text, lost in [("western", "é中", "中"), ("western", "aЖ", "Ж"), ("western", "Ā", "Ā"), ("cyrillic", "жé", "é"),
                               ("chinese", "中😀", "😀"), ("other", "é", "é")]:  # fmt: skip
        told = move(column, text) or ""
        assert told.startswith(f"value {column.upper()}: "), told
        assert f"'{lost}' is not in the column's code page {pages[column]}" in told

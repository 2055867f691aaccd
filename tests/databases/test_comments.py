"""Remarks of a source become comments of the destination that a run makes, and never cost a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlglot

from pipekit_engine.databases.dialects import Catalog, get_dialect, kinds
from pipekit_engine.databases.names import TableName
from pipekit_engine.databases.remarks import TableRemarks, fit_comment
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.models import Column
from tests.databases.conftest import EMBEDDED
from tests.running.workbench import Workbench

NASTY = {
    "id": 'it\'s "the" `key`',
    "total": "line one\nline two\twith \\ and \\' and \\\\",
    "note": "'); DROP TABLE orders; -- {since} ? $1 :name ünï 日本",
    "plain": None,
}
TABLE_REMARK = "all 'orders'\\"


@pytest.fixture(scope="module")
def pool(java: str) -> Iterator[SessionPool]:
    with SessionPool(1) as pool:
        yield pool


@pytest.fixture
def bench(tmp_path: Path, pool: SessionPool, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A workbench with a function that opens connections to fresh databases of any kind."""
    bench = Workbench(tmp_path, pool)
    with ExitStack() as stack:

        def connect(name: str, kind: str, **fields: Any) -> str:
            if kind in EMBEDDED:
                url, user, _ = EMBEDDED[kind]
                url = url.format(folder=tmp_path, name=f"{tmp_path.name}_{name}")
                bench.connect(name, kind, url, user, "" if user else None, **fields)
                return name
            server = request.getfixturevalue(kind)
            database = str(stack.enter_context(server.fresh_database()))
            if kind == "mariadb":
                fields.setdefault("staging_schema", f"{database}_staging")
                stack.callback(server.drop_database, f"{database}_staging")
            bench.connect(name, kind, server.jdbc_url(database), server.user, server.password, **fields)
            return database

        bench.connect_to = connect  # type: ignore[attr-defined]
        yield bench
        bench.close()


def fill_source(bench: Any, kind: str, query: str = "SELECT * FROM orders") -> None:
    """A table `orders` with remarks in a source of this kind, and a module that reads it."""
    dialect = get_dialect(kind)
    table = TableName(dialect.fold("orders"))
    columns = [(dialect.fold(name), str(dialect.types["int32"])) for name in NASTY]
    remarks = TableRemarks(TABLE_REMARK, {dialect.fold(name): text for name, text in NASTY.items() if text})
    bench.execute(
        dialect.create_table_sql(table, columns), *dialect.comment_sql(table, remarks, columns), connection="source"
    )
    bench.execute(f"INSERT INTO {dialect.table_sql(table)} VALUES (1, 2, 3, 4)", connection="source")
    bench.module(source="source", query=query, dest_table="copied")


def comments(bench: Any, connection: str = "dst", table: str = "copied") -> TableRemarks:
    """What the destination says about its new table, read by the drivers."""
    with bench.session(connection) as (session, handle):
        dialect = get_dialect(bench.store.definitions.connection(connection).driver)
        remarks = dialect.get_remarks(Catalog(session, handle), dialect.table_name(table))
    return TableRemarks(remarks.table, {column.lower(): text for column, text in remarks.columns.items()})


EXPECTED = TableRemarks(TABLE_REMARK, {name: text for name, text in NASTY.items() if text})


@pytest.mark.postgresql
@pytest.mark.mariadb
@pytest.mark.parametrize(
    ("source", "dest"),
    [
        ("mariadb", "postgresql"),
        ("postgresql", "mariadb"),
        ("h2", "postgresql"),
        ("postgresql", "hsqldb"),
        ("hsqldb", "h2"),
    ],
)
@pytest.mark.sample(2)
def test_remarks_arrive_as_comments(bench: Any, source: str, dest: str) -> None:
    bench.connect_to("source", source)
    bench.connect_to("dst", dest)
    fill_source(bench, source)
    plan = bench.engine.run("m", dry_run=True, sessions=bench.pool).plan
    assert plan is not None
    assert "COMMENT" in plan.render()
    record = bench.run()
    assert (record.status, record.rows_inserted) == ("success", 1)
    assert "COMMENT" in (record.merge_sql or "")
    assert "warning" not in record.live_log
    assert comments(bench) == EXPECTED
    # An existing destination keeps its comments, and is asked for none.
    assert "COMMENT" not in (bench.run().merge_sql or "")


@pytest.mark.mariadb
@pytest.mark.postgresql
def test_comments_change_no_type_in_mariadb(bench: Any) -> None:
    """MODIFY COLUMN repeats the type: nothing else about the column may change."""
    bench.connect_to("source", "postgresql")
    bench.connect_to("dst", "mariadb")
    bench.execute(
        "CREATE TABLE t (a timestamptz, b timestamp, c varchar(20), d numeric(20,3), e boolean, f text, g bytea)",
        connection="source",
    )
    bench.module("bare", source="source", dest_table="bare")
    bench.module("told", source="source", dest_table="told")
    bench.run("bare")
    bench.execute(*(f"COMMENT ON COLUMN t.{name} IS 'about {name} 😀'" for name in "abcdefg"), connection="source")
    bench.run("told")
    shown = "SELECT column_name, column_type, is_nullable, column_default, extra, collation_name FROM information_schema.columns"
    bare = bench.rows(f"{shown} WHERE table_schema = DATABASE() AND table_name = 'bare'")
    assert bare == bench.rows(f"{shown} WHERE table_schema = DATABASE() AND table_name = 'told'")
    # Comments are kept in three-byte UTF-8.
    assert comments(bench, table="told").columns["a"] == "about a \N{REPLACEMENT CHARACTER}"


@pytest.mark.mariadb
@pytest.mark.postgresql
def test_a_dest_type_with_a_key_is_commented_too(bench: Any) -> None:
    """MODIFY COLUMN ... PRIMARY KEY would ask for a second primary key."""
    bench.connect_to("source", "postgresql")
    bench.connect_to("dst", "mariadb")
    bench.execute(
        "CREATE TABLE t (a int, b text)",
        "INSERT INTO t VALUES (7, 'x')",
        "COMMENT ON COLUMN t.a IS 'the key'",
        "COMMENT ON COLUMN t.b IS 'the code'",
        connection="source",
    )
    columns = (
        Column(source_name="a", dest_name="a", dest_type="int NOT NULL AUTO_INCREMENT PRIMARY KEY"),
        Column(source_name="b", dest_name="b", dest_type="varchar(20) UNIQUE DEFAULT 'none'"),
    )
    bench.module(source="source", dest_table="copied", columns=columns)
    assert "warning" not in bench.run().live_log
    assert comments(bench).columns == {"a": "the key", "b": "the code"}
    shown = "SELECT column_name, column_key, extra, column_default FROM information_schema.columns"
    assert bench.rows(f"{shown} WHERE table_schema = DATABASE() AND table_name = 'copied'") == [
        ("a", "PRI", "auto_increment", None),
        ("b", "UNI", "", "'none'"),
    ]


@pytest.mark.mariadb
@pytest.mark.postgresql
@pytest.mark.parametrize("dest", ["postgresql", "mariadb"])
def test_an_added_column_brings_its_remark_and_no_other(bench: Any, dest: str) -> None:
    bench.connect_to("source", "postgresql")
    bench.connect_to("dst", dest)
    bench.execute("CREATE TABLE t (a int)", "INSERT INTO t VALUES (1)", connection="source")
    bench.module(source="source", dest_table="copied", on_schema_change="add_columns")
    bench.run()
    bench.execute(
        "ALTER TABLE t ADD COLUMN b int",
        "COMMENT ON TABLE t IS 'told later'",
        "COMMENT ON COLUMN t.a IS 'told later'",
        "COMMENT ON COLUMN t.b IS 'new'",
        connection="source",
    )
    record = bench.run()
    assert (record.status, "warning" in record.live_log) == ("success", False)
    assert comments(bench) == TableRemarks(None, {"b": "new"})


@pytest.mark.postgresql
def test_columns_of_a_join_and_renamed_ones(bench: Any) -> None:
    bench.connect_to("source", "postgresql")
    bench.connect_to("dst", "postgresql")
    bench.execute(
        "CREATE SCHEMA s",
        "CREATE TABLE s.a (id int, n int)",
        "CREATE TABLE b (id int, m int)",
        "COMMENT ON TABLE s.a IS 'a'",
        "COMMENT ON COLUMN s.a.n IS 'the n'",
        "COMMENT ON COLUMN b.m IS 'the m'",
        connection="source",
    )
    bench.module(
        source="source",
        query="SELECT id, x.n AS counted, m, 1 AS n FROM s.a x JOIN b USING (id)",
        dest_table="copied",
    )
    bench.run()
    assert comments(bench) == TableRemarks(None, {"counted": "the n", "m": "the m"})


@pytest.mark.postgresql
def test_a_comment_that_is_refused_in_the_transaction_costs_no_run(bench: Any, postgresql: Any) -> None:
    """A database in LATIN1 cannot hold the source's Japanese; the rows still arrive, in one transaction."""
    bench.connect_to("source", "postgresql")
    name = bench.connect_to("dst", "postgresql")
    postgresql.drop_database(name)
    postgresql.sql(
        "postgres", f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )
    fill_source(bench, "postgresql")
    record = bench.run()
    assert (record.status, record.rows_inserted) == ("success", 1)
    assert "warning: the destination gets no comments" in record.live_log
    assert bench.rows("SELECT * FROM copied") == [("1", "2", "3", "4")]
    assert not comments(bench)


@pytest.mark.mariadb
@pytest.mark.postgresql
def test_a_comment_that_is_refused_apart_costs_no_run(bench: Any, mariadb: Any) -> None:
    """A login that may create tables but not alter them."""
    bench.connect_to("source", "postgresql")
    database = bench.connect_to("admin", "mariadb")
    user = f"u_{database[-10:]}"
    for schema in (database, f"{database}_staging"):
        mariadb.sql("", f"CREATE DATABASE IF NOT EXISTS {schema}")
    mariadb.sql("", f"CREATE USER '{user}'@'%' IDENTIFIED BY 'pw-of-the-test'")
    rights = "SELECT, INSERT, DELETE, CREATE, DROP"
    mariadb.sql(
        "", f"GRANT {rights} ON {database}.* TO '{user}'@'%'; GRANT {rights} ON {database}_staging.* TO '{user}'@'%'"
    )
    try:
        bench.connect(
            "dst", "mariadb", mariadb.jdbc_url(database), user, "pw-of-the-test", staging_schema=f"{database}_staging"
        )
        fill_source(bench, "postgresql")
        record = bench.run()
        assert (record.status, record.rows_inserted) == ("success", 1)
        assert "warning: a comment on the destination was refused" in record.live_log
        assert not comments(bench)
    finally:
        mariadb.sql("", f"DROP USER '{user}'@'%'")


@pytest.mark.postgresql
def test_where_there_are_no_comments_none_are_asked_for(bench: Any) -> None:
    bench.connect_to("source", "postgresql")
    bench.connect_to("dst", "sqlite")
    fill_source(bench, "postgresql")
    record = bench.run()
    assert record.status == "success"
    assert "COMMENT" not in (record.merge_sql or "")


@pytest.mark.parametrize("kind", kinds())
def test_comment_sql(kind: str) -> None:
    """Every kind's statements: quoted, one literal each, and read by a parser of that dialect."""
    dialect = get_dialect(kind)
    remarks = TableRemarks("it's", {"a": "b'); DROP TABLE x; --", "gone": "not a column"})
    statements = dialect.comment_sql(TableName("t t", "s"), remarks, [("a", "int"), ("b", "int")])
    expected = {"sqlite": 0, "derby": 0, "generic": 0, "mariadb": 1, "mysql": 1}.get(kind, 2)
    assert len(statements) == expected
    assert "not a column" not in "".join(statements)
    parser = {"postgresql": "postgres", "mariadb": "mysql", "mysql": "mysql", "oracle": "oracle"}.get(kind)
    for statement in statements:
        if parser is not None:
            assert len(sqlglot.parse(statement, dialect=parser)) == 1
        texts = [
            item.text for item in sqlglot.tokenize(statement, dialect=parser or "") if item.token_type.name == "STRING"
        ]
        assert not [text for text in texts if text.startswith(" DROP")]


def test_sql_servers_descriptions() -> None:
    dialect = get_dialect("sqlserver")
    [table, column] = dialect.comment_sql(
        TableName("Orders", "dbo"), TableRemarks("it's", {"Id": "日本"}), [("Id", "int")]
    )
    assert table == (
        "EXEC sys.sp_addextendedproperty @name = N'MS_Description', @value = N'it''s', "
        "@level0type = N'SCHEMA', @level0name = N'dbo', @level1type = N'TABLE', @level1name = N'Orders'"
    )
    assert column.endswith("@level1name = N'Orders', @level2type = N'COLUMN', @level2name = N'Id'")
    [own] = dialect.comment_sql(TableName("t"), TableRemarks("x"), [])
    assert own.startswith("DECLARE @pipekit_schema sysname = SCHEMA_NAME(); EXEC sys.sp_addextendedproperty")


def test_a_comment_is_cut_where_it_must_be() -> None:
    assert fit_comment("  short\0\x07 ", 10) == "short"
    assert fit_comment("0123456789", 10) == "0123456789"
    assert fit_comment("0123456789a", 10) == "012345678…"
    assert fit_comment("üüüüüü", 10, bytes_=True) == "üüü…"
    assert len(fit_comment("日" * 5000, 4000, bytes_=True).encode()) <= 4000

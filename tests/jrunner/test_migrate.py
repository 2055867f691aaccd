"""The migrate operation through the client: progress, cancel, lost connections. What values become is the truth suite's."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from pipekit_engine.common.progress import Progress
from pipekit_engine.jrunner import (
    ColumnPair,
    JRunnerCancelled,
    JRunnerError,
    MigrateRequest,
    OpenRequest,
    Session,
    Statement,
)
from tests.jars import jar
from tests.jrunner.conftest import mariadb_request, postgresql_request, sqlite_request
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.proxy import CuttableProxy

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, 'text ' || i AS x FROM n"
KINDS = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.postgresql),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]


@pytest.fixture(params=KINDS)
def dest_request(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenRequest]:
    """How to open an empty database of each kind, as "dest"."""
    if request.param == "sqlite":
        yield sqlite_request("dest", tmp_path / "dest.db")
    else:
        server: Any = request.getfixturevalue(request.param)
        make = postgresql_request if request.param == "postgresql" else mariadb_request
        with server.fresh_database() as name:
            yield make("dest", server, name)


@pytest.fixture
def dest(dest_request: OpenRequest, session: Session, tmp_path: Path) -> Iterator[str]:
    """A source named "source" (SQLite) and a destination "dest" of each kind, with a table t(i, x) of one row."""
    session.open(sqlite_request("source", tmp_path / "source.db"))
    session.open(dest_request)
    session.execute("dest", ["CREATE TABLE t (i bigint, x varchar(100))", "INSERT INTO t VALUES (-1, 'old')"])
    yield dest_request.kind
    session.close()


def count(session: Session) -> str | None:
    return session.query("dest", "SELECT count(*) FROM t").first


def test_counts_path_and_time_are_told(session: Session, dest: str) -> None:
    sql = ENDLESS.replace("FROM n)", "FROM n WHERE i < 1000)")
    result = session.migrate(MigrateRequest("source", sql, "dest", "t", clear=True))
    assert (result.rows_read, result.rows_written) == (1000, 1000)
    assert result.path == {"sqlite": "batch", "postgresql": "copy-binary", "mariadb": "load-data"}[dest]
    assert result.path_reason
    assert result.bytes > 1000
    assert count(session) == "1000"


def test_an_empty_source_moves_nothing(session: Session, dest: str) -> None:
    result = session.migrate(MigrateRequest("source", "SELECT 1 AS i, 'x' AS x WHERE 0", "dest", "t"))
    assert (result.rows_read, result.rows_written) == (0, 0)
    assert count(session) == "1"


def test_columns_are_matched_by_name(session: Session, dest: str) -> None:
    pairs = (ColumnPair("Name", "x"), ColumnPair("Number", "i"))
    session.migrate(MigrateRequest("source", "SELECT 'a' AS Name, 5 AS Number", "dest", "t", columns=pairs, clear=True))
    assert session.query("dest", "SELECT i, x FROM t").rows == (("5", "a"),)
    with pytest.raises(JRunnerError) as raised:
        session.migrate(MigrateRequest("source", "SELECT 'a' AS x, 5 AS j", "dest", "t"))
    assert raised.value.code == "columns"
    assert "j" in raised.value.message


def test_progress_and_cancel(session: Session, dest: str) -> None:
    seen: list[Progress] = []
    cancel = threading.Event()

    def progress(event: Progress) -> None:
        seen.append(event)
        # Soon: MariaDB takes longer to roll rows back than to load them.
        if event.rows:
            cancel.set()

    with pytest.raises(JRunnerCancelled):
        session.migrate(MigrateRequest("source", ENDLESS, "dest", "t", clear=True), on_progress=progress, cancel=cancel)
    assert seen[-1].rows > 0
    assert seen[-1].bytes > 0
    assert session.query("dest", "SELECT i, x FROM t").rows == (("-1", "old"),)
    assert session.query("source", "SELECT 1").first == "1"


def test_an_error_in_the_source_leaves_the_destination(session: Session, dest: str) -> None:
    sql = "SELECT i, abs(CASE WHEN i < 50000 THEN i ELSE -9223372036854775807 - 1 END) AS x FROM ("
    sql += ENDLESS.replace("FROM n)", "FROM n WHERE i < 60000)") + ")"
    with pytest.raises(JRunnerError, match="integer overflow") as raised:
        session.migrate(MigrateRequest("source", sql, "dest", "t", clear=True))
    assert (raised.value.phase, raised.value.code) == ("read", "sql")
    assert session.query("dest", "SELECT i, x FROM t").rows == (("-1", "old"),)


@pytest.mark.parametrize(("sql", "table"), [("SELECT wrong", "t"), ("SELECT 1 AS i, 'x' AS x", "missing")])
def test_a_wrong_name_is_told_with_its_statement(session: Session, dest: str, sql: str, table: str) -> None:
    with pytest.raises(JRunnerError, match=r"wrong|missing") as raised:
        session.migrate(MigrateRequest("source", sql, "dest", table))
    assert raised.value.code == "sql"
    assert raised.value.statement
    assert count(session) == "1"


@pytest.mark.postgresql
@pytest.mark.parametrize("side", ["source", "dest"])
def test_a_connection_cut_in_the_middle(
    session: Session,
    postgresql: PostgreSQLServer,
    cuttable_proxy: Callable[[int], CuttableProxy],
    tmp_path: Path,
    side: str,
) -> None:
    with postgresql.fresh_database() as database:
        proxy = cuttable_proxy(postgresql.port)

        def request(name: str) -> OpenRequest:
            port = proxy.port if name == side else postgresql.port
            url = f"jdbc:postgresql://127.0.0.1:{port}/{database}"
            login = {"user": postgresql.user, "password": postgresql.password}
            return OpenRequest(name, url, [jar("postgresql")], **login)

        session.open(request("source"))
        session.open(request("dest"))
        session.execute("dest", ["CREATE TABLE t (i bigint, x text)", "INSERT INTO t VALUES (-1, 'old')"])
        # In the select list the series streams; in FROM the server would make all of it first.
        sql = "SELECT generate_series(1, 100000000)::bigint AS i, repeat('x', 100) AS x"

        def cut(progress: Progress) -> None:
            if progress.rows:
                proxy.cut()

        with pytest.raises(JRunnerError) as raised:
            session.migrate(MigrateRequest("source", sql, "dest", "t", clear=True), on_progress=cut)
        assert raised.value.code == "connection_lost"
        assert raised.value.phase == {"source": "read", "dest": "write"}[side]
        proxy.mend()
        assert session.open(request("dest")).reused == (side == "source")
        assert session.open(request("source")).reused == (side == "dest")
        assert session.query("dest", "SELECT i, x FROM t").rows == (("-1", "old"),)
        session.close()


def test_source_and_destination_in_one_sqlite_file(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE a (i INTEGER, x TEXT)")
        connection.execute("CREATE TABLE b (i INTEGER, x TEXT)")
        connection.executemany("INSERT INTO a VALUES (?, ?)", [(i, "x" * 100) for i in range(50_000)])
    session.open(sqlite_request("source", path))
    session.open(sqlite_request("dest", path))
    result = session.migrate(MigrateRequest("source", "SELECT * FROM a", "dest", "b"))
    assert result.rows_written == 50_000
    session.close()


def test_statements_share_the_transaction_of_the_rows(session: Session, dest: str) -> None:
    """Before and behind them; nothing of it stays where a count is another, or the caller does not confirm."""
    sql = ENDLESS.replace("FROM n)", "FROM n WHERE i < 3)")
    deletes, counts = Statement("DELETE FROM t"), Statement("SELECT count(*) FROM t", is_count=True, expect_read=True)
    seen: list[int] = []

    def refuse(rows: int) -> None:
        seen.append(rows)
        raise ValueError("not now")

    with pytest.raises(ValueError, match="not now"):
        session.migrate(MigrateRequest("source", sql, "dest", "t", before=[deletes]), before_commit=refuse)
    with pytest.raises(JRunnerError) as raised:
        session.migrate(MigrateRequest("source", sql, "dest", "t", after=[Statement("UPDATE t SET i = i"), counts]))
    assert (raised.value.code, raised.value.statement_index) == ("count_mismatch", 1)
    assert count(session) == "1"
    request = MigrateRequest("source", sql, "dest", "t", before=[deletes], after=[counts])
    result = session.migrate(request, before_commit=seen.append)
    assert (result.counts, result.rows_written, seen) == ((1, 3), 3, [3, 3])
    assert count(session) == "3"


def test_a_table_that_the_transaction_makes(session: Session, dest: str) -> None:
    if dest == "mariadb":
        pytest.skip("this kind commits DDL at once")
    made = [Statement("CREATE TABLE made (i bigint, x varchar(100))")]
    with pytest.raises(JRunnerError, match="nowhere"):
        session.migrate(MigrateRequest("source", "SELECT i, x FROM nowhere", "dest", "made", before=made))
    session.migrate(MigrateRequest("source", "SELECT 1 AS i, 'x' AS x", "dest", "made", before=made))
    assert session.query("dest", "SELECT count(*) FROM made").first == "1"


def test_requests_that_hold_a_snapshot_see_one_moment(session: Session, dest: str, dest_request: OpenRequest) -> None:
    """Read from each kind; whatever else is asked on the connection sees what is there, and so does what follows an error."""
    if dest == "sqlite":
        session.execute("dest", ["PRAGMA journal_mode = WAL"], transaction=False)
    session.execute("source", ["CREATE TABLE u (i INTEGER, x TEXT)", "CREATE TABLE marks (n INTEGER)"])
    mark = Statement("INSERT INTO marks VALUES ({rows})", with_rows=True)

    def read(snapshot: Literal["hold", "end"] | None, sql: str = "SELECT i, x FROM t") -> tuple[int, bool]:
        result = session.migrate(MigrateRequest("dest", sql, "source", "u", after=[mark], snapshot=snapshot))
        return result.rows_read, result.snapshot

    with Session() as writer:
        writer.open(dest_request)

        def write() -> None:
            writer.execute("dest", ["INSERT INTO t VALUES (1, 'new')"])

        assert read("hold") == (1, True)
        write()
        assert read("hold") == (1, True)
        assert read("end") == (1, True)
        assert read(None) == (2, False)
        assert read("hold") == (2, True)
        write()
        assert count(session) == "3"
        assert read("end") == (3, False)
        assert read("hold") == (3, True)
        with pytest.raises(JRunnerError):
            read("hold", "SELECT i, x FROM nowhere")
        write()
        assert read("hold") == (4, True)
        session.execute("dest", ["DELETE FROM t"])
        assert read("end") == (0, False)
    assert session.query("source", "SELECT group_concat(n) FROM marks").first == "1,1,1,2,2,3,3,4,0"

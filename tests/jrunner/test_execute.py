"""The execute operation: all statements or none, and row counts that can be relied on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipekit_engine.jrunner import JRunnerError, OpenRequest, Session, Statement
from tests.jars import jar
from tests.jrunner.conftest import LineSession, mariadb_request, postgresql_request, sqlite_request
from tests.servers.postgresql import PostgreSQLServer

KINDS = [
    "sqlite",
    "h2",
    "derby",
    "hsqldb",
    pytest.param("postgresql", marks=pytest.mark.postgresql),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
]


def embedded_request(kind: str, folder: Path) -> OpenRequest:
    """How to open a fresh database of an embedded kind."""
    urls = {
        "h2": f"jdbc:h2:{folder}/h2",
        "derby": f"jdbc:derby:{folder}/derby;create=true",
        "hsqldb": f"jdbc:hsqldb:file:{folder}/hsqldb/db;shutdown=true",
    }
    user = {"h2": "sa", "derby": None, "hsqldb": "SA"}[kind]
    return OpenRequest("db", urls[kind], [jar(kind)], kind=kind, user=user, password="" if user else None)


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, session: Session, tmp_path: Path) -> Iterator[str]:
    """Each kind of database in turn, open under the name "db", with an empty table t(i)."""
    kind = request.param
    if kind in ("postgresql", "mariadb"):
        server: Any = request.getfixturevalue(kind)
        make = postgresql_request if kind == "postgresql" else mariadb_request
        with server.fresh_database() as name:
            session.open(make("db", server, name))
            session.execute("db", ["CREATE TABLE t (i int NOT NULL)"])
            yield kind
            session.close("db")
        return
    session.open(sqlite_request("db", tmp_path / "db.db") if kind == "sqlite" else embedded_request(kind, tmp_path))
    session.execute("db", ["CREATE TABLE t (i int NOT NULL)"])
    yield kind
    session.close("db")


def rows(session: Session) -> list[str | None]:
    return [row[0] for row in session.query("db", "SELECT i FROM t ORDER BY i", max_rows=100).rows]


def test_counts_are_those_of_each_statement(session: Session, database: str) -> None:
    result = session.execute(
        "db",
        [
            "INSERT INTO t VALUES (1)",
            Statement("INSERT INTO t SELECT i + 1 FROM t", expect_rows=1),
            "UPDATE t SET i = i + 10",
            "DELETE FROM t WHERE i = 99",
            Statement("DELETE FROM t WHERE i = 11", expect_rows=1),
        ],
    )
    assert result.counts == (1, 1, 2, 0, 1)
    assert rows(session) == ["12"]


def test_a_failure_takes_everything_back(session: Session, database: str) -> None:
    session.execute("db", ["INSERT INTO t VALUES (1)"])
    with pytest.raises(JRunnerError) as raised:
        session.execute("db", ["DELETE FROM t", "INSERT INTO t VALUES (2)", "INSERT INTO t VALUES (NULL)"])
    error = raised.value
    assert (error.phase, error.code, error.statement_index) == ("execute", "sql", 2)
    assert error.statement == "INSERT INTO t VALUES (NULL)"
    assert rows(session) == ["1"]


def test_another_count_than_expected_takes_everything_back(session: Session, database: str) -> None:
    session.execute("db", ["INSERT INTO t VALUES (1)"])
    with pytest.raises(JRunnerError, match="changed 1 row, expected 2") as raised:
        session.execute("db", ["INSERT INTO t VALUES (2)", Statement("DELETE FROM t WHERE i = 1", expect_rows=2)])
    assert (raised.value.code, raised.value.statement_index) == ("count_mismatch", 1)
    assert rows(session) == ["1"]
    session.execute("db", ["INSERT INTO t VALUES (3)"])
    assert rows(session) == ["1", "3"]


def test_a_count_may_be_asked_by_a_query_and_be_that_of_another_statement(session: Session, database: str) -> None:
    result = session.execute(
        "db",
        [
            "INSERT INTO t VALUES (1)",
            Statement("SELECT COUNT(*) + 0 FROM t", is_count=True),
            Statement("UPDATE t SET i = 5", expect_count_of=1),
            Statement("SELECT COUNT(*) FROM t WHERE i = 6", expect_rows=0, is_count=True),
        ],
    )
    assert result.counts == (1, 1, 1, 0)
    with pytest.raises(JRunnerError, match="changed 1 row, expected 7") as raised:
        session.execute(
            "db", [Statement("SELECT 7 FROM t", is_count=True), Statement("DELETE FROM t", expect_count_of=0)]
        )
    assert (raised.value.code, raised.value.statement_index) == ("count_mismatch", 1)
    with pytest.raises(JRunnerError, match="found 1 row, expected 2"):
        session.execute("db", [Statement("SELECT COUNT(*) FROM t", expect_rows=2, is_count=True)])
    with pytest.raises(JRunnerError, match="earlier statement"):
        session.execute("db", [Statement("DELETE FROM t", expect_count_of=0)])
    assert rows(session) == ["5"]


def test_without_a_transaction_each_statement_stays(session: Session, database: str) -> None:
    with pytest.raises(JRunnerError) as raised:
        session.execute(
            "db",
            ["INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (NULL)", "INSERT INTO t VALUES (3)"],
            transaction=False,
        )
    assert raised.value.statement_index == 1
    assert rows(session) == ["1"]


def test_no_statements_are_no_work(session: Session, database: str) -> None:
    assert session.execute("db", []).counts == ()


def test_ddl_has_no_count(session: Session, sqlite: OpenRequest) -> None:
    result = session.execute(
        "sqlite",
        [
            "CREATE TABLE t (i)",
            "INSERT INTO t VALUES (1), (2)",
            "-- a comment\n/* and */ CREATE INDEX x ON t (i)",
            "/* none */ WITH two(i) AS (SELECT 2) DELETE FROM t WHERE i IN two",
            "CREATE TABLE u (i)",
            "SELECT 1",
        ],
    )
    assert result.counts == (0, 2, 0, 1, 0, -1)


@pytest.mark.postgresql
def test_a_commit_that_the_database_refuses(session: Session, postgresql: PostgreSQLServer) -> None:
    with postgresql.fresh_database() as name:
        session.open(postgresql_request("db", postgresql, name))
        session.execute(
            "db",
            [
                "CREATE TABLE a (i int PRIMARY KEY)",
                "CREATE TABLE t (i int REFERENCES a DEFERRABLE INITIALLY DEFERRED)",
            ],
        )
        with pytest.raises(JRunnerError) as raised:
            session.execute("db", ["INSERT INTO t VALUES (7)"])
        assert (raised.value.phase, raised.value.code, raised.value.sqlstate) == ("commit", "sql", "23503")
        assert rows(session) == []
        session.close("db")


@pytest.mark.postgresql
def test_several_statements_in_one_text_report_the_later_error(session: Session, postgresql: PostgreSQLServer) -> None:
    with postgresql.fresh_database() as name:
        session.open(postgresql_request("db", postgresql, name))
        with pytest.raises(JRunnerError, match="division by zero"):
            session.execute("db", ["CREATE TABLE t (i int); SELECT 1; SELECT 1 / 0"])
        with pytest.raises(JRunnerError):
            rows(session)
        session.close("db")


@pytest.mark.parametrize("kind", ["h2", "hsqldb", "derby"])
def test_a_commit_is_on_disk_when_it_is_told(kind: str, tmp_path: Path) -> None:
    request = embedded_request(kind, tmp_path)
    if kind == "hsqldb":
        # Without it, HSQLDB takes the database for still in use until ten seconds after the last sign of life.
        request = replace(request, url=f"{request.url};hsqldb.lock_file=false")
    with Session() as session:
        session.open(request)
        session.execute("db", ["CREATE TABLE t (i int)"])
        session.execute("db", ["INSERT INTO t VALUES (1)"])
        # As a power cut would: no shutdown, no flush.
        session.process._process.kill()
    with Session() as session:
        session.open(request)
        assert rows(session) == ["1"]


# Before the commit


def test_before_commit_sees_an_open_transaction(session: Session, database: str) -> None:
    asked = []
    session.execute("db", ["INSERT INTO t VALUES (1)"], before_commit=lambda: asked.append(True))
    assert asked == [True]
    assert rows(session) == ["1"]


@pytest.mark.parametrize("reason", [RuntimeError("no"), JRunnerError("no", phase="x", code="sql"), KeyboardInterrupt()])
def test_a_commit_that_is_refused_is_rolled_back(session: Session, database: str, reason: BaseException) -> None:
    def refuse() -> None:
        raise reason

    with pytest.raises(type(reason)):
        session.execute("db", ["INSERT INTO t VALUES (1)"], before_commit=refuse)
    assert rows(session) == []
    session.execute("db", ["INSERT INTO t VALUES (2)"])
    assert rows(session) == ["2"]


def test_a_statement_that_fails_asks_nobody(session: Session, database: str) -> None:
    asked = []
    with pytest.raises(JRunnerError):
        session.execute("db", ["INSERT INTO nowhere VALUES (1)"], before_commit=lambda: asked.append(True))
    assert asked == []


def test_a_cancel_ends_the_wait_for_the_confirmation(line_session: LineSession, tmp_path: Path) -> None:
    request = sqlite_request("db", tmp_path / "db.db").to_json()
    line_session.send(id=1, **request)
    line_session.answer(1)
    line_session.send(id=2, op="execute", connection="db", statements=[{"sql": "CREATE TABLE t (i int)"}], confirm=True)
    assert line_session.next() == {"id": 2, "event": "confirm", "counts": [0]}
    line_session.send(id=3, op="cancel", target=2)
    assert line_session.answer(3)["cancelled"] is True
    assert line_session.answer(2)["error"]["code"] == "cancelled"
    line_session.send(id=4, op="confirm", target=2)
    assert line_session.answer(4)["confirmed"] is False
    line_session.send(id=5, op="query", connection="db", sql="SELECT count(*) FROM sqlite_master")
    assert line_session.answer(5)["rows"] == [["0"]]


def test_a_confirmation_outside_of_a_transaction_is_refused(line_session: LineSession) -> None:
    line_session.send(id=1, op="execute", connection="db", statements=[], transaction=False, confirm=True)
    assert line_session.answer(1)["error"]["code"] in ("protocol", "not_open")

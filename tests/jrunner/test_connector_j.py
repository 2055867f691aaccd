"""MySQL's own driver, against MariaDB: what it converts and describes in its own way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipekit_engine.jrunner import MigrateRequest, OpenRequest, Session
from tests.jars import jar
from tests.jrunner.conftest import connector_j_request, mariadb_request, sqlite_request
from tests.servers.mariadb import MariaDBServer
from tests.servers.rogue import RogueMySQL

pytestmark = pytest.mark.mariadb


@pytest.fixture
def both(session: Session, mariadb: MariaDBServer) -> Iterator[str]:
    """One new database, open as `cj` by MySQL's driver and as `my` by MariaDB's."""
    with mariadb.fresh_database() as name:
        session.open(connector_j_request("cj", mariadb, name))
        session.open(mariadb_request("my", mariadb, name))
        yield name
        session.close("cj")
        session.close("my")


@pytest.mark.parametrize("connection", ["cj", "my"])
def test_fractions_of_a_query_are_described(session: Session, both: str, connection: str) -> None:
    """Its metadata has no scale for them: a column made from it was without a fraction, and each value was refused."""
    types = [f"{kind}{size}" for kind in ("DATETIME", "TIMESTAMP", "TIME") for size in ("", "(1)", "(3)", "(6)")]
    columns = ", ".join(f"c{i} {kind} NULL" for i, kind in enumerate(types))
    session.execute("my", [f"CREATE TABLE t ({columns})"])
    described = session.describe(connection, sql="SELECT * FROM t")
    assert [column.precision for column in described] == [0, 1, 3, 6] * 3
    also = session.describe(connection, sql="SELECT NOW(6) a, MAX(c2) b, MAX(c10) c FROM t")
    assert [column.precision for column in also] == [6, 3, 3]


@pytest.mark.parametrize("connection", ["cj", "my"])
def test_texts_of_every_character_set(session: Session, both: str, connection: str, tmp_path: Path) -> None:
    """The bytes of a latin1 column were read as UTF-8."""
    texts = {
        "latin1": "Ã©",
        "cp1251": "Привет",
        "utf8mb3": "€",
        "utf8mb4": "😀",
        "sjis": "漢字",
        "ucs2": "ж€",
        "ascii": "a",
    }
    columns = ", ".join(f"{name} VARCHAR(20) CHARACTER SET {name}" for name in texts)
    values = ", ".join(f"CONVERT(x'{text.encode().hex()}' USING utf8mb4)" for text in texts.values())
    session.execute("my", [f"CREATE TABLE t ({columns})", f"INSERT INTO t VALUES ({values})"])
    assert [list(row) for row in session.query(connection, "SELECT * FROM t").rows] == [list(texts.values())]
    session.open(sqlite_request("file", tmp_path / "f.db"))
    session.execute("file", [f"CREATE TABLE t ({', '.join(f'{name} TEXT' for name in texts)})"])
    session.migrate(MigrateRequest(source=connection, sql="SELECT * FROM t", dest="file", table="t"))
    assert [list(row) for row in session.query("file", "SELECT * FROM t").rows] == [list(texts.values())]
    session.close("file")
    session.execute("my", ["CREATE TABLE u AS SELECT * FROM t WHERE 1 = 0"])
    session.migrate(
        MigrateRequest(source=connection, sql="SELECT * FROM t", dest="my" if connection == "cj" else "cj", table="u")
    )
    for name, text in texts.items():
        assert (
            session.query("my", f"SELECT HEX(CONVERT({name} USING utf8mb4)) FROM u").first
            == text.encode().hex().upper()
        )


@pytest.mark.parametrize("kind", ["mysql", "mariadb"])
def test_staging_tables_need_no_primary_key(session: Session, kind: str) -> None:
    """sql_require_primary_key is off for the session where the login may; MariaDB has no such variable and is not asked."""
    with RogueMySQL("", polite=100) as server:
        session.open(
            OpenRequest(
                "db", f"jdbc:mysql://127.0.0.1:{server.port}/d", [jar("mysql")], user="u", password="p", kind=kind
            )
        )
        session.close("db")
        assert ("SET SESSION sql_require_primary_key = OFF" in server.statements) is (kind == "mysql")

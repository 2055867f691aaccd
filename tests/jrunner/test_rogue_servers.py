"""A server that a connection names may be hostile: it gets rows that it was sent, never a file of this machine."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pipekit_engine.jrunner import JRunnerError, Session
from pipekit_engine.jrunner.protocol import MigrateRequest, OpenRequest
from tests.jars import jar
from tests.jrunner.conftest import sqlite_request
from tests.servers.mariadb import MariaDBServer
from tests.servers.rogue import RogueMySQL, RoguePostgreSQL, RogueServer


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    file = tmp_path / "secrets.env"
    file.write_text("DW_PASSWORD='from the file'\n")
    return file


def attack(session: Session, rogue: RogueServer, folder: Path, driver: str, url: str, **more: Any) -> None:
    """Open, ask, and (to write) load into the server, as far as it lets us."""
    with suppress(JRunnerError):
        session.open(
            OpenRequest(
                "db", url.format(port=rogue.port), [jar(driver)], user="u", password="p", connect_timeout_s=5, **more
            )
        )
        for sql in ("SELECT 1", "LOAD DATA LOCAL INFILE 'x' INTO TABLE t"):
            with suppress(JRunnerError):
                session.query("db", sql)
        with suppress(JRunnerError):
            session.open(sqlite_request("src", folder / "src.db"))
            session.migrate(MigrateRequest("src", "SELECT 'a row of ours' AS v", "db", "t"))
    session.close("db")


@pytest.mark.parametrize("polite", [0, 4, 6])
@pytest.mark.parametrize("writes", [False, True])
@pytest.mark.parametrize("kind", ["mariadb", "mysql", "generic"])
@pytest.mark.parametrize("driver", ["mariadb", "mysql"])
def test_local_infile(
    session: Session, tmp_path: Path, secrets: Path, driver: str, kind: str, writes: bool, polite: int
) -> None:
    """Both drivers sent whatever file the server asked for, on every connection."""
    with RogueMySQL(str(secrets), polite=polite) as rogue:
        attack(session, rogue, tmp_path, driver, f"jdbc:{driver}://127.0.0.1:{{port}}/d", kind=kind, writes=writes)
        assert rogue.asked, "the server got to ask"
        assert b"from the file" not in rogue.sent


def test_postgresql_asks_for_rows(session: Session, tmp_path: Path, secrets: Path) -> None:
    with RoguePostgreSQL(str(secrets)) as rogue:
        attack(session, rogue, tmp_path, "postgresql", "jdbc:postgresql://127.0.0.1:{port}/d", kind="postgresql")
        assert rogue.asked
        assert rogue.sent == b""


@pytest.mark.mariadb
def test_loads_with_mysqls_driver_go_on(session: Session, tmp_path: Path, mariadb: MariaDBServer) -> None:
    """Only while rows are loaded may that driver send anything, and then only the stream that it was given."""
    with mariadb.fresh_database() as name:
        mariadb.sql(name, "CREATE TABLE t (v text)")
        url = mariadb.jdbc_url(name).replace("jdbc:mariadb", "jdbc:mysql")
        login = {"user": mariadb.user, "password": mariadb.password}
        session.open(OpenRequest("db", url, [jar("mysql")], kind="mysql", **login))
        session.open(sqlite_request("src", tmp_path / "src.db"))
        for _ in range(2):
            session.migrate(MigrateRequest("src", "SELECT 'a row of ours' AS v", "db", "t", path="load-data"))
        with pytest.raises(JRunnerError):
            session.execute("db", [f"LOAD DATA LOCAL INFILE '{tmp_path / 'src.db'}' INTO TABLE t"])
        assert mariadb.sql(name, "SELECT count(*) FROM t") == [("2",)]
        session.close("db")

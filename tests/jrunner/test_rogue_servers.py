"""A server that a connection names may be hostile: it gets rows that it was sent, never a file of this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pipekit_engine.databases.dialects import get_dialect
from pipekit_engine.jrunner import JRunnerDied, JRunnerError, Session
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.jrunner.protocol import MigrateRequest, OpenRequest
from tests.jars import jar, pinned_jar
from tests.jrunner.conftest import sqlite_request
from tests.servers.mariadb import MariaDBServer
from tests.servers.rogue import (
    Echo,
    Endless,
    Garbage,
    HangsUp,
    HttpServer,
    RogueMySQL,
    RoguePostgreSQL,
    RogueServer,
    Silent,
)


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


# Servers that speak no database's protocol, or none to its end.

TCP = {
    "sqlserver": "jdbc:sqlserver://127.0.0.1:{port};databaseName=d;encrypt=false",
    "sqlserver with TLS": "jdbc:sqlserver://127.0.0.1:{port};databaseName=d",
    "jtds": "jdbc:jtds:sqlserver://127.0.0.1:{port}/d",
    "oracle": "jdbc:oracle:thin:@//127.0.0.1:{port}/d",
    "db2i": "jdbc:as400://127.0.0.1/d;portNumber={port};prompt=false",
    "h2": "jdbc:h2:tcp://127.0.0.1:{port}/d",
    "hsqldb": "jdbc:hsqldb:hsql://127.0.0.1:{port}/d",
    "hsqldb over HTTP": "jdbc:hsqldb:http://127.0.0.1:{port}/d",
    "postgresql": "jdbc:postgresql://127.0.0.1:{port}/d",
    "mariadb": "jdbc:mariadb://127.0.0.1:{port}/d",
    "mysql": "jdbc:mysql://127.0.0.1:{port}/d",
}
#: Seconds until a connection must be there; and how much longer than that a failure may take on a busy machine.
TIMEOUT_S, GRACE_S = 2, 20
TALKS: dict[str, Callable[[str], RogueServer]] = {
    "HTTP": HttpServer,
    "garbage": Garbage,
    "garbage at once": lambda file: Garbage(file, speaks_first=True),
    "silence": Silent,
    "no end": Endless,
    "echo": Echo,
    "hangs up": HangsUp,
}
#: The driver waits until the timeout, whatever it is answered.
WAITS = {"silence", "no end"}


@pytest.fixture
def pool() -> Iterator[SessionPool]:
    with SessionPool(1) as pool:
        yield pool


@pytest.mark.parametrize("name", TCP)
def test_whatever_a_server_says_a_connection_fails_in_time(pool: SessionPool, secrets: Path, name: str) -> None:
    """Clearly, within its timeout, and without taking it for a refused login; no file leaves this machine.

    A driver that makes room for the length that it reads in a web page ended jrunner, which said that a row was too large.
    """
    driver = driver_jar(name.split()[0])
    for talk, rogue_of in TALKS.items():
        if talk in WAITS and name != "sqlserver":
            continue  # one is enough for what is jrunner's own clock
        with rogue_of(str(secrets)) as rogue, pool.session() as session:
            began = time.monotonic()
            url = TCP[name].format(port=rogue.port)
            with pytest.raises((JRunnerError, JRunnerDied)) as raised:
                session.open(OpenRequest("db", url, [driver], user="u", password="p", connect_timeout_s=TIMEOUT_S))
            assert time.monotonic() - began < TIMEOUT_S + GRACE_S
            text = str(raised.value)
            assert "heap" not in text, text
            if isinstance(raised.value, JRunnerError):
                assert raised.value.code == "connect", text
                assert not (raised.value.sqlstate or "").startswith("28"), f"{talk} is no refused login: {text}"
                assert str(rogue.port) in text
            else:
                assert "Is it a database of this kind, and the right port?" in text
            assert b"from the file" not in rogue.sent


def driver_jar(driver: str) -> str:
    """The pinned jar of a driver; jtds is a second one for SQL Server."""
    if driver == "jtds":
        return jar("jtds")
    return pinned_jar(get_dialect(driver).drivers[0])

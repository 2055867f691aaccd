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
    RogueDRDA,
    RogueMySQL,
    RoguePostgreSQL,
    RogueServer,
    RogueTDS,
    RogueTNS,
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
@pytest.mark.sample(4)
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

#: Kind, which of its drivers, and a URL.
TCP = {
    "sqlserver": ("sqlserver", 0, "jdbc:sqlserver://127.0.0.1:{port};databaseName=d;encrypt=false"),
    "sqlserver with TLS": ("sqlserver", 0, "jdbc:sqlserver://127.0.0.1:{port};databaseName=d"),
    "jtds": ("sqlserver", 1, "jdbc:jtds:sqlserver://127.0.0.1:{port}/d"),
    "oracle": ("oracle", 0, "jdbc:oracle:thin:@//127.0.0.1:{port}/d"),
    "db2 for i": ("db2", 0, "jdbc:as400://127.0.0.1/d;portNumber={port};prompt=false"),
    "db2": ("db2", 1, "jdbc:db2://127.0.0.1:{port}/d"),
    "h2": ("h2", 0, "jdbc:h2:tcp://127.0.0.1:{port}/d"),
    "hsqldb": ("hsqldb", 0, "jdbc:hsqldb:hsql://127.0.0.1:{port}/d"),
    "hsqldb over HTTP": ("hsqldb", 0, "jdbc:hsqldb:http://127.0.0.1:{port}/d"),
    "postgresql": ("postgresql", 0, "jdbc:postgresql://127.0.0.1:{port}/d"),
    "mariadb": ("mariadb", 0, "jdbc:mariadb://127.0.0.1:{port}/d"),
    "mysql": ("mysql", 0, "jdbc:mysql://127.0.0.1:{port}/d"),
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
QUICK = {"HTTP", "garbage"}
#: Servers that speak their protocol, and lead the driver in circles.
IN_CIRCLES: dict[str, Callable[[str], RogueServer]] = {
    "sqlserver": RogueTDS,
    "jtds": RogueTDS,
    "oracle": RogueTNS,
    "db2": RogueDRDA,
}


@pytest.fixture(scope="module")
def pool() -> Iterator[SessionPool]:
    with SessionPool(1) as pool:
        yield pool


def refused(pool: SessionPool, name: str, rogue: RogueServer, timeout_s: int = TIMEOUT_S) -> None:
    """Opening a connection to the server fails in time, clearly, and not as a refused login; it gets no file."""
    kind, which, url = TCP[name]
    driver = pinned_jar(get_dialect(kind).drivers[which])
    request = OpenRequest(
        "db", url.format(port=rogue.port), [driver], user="u", password="p", connect_timeout_s=timeout_s
    )
    began = time.monotonic()
    with pool.session() as session, pytest.raises((JRunnerError, JRunnerDied)) as raised:
        session.open(request)
    assert time.monotonic() - began < timeout_s + GRACE_S
    text = str(raised.value)
    assert "Rows stream" not in text, text
    if isinstance(raised.value, JRunnerError):
        assert raised.value.code == "connect", text
        assert not (raised.value.sqlstate or "").startswith("28"), f"this is no refused login: {text}"
        assert str(rogue.port) in text
    else:
        assert "Is it a database of this kind, and the right port?" in text
    assert b"from the file" not in rogue.sent


@pytest.mark.parametrize("name", TCP)
@pytest.mark.parametrize(
    "talk", [pytest.param(talk, marks=[] if talk in QUICK else [pytest.mark.slow]) for talk in TALKS]
)
@pytest.mark.sample(4)
def test_a_server_that_speaks_something_else(pool: SessionPool, secrets: Path, name: str, talk: str) -> None:
    """A driver that made room for the length that it read in a web page ended jrunner, which said that a row was too large."""
    with TALKS[talk](str(secrets)) as rogue:
        refused(pool, name, rogue)


@pytest.mark.parametrize("name", IN_CIRCLES)
@pytest.mark.sample(4)
def test_a_server_that_leads_in_circles(pool: SessionPool, secrets: Path, name: str) -> None:
    with IN_CIRCLES[name](str(secrets)) as rogue:
        refused(pool, name, rogue, timeout_s=8)
        assert rogue.asked, "it came so far"

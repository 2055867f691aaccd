"""No secret is in any message, wherever in a URL, a property or a statement it stood."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipekit_engine.jrunner import JRunnerError, OpenRequest, Session
from tests.jars import jar
from tests.jrunner.conftest import OddDrivers, mariadb_request
from tests.servers.mariadb import MariaDBServer

SECRET = "s3ntinel"


def told(error: JRunnerError) -> str:
    return f"{error}\n{error!r}\n{error.causes}\n{error.statement}"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"jdbc:none://etl:{SECRET}@db.example:5432/dw", "jdbc:none://***@db.example:5432/dw"),
        (f"jdbc:none://etl:a@b/{SECRET}?x#y@db.example/dw", "jdbc:none://***@db.example/dw"),
        (f"jdbc:none://db.example/dw?user=etl&password={SECRET}&ssl=true", "dw?user=etl&password=***&ssl=true"),
        (f"jdbc:none://db.example/dw?sslPassword=a,b){SECRET}", "sslPassword=***"),
        (f"jdbc:none://db.example;user=sa;password={{a;b{SECRET}}};x=1", ";password=***;x=1"),
        (f"jdbc:none://db.example;pwd=two words {SECRET};x=1", ";x=1"),
        (f"jdbc:none:a;accessToken={SECRET}", "accessToken=***"),
        (f"jdbc:none:a;trustStorePassword={SECRET};b=1", "trustStorePassword=***;b=1"),
        (f"jdbc:oracle:thin:scott/{SECRET}@//db.example:1521/x", "***@//db.example:1521/x"),
        ("jdbc:none://db.example:5432/dw?user=etl", "jdbc:none://db.example:5432/dw?user=etl"),
    ],
)
def test_urls(session: Session, url: str, shown: str) -> None:
    with pytest.raises(JRunnerError) as raised:
        session.open(OpenRequest("none", url, [jar("sqlite")], driver_class="org.sqlite.JDBC"))
    assert shown in raised.value.message
    assert SECRET not in told(raised.value)
    assert "two words" not in told(raised.value)


def test_a_secret_property_that_a_driver_repeats(session: Session, odd_drivers: OddDrivers) -> None:
    request = odd_drivers.request("odd", "chat", properties={"password": f"{SECRET}-in-a-property"})
    with pytest.raises(JRunnerError) as raised:
        session.open(request)
    assert "no more to say, ***" in raised.value.message
    assert SECRET not in told(raised.value)


@pytest.mark.parametrize(
    "sql",
    [
        f"CREATE USER x IDENTIFIED BY '{SECRET}'",
        f"ALTER ROLE x WITH PASSWORD '{SECRET}''quoted'",
        f"ATTACH 'x' (password={SECRET})",
    ],
)
def test_statements(session: Session, sqlite: OpenRequest, sql: str) -> None:
    with pytest.raises(JRunnerError) as raised:
        session.execute("sqlite", [sql])
    assert "***" in str(raised.value.statement)
    assert SECRET not in told(raised.value)


def test_a_parsers_token_is_shown(session: Session) -> None:
    session.open(OpenRequest("h", "jdbc:hsqldb:mem:tokens", [jar("hsqldb")], driver_class="org.hsqldb.jdbc.JDBCDriver"))
    with pytest.raises(JRunnerError, match="unexpected token: X "):
        session.query("h", "SELECT 1 FROM information_schema.tables WHERES x = 1")


def test_sqlites_token_is_shown(session: Session, sqlite: OpenRequest) -> None:
    with pytest.raises(JRunnerError, match='unrecognized token: "\'x"'):
        session.query("sqlite", "SELECT 'x")


@pytest.mark.mariadb
def test_whether_a_password_was_used_is_no_password(session: Session, mariadb: MariaDBServer) -> None:
    with pytest.raises(JRunnerError, match=r"\(using password: YES\)"):
        session.open(replace(mariadb_request("db", mariadb, "mysql"), password=SECRET))

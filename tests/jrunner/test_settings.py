"""What each kind of connection is set to, and that a definition's own properties win."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from pipekit_engine.jrunner import JRunnerError, Session, Statement
from pipekit_engine.jrunner.protocol import OpenRequest
from tests.jars import jar
from tests.jrunner.conftest import mariadb_request, postgresql_request, sqlite_request
from tests.jrunner.test_execute import embedded_request
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer


def values(session: Session, *expressions: str) -> list[str | None]:
    return list(session.query("db", f"SELECT {', '.join(expressions)}").rows[0])


@pytest.mark.mariadb
def test_mariadb(session: Session, mariadb: MariaDBServer) -> None:
    with mariadb.fresh_database() as name:
        session.open(mariadb_request("db", mariadb, name, init=["SET @mine = 7"]))
        mode, zone, write, mine = values(session, "@@sql_mode", "@@time_zone", "@@net_write_timeout", "@mine")
        assert "STRICT_ALL_TABLES" in str(mode)
        assert (zone, write, mine) == ("+00:00", "3600", "7")
        session.execute("db", ["CREATE TABLE t (i tinyint(1), y year)", "INSERT INTO t VALUES (5, 2024)"])
        assert session.query("db", "SELECT i, y FROM t").rows == (("5", "2024"),)
        with pytest.raises(JRunnerError, match="Out of range"):
            session.execute("db", ["INSERT INTO t VALUES (500, 2024)"])
        session.close("db")


@pytest.mark.mariadb
def test_mariadb_locks_gaps_whatever_the_servers_default(session: Session, mariadb: MariaDBServer) -> None:
    """Under READ COMMITTED two merges into one table could both insert the same rows."""
    with mariadb.fresh_database() as name:
        properties = {"sessionVariables": "tx_isolation='READ-COMMITTED'"}
        session.open(mariadb_request("db", mariadb, name, properties=properties))
        assert session.query("db", "SELECT @@tx_isolation").first == "REPEATABLE-READ"
        session.close("db")


def test_own_properties_win(session: Session, mariadb: MariaDBServer) -> None:
    with mariadb.fresh_database() as name:
        session.open(mariadb_request("db", mariadb, name, properties={"tinyInt1isBit": "true"}))
        session.execute("db", ["CREATE TABLE t (i tinyint(1))", "INSERT INTO t VALUES (1)"])
        assert session.query("db", "SELECT i FROM t").first in {"true", "1"}
        assert session.describe("db", table="t")[0].family in {"boolean", "int16"}
        session.close("db")


@pytest.mark.postgresql
def test_postgresql_finds_a_client_whose_machine_vanished(session: Session, postgresql: PostgreSQLServer) -> None:
    """Its open transaction would keep the destination locked for hours."""
    with postgresql.fresh_database() as name:
        session.open(postgresql_request("db", postgresql, name))
        shown = [session.query("db", f"SHOW tcp_keepalives_{what}").first for what in ("idle", "interval", "count")]
        assert shown == ["30", "10", "3"]
        session.close("db")


@pytest.mark.postgresql
def test_postgresql(session: Session, postgresql: PostgreSQLServer) -> None:
    with postgresql.fresh_database() as name:
        session.open(postgresql_request("db", postgresql, name, read_only=True))
        assert session.query("db", "SHOW timezone").first == "UTC"
        with pytest.raises(JRunnerError, match="read-only transaction"):
            session.execute("db", ["CREATE TABLE t (i int)"])
        session.close("db")


SETTINGS = {
    "array_nulls": ("off", "on"), "bytea_output": ("escape", "hex"), "intervalstyle": ("iso_8601", "postgres"),
    "datestyle": ("'SQL, DMY'", "ISO, DMY"), "extra_float_digits": ("-3", "3"), "timezone": ("'Asia/Tokyo'", "UTC"),
    "standard_conforming_strings": ("off", "on"), "transform_null_equals": ("on", "off"), "row_security": ("on", "off"),
    "transaction_isolation": ("serializable", "read committed"),
}  # fmt: skip
OWNED = ("intervalstyle", "row_security", "array_nulls", "transaction_isolation")
#: What is set for all transactions of a session is shown by another name for each.
DEFAULTS = {"transaction_isolation": "default_transaction_isolation"}


@pytest.mark.postgresql
def test_postgresql_whatever_the_database_sets(session: Session, postgresql: PostgreSQLServer) -> None:
    """With array_nulls off, a NULL in text[] once became the text 'NULL'."""
    with postgresql.fresh_database() as name:
        session.open(postgresql_request("db", postgresql, name))
        set_all = [(DEFAULTS.get(key, key), value[0]) for key, value in SETTINGS.items()]
        session.execute("db", [f'ALTER DATABASE "{name}" SET {key} = {value}' for key, value in set_all])
        session.close("db")
        session.open(postgresql_request("db", postgresql, name))
        shown = {key: session.query("db", f"SHOW {key}").first for key in SETTINGS}
        session.close("db")
        own = {
            "options": "-c intervalstyle=sql_standard -c row_security=on -c default_transaction_isolation=serializable"
        }
        session.open(postgresql_request("db", postgresql, name, properties=own))
        owned = [session.query("db", f"SHOW {key}").first for key in OWNED]
        session.close("db")
    assert owned == ["sql_standard", "on", "on", "read committed"]
    shown["datestyle"] = str(shown["datestyle"]).replace("MDY", "DMY")
    assert shown == {key: value[1] for key, value in SETTINGS.items()}


@pytest.mark.postgresql
def test_postgresql_rows_that_a_policy_hides_are_an_error(session: Session, postgresql: PostgreSQLServer) -> None:
    with postgresql.fresh_database() as name:
        session.open(postgresql_request("db", postgresql, name))
        session.execute(
            "db",
            [
                "CREATE TABLE t (id integer, owner text)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
                "ALTER TABLE t ENABLE ROW LEVEL SECURITY", "CREATE POLICY own ON t USING (owner = 'a')",
                f'CREATE ROLE "reader_{name}"', f'GRANT SELECT ON t TO "reader_{name}"', f'SET ROLE "reader_{name}"',
            ],
        )  # fmt: skip
        with pytest.raises(JRunnerError, match="row-level security policy"):
            session.query("db", "SELECT * FROM t")
        session.execute("db", ["RESET ROLE", f'DROP OWNED BY "reader_{name}"', f'DROP ROLE "reader_{name}"'])
        session.close("db")


@pytest.mark.mariadb
def test_mariadb_whatever_the_server_sets(session: Session, mariadb: MariaDBServer) -> None:
    modes = "NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,EMPTY_STRING_IS_NULL,ANSI_QUOTES,TIME_ROUND_FRACTIONAL"
    with mariadb.fresh_database() as name:
        session.open(mariadb_request("db", mariadb, name, properties={"sessionVariables": f"sql_mode='{modes}'"}))
        assert session.query("db", "SELECT @@sql_mode").first == "ANSI_QUOTES,NO_AUTO_VALUE_ON_ZERO,STRICT_ALL_TABLES"
        session.close("db")


def test_hsqldb_whatever_the_database_sets(session: Session) -> None:
    """A merge must see what was committed while it waited."""
    request = OpenRequest("db", "jdbc:hsqldb:mem:isolated", [jar("hsqldb")], user="SA", password="")
    session.open(request)
    session.execute("db", ["SET DATABASE DEFAULT ISOLATION LEVEL SERIALIZABLE"])
    session.open(replace(request, connection="other"))
    assert session.query("other", "VALUES SESSION_ISOLATION_LEVEL()").first == "READ COMMITTED"
    session.close("other")
    session.close("db")


def test_sqlite_read_only(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "db.db"
    session.open(sqlite_request("db", path))
    session.execute("db", ["CREATE TABLE t (i)"])
    session.open(sqlite_request("db", path, read_only=True))
    assert session.query("db", "SELECT count(*) FROM t").first == "0"
    with pytest.raises(JRunnerError, match="readonly"):
        session.execute("db", ["INSERT INTO t VALUES (1)"])
    session.close("db")


def test_sqlite_writers_wait_for_each_other(session: Session, tmp_path: Path) -> None:
    # A transaction that reads first must not fail because another one wrote in between.
    path = tmp_path / "db.db"
    session.open(sqlite_request("db", path))
    session.execute("db", ["CREATE TABLE t (i)", "INSERT INTO t VALUES (0)"])

    def add(name: str) -> None:
        with Session() as other:
            other.open(sqlite_request(name, path))
            for _ in range(20):
                other.execute(name, ["SELECT * FROM t", Statement("UPDATE t SET i = i + 1", expect_rows=1)])

    threads = [threading.Thread(target=add, args=(f"writer {number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert session.query("db", "SELECT i FROM t").first == "60"
    session.close("db")


def test_derby_leaves_no_log(tmp_path: Path) -> None:
    with Session(cwd=tmp_path) as other:
        other.open(embedded_request("derby", tmp_path))
        other.execute("db", ["CREATE TABLE t (i int)"])
    assert [path.name for path in tmp_path.iterdir()] == ["derby"]


def test_clock_and_locale_do_not_matter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    monkeypatch.setenv("LC_ALL", "tr_TR.UTF-8")
    with Session(cwd=tmp_path) as other:
        other.open(embedded_request("h2", tmp_path))
        other.execute("db", ["CREATE TABLE t (at timestamp, zoned timestamp with time zone, x varchar(10))"])
        # 02:30 does not exist in New York on that day.
        other.execute("db", ["INSERT INTO t VALUES ('2024-03-10 02:30:00', '2024-03-10 02:30:00+00', 'İıiI')"])
        answer = other.query("db", "SELECT * FROM t")
        assert answer.rows[0][0] == "2024-03-10 02:30:00"
        assert str(answer.rows[0][1]).startswith("2024-03-10 02:30:00")
        assert answer.rows[0][2] == "İıiI"
        folder = tmp_path / "größe ı"
        folder.mkdir()
        other.open(sqlite_request("file", folder / "ä.db"))
        other.execute("file", ["CREATE TABLE t (i)"])
        assert (folder / "ä.db").exists()


def test_a_session_is_gone_when_its_block_ends() -> None:
    with Session() as other:
        pid = other.pid
        assert other.alive
    other.kill()  # once more does nothing
    assert not other.alive
    assert not Path(f"/proc/{pid}").exists()

"""Values that look like another, or that a driver gives in its own way: exact, or refused with column and way out."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipekit_engine.jrunner import JRunnerError, MigrateRequest, OpenRequest, Session
from tests.jars import jar
from tests.jrunner.conftest import mariadb_request, postgresql_request, sqlite_request
from tests.jrunner.test_intervals import embedded
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer


def refused(session: Session, sql: str, dest: str, table: str, match: str) -> JRunnerError:
    with pytest.raises(JRunnerError, match=match) as error:
        session.migrate(MigrateRequest("source", sql, dest, table))
    assert error.value.code == "value"
    return error.value


@pytest.mark.parametrize("code", ["007", "-01", "00", "00.5"])
@pytest.mark.parametrize("column", ["INTEGER", "DECIMAL(10,2)", "DOUBLE"])
def test_zeros_in_front_of_a_text_are_not_lost(session: Session, tmp_path: Path, code: str, column: str) -> None:
    session.open(sqlite_request("source", tmp_path / "source.db"))
    session.open(embedded("h2", "dest", tmp_path))
    session.execute("dest", [f"CREATE TABLE t (code {column})"])
    error = refused(session, f"SELECT '{code}' AS code", "dest", "t", "begins with zeros")
    assert error.column == "CODE"
    session.migrate(
        MigrateRequest("source", "SELECT '0' AS code UNION ALL SELECT '70' UNION ALL SELECT '0.0'", "dest", "t")
    )
    session.close()


@pytest.mark.mariadb
def test_minus_zero_is_not_made_zero(session: Session, mariadb: MariaDBServer, tmp_path: Path) -> None:
    session.open(embedded("h2", "source", tmp_path))
    with mariadb.fresh_database() as database:
        session.open(mariadb_request("dest", mariadb, database))
        session.execute("dest", ["CREATE TABLE t (d double, f float)"])
        sql = "SELECT CAST('-0.0' AS {}) AS {}"
        for column, name in (("DOUBLE PRECISION", "d"), ("REAL", "f")):
            # H2 itself makes 0 of it in some versions: then there is nothing to refuse.
            if session.query("source", sql.format(column, name)).first in ("-0.0", "-0"):
                refused(session, sql.format(column, name), "dest", "t", r"-0\.0 would become 0.*x \+ 0")
        session.close("dest")
    session.close()


@pytest.mark.parametrize("kind", ["sqlite", "h2", "derby"])
def test_minus_zero_is_refused_where_it_would_be_zero(session: Session, tmp_path: Path, kind: str) -> None:
    session.open(embedded("hsqldb", "source", tmp_path))
    if kind == "sqlite":
        session.open(sqlite_request("dest", tmp_path / "dest.db"))
    elif kind == "derby":
        url = f"jdbc:derby:{tmp_path / 'derby'};create=true"
        session.open(OpenRequest("dest", kind="derby", url=url, jars=[str(jar("derby"))]))
    else:
        session.open(embedded(kind, "dest", tmp_path))
    session.execute("dest", ["CREATE TABLE t (d DOUBLE PRECISION)"])
    sql = "SELECT {} AS d FROM (VALUES(0)) v"
    assert session.query("source", sql.format("-0.0E0")).first in ("-0.0", "-0")
    refused(session, sql.format("-0.0E0"), "dest", "t", r"-0\.0 would become 0.*x \+ 0")
    session.migrate(MigrateRequest("source", sql.format("-0.0E0 + 0"), "dest", "t"))
    session.close()


@pytest.mark.mariadb
@pytest.mark.parametrize("path", ["load-data", "batch"])
def test_a_year_stays_the_year_that_it_is(session: Session, mariadb: MariaDBServer, tmp_path: Path, path: str) -> None:
    """A YEAR takes the text 0 for 2000, and 1 to 99 for years of its own."""
    session.open(sqlite_request("source", tmp_path / "source.db"))
    with mariadb.fresh_database() as database:
        session.open(mariadb_request("dest", mariadb, database))
        session.execute("dest", ["CREATE TABLE t (y year)"])
        years = "SELECT 0 AS y UNION ALL SELECT 1901 UNION ALL SELECT 2155"
        session.migrate(MigrateRequest("source", years, "dest", "t", path=path))
        assert [row[0] for row in session.query("dest", "SELECT y + 0 FROM t ORDER BY y", max_rows=9).rows] == [
            "0",
            "1901",
            "2155",
        ]
        with pytest.raises(JRunnerError, match="a YEAR makes 2005 of 5"):
            session.migrate(MigrateRequest("source", "SELECT 5 AS y", "dest", "t", path=path))
        session.close("dest")
    session.close()


@pytest.mark.mariadb
def test_an_instant_that_a_timestamp_does_not_hold_names_the_way_out(
    session: Session, mariadb: MariaDBServer, tmp_path: Path
) -> None:
    session.open(sqlite_request("source", tmp_path / "source.db"))
    with mariadb.fresh_database() as database:
        session.open(mariadb_request("dest", mariadb, database))
        session.execute("dest", ["CREATE TABLE t (at timestamp(6) NULL)", "CREATE TABLE d (at datetime(6))"])
        for at in ("0001-01-01 00:00:00+00:00", "9999-12-31 23:59:59.999999+00:00"):
            error = refused(session, f"SELECT '{at}' AS at", "dest", "t", r"dest_type datetime\(6\)")
            assert error.column == "at"
            session.migrate(MigrateRequest("source", f"SELECT '{at}' AS at", "dest", "d"))
        session.close("dest")
    session.close()


@pytest.mark.mariadb
def test_times_beyond_a_day_and_days_that_are_none_move_as_they_are(
    session: Session, mariadb: MariaDBServer, tmp_path: Path
) -> None:
    with mariadb.fresh_database() as database:
        session.open(mariadb_request("source", mariadb, database))
        session.open(mariadb_request("dest", mariadb, database))
        session.open(sqlite_request("lite", tmp_path / "lite.db"))
        session.open(embedded("h2", "h2", tmp_path))
        columns = "(t time(2), d date, at datetime)"
        values = [
            ("838:59:58.50", "2024-00-00", "0000-00-00 00:00:00"),
            ("-30:00:00.00", "0000-00-00", "2024-05-00 10:00:00"),
        ]
        session.execute("source", [f"CREATE TABLE s {columns}", f"CREATE TABLE t {columns}"])
        session.execute("source", [f"INSERT INTO s VALUES {', '.join(map(str, values))}"])
        session.execute("lite", ["CREATE TABLE t (t TEXT, d TEXT, at TEXT)"])
        session.execute("h2", ["CREATE TABLE t (t TIME, d DATE, at TIMESTAMP)"])
        for dest in ("dest", "lite"):
            session.migrate(MigrateRequest("source", "SELECT * FROM s", dest, "t"))
            found = session.query(
                dest, "SELECT CAST(t AS CHAR), CAST(d AS CHAR), CAST(at AS CHAR) FROM t", max_rows=9
            ).rows
            assert sorted(found) == sorted(values), dest
        refused(session, "SELECT t FROM s", "h2", "t", "not a time of day.*dest_type")
        refused(session, "SELECT d FROM s", "h2", "t", "NULLIF")
        for name in ("source", "dest"):
            session.close(name)
    session.close()


@pytest.mark.postgresql
def test_numbers_and_bits_that_drivers_give_in_their_own_way(
    session: Session, postgresql: PostgreSQLServer, tmp_path: Path
) -> None:
    session.open(embedded("h2", "h2", tmp_path))
    session.open(embedded("hsqldb", "hsqldb", tmp_path))
    with postgresql.fresh_database() as database:
        session.open(postgresql_request("pg", postgresql, database))
        session.execute("pg", ["CREATE TABLE t (n numeric, b text, v text, hundreds numeric(5, -2))"])
        session.execute("pg", ["CREATE TABLE hundreds (n numeric(5, -2))", "INSERT INTO hundreds VALUES (1234567)"])
        for value in ("NaN", "Infinity", "-Infinity", "1E+3", "0.1"):
            session.migrate(MigrateRequest("h2", f"SELECT CAST('{value}' AS DECFLOAT) AS n", "pg", "t"))
        found = [row[0] for row in session.query("pg", "SELECT n FROM t", max_rows=9).rows]
        assert found == ["NaN", "Infinity", "-Infinity", "1000", "0.1"]
        session.execute(
            "hsqldb", ["CREATE TABLE s (b BIT(8), v BIT VARYING(8))", "INSERT INTO s VALUES (B'10100101', B'101')"]
        )
        session.migrate(MigrateRequest("hsqldb", "SELECT * FROM s", "pg", "t", clear=True))
        assert session.query("pg", "SELECT b, v FROM t").rows == (("10100101", "101"),)
        described = session.describe("pg", sql="SELECT n FROM hundreds")[0]
        assert (described.precision, described.scale) == (5, -2)
        session.execute("h2", ["CREATE TABLE hundreds (n DECIMAL(7))"])
        session.migrate(MigrateRequest("pg", "SELECT n FROM hundreds", "h2", "hundreds"))
        assert session.query("h2", "SELECT n FROM hundreds").first == "1234600"
        session.close("pg")
    session.close()


def test_xml_of_derby_is_told_with_its_column(session: Session, tmp_path: Path) -> None:
    url = f"jdbc:derby:{tmp_path / 'derby'};create=true"
    session.open(OpenRequest("source", url, [jar("derby")], kind="derby"))
    session.execute("source", ["CREATE TABLE s (id INTEGER, doc XML)"])
    with pytest.raises(JRunnerError, match=r"XMLSERIALIZE\(x AS CLOB\) AS x in the query for DOC"):
        session.describe("source", sql="SELECT id, doc FROM s")
    session.close()


def test_a_column_without_a_type_is_described_by_its_first_rows(session: Session, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "source.db")) as source, source:
        source.execute("CREATE TABLE s (id INTEGER, a, b)")
        source.executemany("INSERT INTO s VALUES (?, ?, ?)", [(1, 1, None), (2, "two", 7), (3, 2.5, 8)])
    session.open(sqlite_request("source", tmp_path / "source.db"))
    described = {column.name: column.family for column in session.describe("source", sql="SELECT * FROM s")}
    assert described == {"id": "int64", "a": "any", "b": "int64"}
    session.close()

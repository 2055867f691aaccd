"""Intervals between databases: with their unit and their sign, or refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipekit_engine.jrunner import JRunnerError, MigrateRequest, OpenRequest, Session
from tests.jrunner.conftest import postgresql_request, sqlite_request
from tests.servers.postgresql import PostgreSQLServer
from tests.truth_sets.readers import JARS

#: Fields, body of the standard's literal, what PostgreSQL holds then.
CASES = [
    ("YEAR", "3", "3 years"),
    ("YEAR", "-1", "-1 years"),
    ("MONTH", "-14", "-1 years -2 mons"),
    ("DAY", "-1", "-1 days"),
    ("HOUR", "-50", "-50:00:00"),
    ("MINUTE", "90", "01:30:00"),
    ("SECOND", "-3.5", "-00:00:03.5"),
    ("YEAR TO MONTH", "-1-2", "-1 years -2 mons"),
    ("DAY TO HOUR", "-3 04", "-3 days -04:00:00"),
    ("DAY TO MINUTE", "0 00:01", "00:01:00"),
    ("DAY TO SECOND", "-0 00:00:01", "-00:00:01"),
    ("DAY TO SECOND", "1 02:03:04.5", "1 day 02:03:04.5"),
    ("HOUR TO MINUTE", "-3:04", "-03:04:00"),
    ("HOUR TO SECOND", "-0:00:01.5", "-00:00:01.5"),
    ("MINUTE TO SECOND", "1:02.5", "00:01:02.5"),
]


def embedded(kind: str, name: str, folder: Path) -> OpenRequest:
    """A new database of H2 or HSQLDB."""
    url = f"jdbc:{kind}:file:{folder / kind}" if kind == "hsqldb" else f"jdbc:{kind}:{folder / kind}"
    login = {"h2": "sa", "hsqldb": "SA"}[kind]
    return OpenRequest(name, kind=kind, url=url, user=login, password="", jars=[str(JARS / f"{kind}.jar")])


def fill(session: Session, name: str, *, empty: bool = False) -> None:
    columns = ", ".join(f"C{place} INTERVAL {fields}" for place, (fields, _, _) in enumerate(CASES))
    values = ", ".join(f"INTERVAL '{body}' {fields}" for fields, body, _ in CASES)
    session.execute(name, [f"CREATE TABLE t (ID INTEGER, {columns})"])
    if not empty:
        session.execute(name, [f"INSERT INTO t VALUES (1, {values})"])


def read(session: Session, name: str, table: str = "t") -> tuple[str | None, ...]:
    return session.query(name, f"SELECT {', '.join(f'C{place}' for place in range(len(CASES)))} FROM {table}").rows[0]


def bodies(session: Session, name: str) -> list[str]:
    """What stands between the quotes of the literals, without zeros that one of them does not print."""
    texts = [str(value).partition("'")[2].partition("'")[0] or str(value) for value in read(session, name)]
    texts = [re.sub(r"(?<=[-: ])0(?=\d)", "", text) for text in texts]
    return [re.sub(r"\.?0+$", "", text) if "." in text else text for text in texts]


@pytest.mark.postgresql
@pytest.mark.parametrize("kind", ["h2", "hsqldb"])
def test_every_interval_keeps_unit_and_sign(
    session: Session, postgresql: PostgreSQLServer, tmp_path: Path, kind: str
) -> None:
    other = "hsqldb" if kind == "h2" else "h2"
    session.open(embedded(kind, "source", tmp_path))
    session.open(embedded(other, "other", tmp_path))
    session.open(sqlite_request("lite", tmp_path / "lite.db"))
    fill(session, "source")
    fill(session, "other", empty=True)
    columns = ", ".join(f"C{place} {{}}" for place in range(len(CASES)))
    with postgresql.fresh_database() as database:
        session.open(postgresql_request("pg", postgresql, database))
        session.execute("pg", [f"CREATE TABLE t (id integer, {columns.replace('{}', 'interval')})"])
        session.execute("lite", [f"CREATE TABLE t (id INTEGER, {columns.replace('{}', 'TEXT')})"])
        for dest in ("pg", "other", "lite"):
            session.migrate(MigrateRequest("source", "SELECT * FROM t", dest, "t"))
        assert read(session, "pg") == tuple(expected for _, _, expected in CASES)
        assert bodies(session, "other") == bodies(session, "source")
        assert read(session, "lite")[2:4] == ("INTERVAL '-14' MONTH", "INTERVAL '-1' DAY")
        # And back, where the fields of the column can say it.
        session.execute("source", ["CREATE TABLE back (ID INTEGER, C INTERVAL DAY TO SECOND)"])
        session.migrate(MigrateRequest("pg", "SELECT 1 AS id, interval '-1 day -2:03:04.5' AS c", "source", "back"))
        found = session.query("source", "SELECT CAST(C AS VARCHAR(60)) FROM back").first
        assert found is not None
        assert "-1 02:03:04.5" in found
        with pytest.raises(JRunnerError, match=r"1 mons cannot stand in a column of type INTERVAL DAY") as refused:
            session.migrate(MigrateRequest("pg", "SELECT 1 AS id, interval '1 month' AS c", "source", "back"))
        assert (refused.value.code, refused.value.column) == ("value", "C")
    session.close()

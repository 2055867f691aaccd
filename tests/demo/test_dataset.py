"""The demo's source data and its own check: what it counts as equal, and that it sees every kind of difference."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipekit_engine.demo.compare import compare, postgresql_rows, sqlite_rows
from pipekit_engine.demo.dataset import TABLES, build, change
from tests.servers.postgresql import PostgreSQLServer


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last three days before the one that is held back."""
    path = tmp_path_factory.mktemp("demo") / "ops.sqlite"
    build(path, days=3)
    return path


@pytest.fixture
def copy(source: Path, tmp_path: Path) -> Path:
    shutil.copy(source, tmp_path / "copy.sqlite")
    return tmp_path / "copy.sqlite"


def query(path: Path, text: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database, database:
        return database.execute(text).fetchall()


def test_missing_values_are_null_and_timestamps_iso_text(source: Path) -> None:
    assert query(source, "SELECT count(*) FROM planes WHERE year IS NULL") == [(70,)]
    assert query(source, "SELECT count(*) FROM planes WHERE 'NA' IN (tailnum, type, model, engine)") == [(0,)]
    assert query(source, "SELECT max(time_hour), max(updated_at) FROM flights") == [("2013-12-31 04:00:00",) * 2]
    kinds = query(source, "SELECT DISTINCT typeof(dep_time) FROM flights ORDER BY 1")
    assert kinds == [("integer",), ("null",)]


def test_a_day_later_the_source_has_new_corrected_renamed_and_removed_rows(source: Path, copy: Path) -> None:
    change(copy)
    assert query(copy, "SELECT count(*) FROM flights WHERE month = 12 AND day = 31") == [(776,)]
    assert query(copy, "SELECT count(*) FROM planes")[0][0] == query(source, "SELECT count(*) FROM planes")[0][0] - 1  # type: ignore[operator]
    results = {name: compare(name, table, source, sqlite_rows(copy)) for name, table in TABLES.items()}
    assert {name for name, result in results.items() if not result.equal} == {
        "airlines",
        "planes",
        "weather",
        "flights",
    }


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE airports SET tzone = '' WHERE tzone IS NULL",
        "UPDATE airports SET lat = lat + 0.000001 WHERE faa = 'JFK'",
        "DELETE FROM airports WHERE faa = 'JFK'",
        "INSERT INTO airports (faa, name) VALUES ('ZZZZ', 'One more')",
        "UPDATE airports SET tzone = tzone || ' ' WHERE faa = 'JFK'",
    ],
)
def test_the_check_sees_each_difference(source: Path, copy: Path, statement: str) -> None:
    assert compare("airports", TABLES["airports"], source, sqlite_rows(copy)).equal
    query(copy, statement)
    result = compare("airports", TABLES["airports"], source, sqlite_rows(copy))
    assert not result.equal
    assert result.samples


@pytest.fixture(scope="module")
def postgresql_copy(source: Path, postgresql: PostgreSQLServer) -> Iterator[str]:
    kinds = {"TEXT": "text", "INTEGER": "bigint", "REAL": "double precision", "TIMESTAMP": "timestamp"}
    with postgresql.fresh_database() as name, postgresql.connect(name) as connection:
        for table in ("airlines", "weather"):
            columns = ", ".join(f"{column} {kinds[kind]}" for column, kind in TABLES[table].columns.items())
            connection.execute(f"CREATE TABLE {table} ({columns})".encode())
            with connection.cursor().copy(f"COPY {table} FROM STDIN".encode()) as stream:
                for row in query(source, f"SELECT * FROM {table}"):
                    stream.write_row(row)
        yield postgresql.url(name).replace("postgresql+psycopg", "postgresql")


@pytest.mark.postgresql
def test_the_check_reads_postgresql_in_the_same_order(source: Path, postgresql_copy: str) -> None:
    for name in ("airlines", "weather"):
        result = compare(name, TABLES[name], source, postgresql_rows(postgresql_copy))
        assert result.equal, result.samples
        assert result.rows == query(source, f"SELECT count(*) FROM {name}")[0][0]

"""Metadata of every kind of database that runs here: schemas, tables, columns, keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipekit_engine.jrunner import JRunnerError, Session
from tests.jrunner.conftest import mariadb_request, postgresql_request, sqlite_request
from tests.jrunner.test_execute import KINDS, embedded_request

CREATE = [
    "CREATE TABLE people (id int NOT NULL, code varchar(10) NOT NULL, name varchar(40) DEFAULT 'x', "
    "amount decimal(12,3), PRIMARY KEY (id, code))",
    "CREATE UNIQUE INDEX people_name ON people (name, amount)",
    "CREATE VIEW names AS SELECT name FROM people",
]


@pytest.fixture(params=KINDS)
def filled(request: pytest.FixtureRequest, session: Session, tmp_path: Path) -> Iterator[tuple[str, str | None]]:
    """Each kind in turn with a table and a view; the kind and the schema that they are in."""
    kind = request.param
    if kind in ("postgresql", "mariadb"):
        server: Any = request.getfixturevalue(kind)
        make = postgresql_request if kind == "postgresql" else mariadb_request
        with server.fresh_database() as name:
            session.open(make("db", server, name))
            session.execute("db", CREATE)
            yield kind, "public" if kind == "postgresql" else name
            session.close("db")
        return
    session.open(sqlite_request("db", tmp_path / "db.db") if kind == "sqlite" else embedded_request(kind, tmp_path))
    session.execute("db", CREATE)
    yield kind, {"sqlite": None, "h2": "PUBLIC", "derby": "APP", "hsqldb": "PUBLIC"}[kind]
    session.close("db")


def lower(items: list[str]) -> list[str]:
    return [item.lower() for item in items]


def test_what_a_database_contains(session: Session, filled: tuple[str, str | None]) -> None:
    kind, schema = filled
    folded = str.upper if kind in ("h2", "derby", "hsqldb") else str.lower
    schemas = [item["schema"] for item in session.metadata("db", "schemas")]
    assert schemas == [] if schema is None else schema in schemas

    tables = session.metadata("db", "tables", schema=schema)
    assert [(item["table"].lower(), item["type"]) for item in tables] == [("names", "view"), ("people", "table")]
    assert all(item.get("schema") == schema for item in tables)

    columns = session.metadata("db", "columns", schema=schema, table=folded("people"))
    assert lower([item["column"] for item in columns]) == ["id", "code", "name", "amount"]
    by_name = {item["column"].lower(): item for item in columns}
    assert [by_name[name]["nullable"] for name in ("id", "code", "name", "amount")] == [False, False, True, True]
    assert "'x'" in by_name["name"]["default"]
    assert "default" not in by_name["amount"] or by_name["amount"]["default"] == "NULL"
    assert (by_name["amount"]["size"], by_name["amount"]["scale"]) == (12, 3)
    if kind != "sqlite":
        assert by_name["code"]["size"] == 10

    keys = session.metadata("db", "keys", schema=schema, table=folded("people"))
    assert (keys[0]["type"], lower(keys[0]["columns"])) == ("primary", ["id", "code"])
    assert [(key["type"], lower(key["columns"])) for key in keys[1:]] == [("unique", ["name", "amount"])]


def test_names_are_exact_and_no_patterns(session: Session, filled: tuple[str, str | None]) -> None:
    _, schema = filled
    session.execute("db", ["CREATE TABLE peopleX (i int)", "CREATE TABLE people_ (j int)"])
    kind = filled[0]
    name = "PEOPLE_" if kind in ("h2", "derby", "hsqldb") else "people_"
    columns = session.metadata("db", "columns", schema=schema, table=name)
    assert lower([item["column"] for item in columns]) == ["j"]


@pytest.mark.postgresql
def test_remarks_come_along(session: Session, postgresql: Any) -> None:
    with postgresql.fresh_database() as name:
        session.open(postgresql_request("db", postgresql, name))
        session.execute(
            "db",
            [
                "CREATE TABLE t (i int GENERATED ALWAYS AS IDENTITY, j int)",
                "COMMENT ON TABLE t IS 'all of it'",
                "COMMENT ON COLUMN t.j IS 'the second'",
                "CREATE UNIQUE INDEX part ON t (i) WHERE j > 0",
                "CREATE UNIQUE INDEX computed ON t ((i + j))",
            ],
        )
        assert session.metadata("db", "tables", schema="public")[0]["remarks"] == "all of it"
        first, second = session.metadata("db", "columns", table="t")
        assert first["auto_increment"] is True
        assert second["remarks"] == "the second"
        # Neither is a key of the whole table.
        assert session.metadata("db", "keys", table="t") == []
        session.close("db")


@pytest.mark.postgresql
@pytest.mark.parametrize("ask", ["describe", "query"])
def test_a_query_sees_its_table_as_it_is_now(session: Session, postgresql: Any, ask: str) -> None:
    """Also in a session that asked the same before: the server keeps no plan for it, which would be an error now."""
    with postgresql.fresh_database() as database:
        session.open(postgresql_request("pg", postgresql, database))
        session.execute("pg", ["CREATE TABLE t (a int)"])
        for added in ("b", "c"):
            for _ in range(6):  # the driver keeps what is asked five times
                session.describe("pg", sql="SELECT * FROM t") if ask == "describe" else session.query(
                    "pg", "SELECT * FROM t"
                )
            session.execute(
                "pg",
                [
                    f"ALTER TABLE t ADD COLUMN {added} int",
                    f"ALTER TABLE t ALTER COLUMN a TYPE {'text' if added == 'b' else 'varchar'}",
                ],
            )
        columns = session.describe("pg", sql="SELECT * FROM t")
        session.close("pg")
    assert [column.name for column in columns] == ["a", "b", "c"]


def test_columns_want_a_table(session: Session, sqlite: object) -> None:
    with pytest.raises(JRunnerError, match="field 'table' is missing"):
        session.metadata("sqlite", "columns")

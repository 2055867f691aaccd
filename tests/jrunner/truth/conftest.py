"""The databases of the truth suite: two of each kind, one to read from with all values in it, one to write into."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipekit_engine.jrunner import OpenRequest, Session, Statement
from tests.jars import jar
from tests.jrunner.conftest import connector_j_request, mariadb_request, postgresql_request, sqlite_request
from tests.jrunner.truth.data import KINDS, SHAPES, Shape
from tests.jrunner.truth.databases import literal
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer


def table(shape: Shape) -> str:
    """The table of a shape, the same on both sides: an id that is the value's place, and the value as `v`."""
    return f"t{SHAPES.index(shape)}"


def embedded(kind: str, name: str, folder: Path) -> OpenRequest:
    """How to open an embedded database of `kind`, in memory where it can be."""
    if kind == "sqlite":
        return sqlite_request(name, folder / f"{name}.db")
    url = {"h2": "jdbc:h2:mem:{}", "derby": "jdbc:derby:memory:{};create=true", "hsqldb": "jdbc:hsqldb:mem:{}",
           "duckdb": f"jdbc:duckdb:{folder}/{{}}.duckdb"}[kind]  # fmt: skip
    return OpenRequest(name, url.format(name), [jar(kind)], kind=kind)


class Truth:
    """A session with a connection `<kind>_from` and `<kind>_to` for every kind."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.requests: dict[str, OpenRequest] = {}

    def execute(self, connection: str, *statements: str) -> None:
        self.session.execute(connection, [Statement(sql) for sql in statements])

    def rows(self, connection: str, sql: str) -> list[tuple[str | None, ...]]:
        return list(self.session.query(connection, sql, max_rows=10_000).rows)


@pytest.fixture(scope="package")
def truth(
    postgresql: PostgreSQLServer, mariadb: MariaDBServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Truth]:
    """All databases with their tables; the sources hold every value that they can, and a NULL of each type."""
    folder = tmp_path_factory.mktemp("truth")
    # A zone with changes of the clock: nothing may depend on it.
    zone, os.environ["TZ"] = os.environ.get("TZ"), "America/New_York"
    try:
        session = Session(heap="384m")
    finally:
        if zone is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = zone
    with session, postgresql.fresh_database() as pg1, postgresql.fresh_database() as pg2:
        running = Truth(session)
        with mariadb.fresh_database() as my1, mariadb.fresh_database() as my2:
            for side, pg, my in (("from", pg1, my1), ("to", pg2, my2)):
                for kind in KINDS:
                    name = f"{kind}_{side}"
                    request = (
                        postgresql_request(name, postgresql, pg)
                        if kind == "postgresql"
                        else mariadb_request(name, mariadb, my)
                        if kind == "mariadb"
                        else embedded(kind, name, folder)
                    )
                    session.open(request)
                    running.requests[name] = request
                    _create(running, kind, name, fill=side == "from")
                # The same tables by MySQL's own driver.
                session.open(connector_j_request(f"mysql_{side}", mariadb, my))
            yield running
            session.end()


def _create(truth: Truth, kind: str, name: str, fill: bool) -> None:
    statements = ["CREATE TYPE truth_mood AS ENUM ('happy', 'so-so')"] if kind == "postgresql" else []
    for shape in SHAPES:
        primary = "INT NOT NULL PRIMARY KEY"
        suffix = " CHARACTER SET utf8mb4" if kind == "mariadb" else ""
        statements.append(f"CREATE TABLE {table(shape)} (id {primary}, v {shape.types[kind]}){suffix}")
        if fill:
            statements.append(f"INSERT INTO {table(shape)} (id) VALUES (0)")
            for place, value in enumerate(shape.values, 1):
                if kind not in value.lacks:
                    statements.append(f"INSERT INTO {table(shape)} VALUES ({place}, {literal(kind, shape, value)})")
    truth.execute(name, *statements)

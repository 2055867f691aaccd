"""The databases of the conformance suite: every kind that can really run here, and stand-ins near the others.

H2 in its modes for SQL Server and Oracle, and Derby for DB2, are opened as the kind that they stand for: its dialect's SQL goes
to them as it would to the real one.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pipekit_engine.databases.dialects import Catalog, Dialect, get_dialect
from pipekit_engine.jrunner import OpenRequest, Session
from tests.jars import jar

REAL = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.postgresql),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
    "h2",
    "hsqldb",
    "derby",
    "duckdb",
]
EMBEDDED = {
    "sqlite": ("jdbc:sqlite:{folder}/drivers.db", None, None),
    "h2": ("jdbc:h2:mem:{name}", "sa", "PUBLIC"),
    "hsqldb": ("jdbc:hsqldb:mem:{name}", "SA", "PUBLIC"),
    "derby": ("jdbc:derby:memory:{name};create=true", None, "APP"),
    "duckdb": ("jdbc:duckdb:{folder}/drivers.duckdb", None, "main"),
}
#: Kind: what stands for it, and its URL and class.
STAND_INS = {
    "sqlserver": (
        "h2",
        "jdbc:h2:mem:mssql;MODE=MSSQLServer;NON_KEYWORDS=VALUE;IGNORE_UNKNOWN_SETTINGS=TRUE",
        "org.h2.Driver",
    ),
    "oracle": ("h2", "jdbc:h2:mem:oracle;MODE=Oracle;IGNORE_UNKNOWN_SETTINGS=TRUE", "org.h2.Driver"),
    "db2": ("derby", "jdbc:derby:memory:db2;create=true", "org.apache.derby.jdbc.EmbeddedDriver"),
}


@dataclass(frozen=True)
class Bed:
    """An open database: its dialect, a catalogue to look around in, and its default schema."""

    dialect: Dialect
    catalog: Catalog
    schema: str | None

    @property
    def kind(self) -> str:
        return self.dialect.kind

    def run(self, *statements: str) -> None:
        """Run statements, each by itself."""
        known = [sql.removesuffix(" PURGE") for sql in statements]  # Oracle's stand-in has no recycle bin
        self.catalog.session.execute(self.catalog.connection, known, transaction=False)

    def rows(self, sql: str) -> list[tuple[str | None, ...]]:
        """Rows of a query, as text."""
        return list(self.catalog.query(sql).rows)

    def drop(self, name: str) -> None:
        """Drop a table, if it is there."""
        table = self.dialect.table_name(self.dialect.dest_name(name))
        if self.dialect.capabilities.drop_if_exists or self.dialect.list_tables(self.catalog, self.schema):
            self.run(self.dialect.drop_table_sql(table))


@pytest.fixture(scope="session")
def jrunner(java: str) -> Iterator[Session]:
    """One session for the whole suite."""
    with Session() as session:
        yield session


@pytest.fixture(scope="session")
def open_bed(jrunner: Session, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Any:
    """A function that opens the database of a kind, once; it lasts as long as the suite."""
    beds: dict[str, Bed] = {}

    def bed(kind: str) -> Bed:
        if kind not in beds:
            beds[kind] = start(kind)
        return beds[kind]

    def start(kind: str) -> Bed:
        dialect = get_dialect(kind)
        if kind in EMBEDDED:
            url, user, schema = EMBEDDED[kind]
            folder = tmp_path_factory.mktemp(kind)
            opening = OpenRequest(
                kind,
                url.format(folder=folder, name="drivers"),
                [jar(kind)],
                kind=kind,
                user=user,
                password="" if user else None,
            )
        else:
            server = request.getfixturevalue(kind)
            # Not dropped: the server and all its data go after the tests.
            name = f"drivers_{secrets.token_hex(4)}"
            server.create_database(name)
            schema = "public" if kind == "postgresql" else name
            opening = OpenRequest(
                kind,
                server.jdbc_url(name),
                [jar(kind)],
                kind=kind,
                user=server.user,
                password=server.password,
            )
        jrunner.open(opening)
        return Bed(dialect, Catalog(jrunner, kind), schema)

    return bed


@pytest.fixture(params=REAL)
def bed(request: pytest.FixtureRequest, open_bed: Any) -> Bed:
    """Each real kind in turn."""
    opened: Bed = open_bed(request.param)
    return opened


@pytest.fixture(scope="session")
def stand_in(jrunner: Session) -> Any:
    """A function that opens what stands for a kind that cannot run here."""
    beds: dict[str, Bed] = {}

    def bed(kind: str) -> Bed:
        if kind not in beds:
            real, url, driver_class = STAND_INS[kind]
            user = "sa" if real == "h2" else None
            # The stand-in's own kind: what a session of the real database is set to, it does not know.
            jrunner.open(
                OpenRequest(
                    kind, url, [jar(real)], kind=real, driver_class=driver_class, user=user, password=user and ""
                )
            )
            beds[kind] = Bed(get_dialect(kind), Catalog(jrunner, kind), "PUBLIC" if real == "h2" else "APP")
        return beds[kind]

    return bed

"""jrunner as the benchmarks use it: each timed run is a whole process, from its start to its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipekit_engine.databases.dialects import find_jars
from pipekit_engine.jrunner import MigrateRequest, MigrateResult, OpenRequest, Session
from pipekit_engine.models import Driver
from tests.jars import JAR_FOLDERS
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer


def jars(kind: str) -> list[str]:
    """The driver's jar: the pinned version where `scripts/setup.sh test` got it."""
    return [str(path) for path in find_jars(Driver(name=kind, kind=kind), JAR_FOLDERS)]


def sqlite(name: str, path: Path) -> OpenRequest:
    return OpenRequest(name, f"jdbc:sqlite:{path}", jars("sqlite"), kind="sqlite")


def server(name: str, running: PostgreSQLServer | MariaDBServer, database: str) -> OpenRequest:
    return OpenRequest(
        name,
        running.jdbc_url(database),
        jars(running.kind),
        kind=running.kind,
        user=running.user,
        password=running.password,
    )


def execute(request: OpenRequest, statements: Sequence[str]) -> None:
    with Session() as session:
        session.open(request)
        session.execute(request.connection, statements)


def migrate(
    source: OpenRequest, dest: OpenRequest, table: str, into: str, sql: str = "", path: str = "auto"
) -> MigrateResult:
    """Start jrunner, move a table, end it."""
    with Session() as session:
        session.open(source)
        session.open(dest)
        return session.migrate(
            MigrateRequest(
                source=source.connection,
                sql=sql or f"SELECT * FROM {table}",
                dest=dest.connection,
                table=into,
                path=path,
            )
        )

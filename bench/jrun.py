"""jrunner as the benchmarks use it: each timed run is a whole process, from its start to its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipekit_engine.jrunner import MigrateRequest, MigrateResult, OpenRequest, Session
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

JARS = Path("/usr/share/java")


def sqlite(name: str, path: Path) -> OpenRequest:
    return OpenRequest(name, f"jdbc:sqlite:{path}", [str(JARS / "sqlite-jdbc.jar")], kind="sqlite")


def server(name: str, running: PostgreSQLServer | MariaDBServer, database: str) -> OpenRequest:
    jar = {"postgresql": "postgresql.jar", "mariadb": "mariadb-java-client.jar"}[running.kind]
    return OpenRequest(
        name,
        running.jdbc_url(database),
        [str(JARS / jar)],
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

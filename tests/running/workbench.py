"""A pipekit of its own for one test: state store, connections, modules, and eyes on both ends."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipekit_engine.config import Config
from pipekit_engine.databases.connections import Role
from pipekit_engine.databases.dialects import builtin_drivers
from pipekit_engine.engine import Engine
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.models import Connection, Group, Module, Record, RunRecord, Watermark
from pipekit_engine.security.secrets import Secrets
from pipekit_engine.store import Change, Store
from tests.jars import JAR_FOLDERS

Rows = list[tuple[str | None, ...]]


class Workbench:
    """Source `src` is always an SQLite file that the test fills directly; `dst` is whatever kind the test asks for."""

    def __init__(self, folder: Path, pool: SessionPool, *, database: str | None = None) -> None:
        self.folder = folder
        self.config = Config(
            database=database or str(folder / "pipekit.db"),
            secrets=folder / "secrets.env",
            jars=JAR_FOLDERS,
            connect_timeout_s=10,
        )
        Store.init(self.config.database_url)
        self.engine = Engine(self.config)
        self.store = self.engine.store
        self._secrets = Secrets.load(self.config.secrets_file)
        self.pool = pool
        self.save(*builtin_drivers())
        self.source_file = folder / "source.db"
        self.connect("src", "sqlite", f"jdbc:sqlite:{self.source_file}")

    def close(self) -> None:
        with self.pool.session() as session:
            # Connections to a folder that is about to go.
            session.close()
        self.engine.close()

    def run(self, module: str = "m", **options: Any) -> RunRecord:
        """Run a module on the warm session that all tests share."""
        return self.engine.run(module, sessions=self.pool, **options).record

    def save(self, *records: Record) -> None:
        kinds = {"Driver": "drivers", "Connection": "connections", "Module": "modules", "Group": "groups"}
        changes = [
            Change("create", kinds[type(record).__name__], record.name, record)  # type: ignore[arg-type, attr-defined]
            for record in records
        ]
        self.store.definitions.save(changes)

    def replace(self, module: Module) -> None:
        """Change a module's definition."""
        self.store.definitions.save([Change("change", "modules", module.name, module)])

    def connect(
        self, name: str, kind: str, url: str, user: str | None = None, password: str | None = None, **fields: Any
    ) -> None:
        if password is not None:
            self._secrets.set(f"{name.upper()}_PW", password)
        reference = f"${name.upper()}_PW" if password is not None else None
        self.save(Connection(name=name, driver=kind, jdbc_url=url, username=user, password=reference, **fields))

    def module(self, name: str = "m", **fields: Any) -> Module:
        values = {"source": "src", "dest": "dst", "query": "SELECT * FROM t", "dest_table": "t", "strategy": "full"}
        marks = tuple(
            Watermark(name=mark, connection=item[0], resolver_sql=item[1], default=item[2])
            for mark, item in fields.pop("watermarks", {}).items()
        )
        module = Module(name=name, **{**values, **fields, "watermarks": marks})
        self.save(module)
        return module

    def group(self, *layers: tuple[str, ...], name: str = "g", **fields: Any) -> Group:
        group = Group(name=name, layers=layers, **fields)
        self.save(group)
        return group

    def source(self, *statements: str) -> None:
        """Run statements in the source file."""
        with sqlite3.connect(self.source_file) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()

    def fill(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        """Insert rows into a source table."""
        with sqlite3.connect(self.source_file) as connection:
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        connection.close()

    @contextmanager
    def session(self, connection: str, role: Role = "read") -> Iterator[tuple[Any, str]]:
        """A jrunner session and the handle of a connection opened in it."""
        with self.pool.session() as session:
            link = self.engine._connections().open(session, connection, role, creates=True)
            yield session, link.handle
            if link.dialect.one_process:
                session.close(link.handle)

    def rows(self, sql: str, connection: str = "dst") -> Rows:
        """Rows of a query, as text, sorted: multisets compare equal."""
        with self.session(connection) as (session, handle):
            rows = [tuple(row) for row in session.query(handle, sql, max_rows=1_000_000).rows]
        return sorted(rows, key=lambda row: tuple((value is None, value or "") for value in row))

    def execute(self, *statements: str, connection: str = "dst") -> None:
        with self.session(connection, "write") as (session, handle):
            session.execute(handle, list(statements), transaction=False)

    def staging_left(self) -> list[str]:
        """What staging has left behind: files for SQLite, tables elsewhere."""
        files = sorted(path.name for path in self.folder.glob("*.staging*"))
        kind = self.store.definitions.connection("dst").driver
        if kind in ("postgresql", "mariadb", "mysql", "h2", "hsqldb", "duckdb"):
            sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'pipekit_staging'"
            files += [str(row[0]) for row in self.rows(sql)]
        return files

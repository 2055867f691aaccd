"""A PostgreSQL server for the tests, with what a test wants to do to it from outside of pipekit."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import sql as compose

from pipekit_engine.demo.local_postgresql import LocalPostgreSQL


class PostgreSQLServer(LocalPostgreSQL):
    """The server and a superuser's login: `host`, `port`, `user`, `password`, `jdbc_url(database)`."""

    kind = "postgresql"

    def connect(self, database: str = "postgres", **options: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a psycopg connection, in autocommit unless `autocommit=False` is given."""
        options.setdefault("autocommit", True)
        return psycopg.connect(
            host=self.host, port=self.port, user=self.user, password=self.password, dbname=database, **options
        )

    def url(self, database: str) -> str:
        """Return an SQLAlchemy URL with the login in it (for the state store on PostgreSQL)."""
        return f"postgresql+psycopg://{self.user}:{self.password}@{self.host}:{self.port}/{database}"

    def sql(self, database: str, text: str) -> list[tuple[Any, ...]]:
        """Run one or more statements and return the rows of the last one that has rows, as Python values."""
        with self.connect(database) as connection:
            cursor = connection.execute(compose.SQL(text))
            rows: list[tuple[Any, ...]] = []
            while True:
                if cursor.description is not None:
                    rows = cursor.fetchall()
                if not cursor.nextset():
                    return rows

    def create_database(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(compose.SQL("CREATE DATABASE {}").format(compose.Identifier(name)))

    def drop_database(self, name: str) -> None:
        """Drop a database and the sessions in it."""
        drop = compose.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(compose.Identifier(name))
        while True:
            # The server gives the sessions five seconds to go, which on a busy machine may be too few.
            with self.connect() as connection, suppress(psycopg.errors.ObjectInUse):
                connection.execute(drop)
                return

    @contextmanager
    def fresh_database(self) -> Iterator[str]:
        """Give the name of a new, empty database, dropped at the end."""
        name = f"t_{secrets.token_hex(6)}"
        self.create_database(name)
        try:
            yield name
        finally:
            self.drop_database(name)

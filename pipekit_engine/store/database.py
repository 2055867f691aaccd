"""Connections to the state database: one engine a process, short transactions, the same code on SQLite and PostgreSQL."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from pipekit_engine.errors import PipekitError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

#: Seconds that a writer waits for other writers of an SQLite store. Writes take milliseconds: fifty processes fit easily.
SQLITE_BUSY_TIMEOUT_S = 60
_WRITE = "pipekit_write"


def make_engine(url: str) -> Engine:
    """An SQLAlchemy engine for the state store. Raises StoreError when that cannot be."""
    parsed = make_url(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    try:
        if parsed.get_backend_name() == "sqlite":
            return _sqlite_engine(str(parsed))
        return create_engine(parsed, pool_pre_ping=True, pool_size=5, max_overflow=20)
    except ArgumentError:
        raise StoreError(
            "`database` in the config is neither a path nor an SQLAlchemy URL of a known database."
        ) from None
    except ModuleNotFoundError as error:
        raise StoreError(
            f"The state store on {parsed.get_backend_name()} needs the Python package {error.name!r}: "
            "pip install 'pipekit[postgresql]'"
        ) from None


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_S}, poolclass=QueuePool, max_overflow=40)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        # None: the driver begins nothing by itself; _on_begin says which kind of transaction it is.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_TIMEOUT_S * 1000}")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        # A deferred transaction that turns writer can fail with "database is locked" at once, whatever the busy
        # timeout: a writer says so from the start.
        write = connection.get_execution_options().get(_WRITE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


class Database:
    """The state database behind the store's parts: `read()` and `write()` transactions."""

    def __init__(self, url: str) -> None:
        self.engine = make_engine(url)

    @property
    def is_sqlite(self) -> bool:
        """Whether the state is one SQLite file."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one moment of the state and changes nothing."""
        with _translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end of the block, or changes nothing when the block raises."""
        with _translated(), self.engine.connect().execution_options(**{_WRITE: True}) as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    """Database errors as StoreError with a fix where one is known."""
    try:
        yield
    except PipekitError:
        raise
    except DBAPIError as error:
        raise StoreError(_explain(error)) from error


def _explain(error: DBAPIError) -> str:
    reason = str(error.orig).strip()
    lowered = reason.lower()
    if "readonly" in lowered or "read-only" in lowered:
        return f"The state store is read-only ({reason}). Give this user write access to the file and its folder."
    if "full" in lowered and isinstance(error, OperationalError):
        return f"The disk of the state store is full ({reason}). Free some space; nothing was changed."
    if "unable to open database file" in lowered:
        return f"The state store cannot be opened ({reason}). Check `database` in the config and the folder's rights."
    if "locked" in lowered:
        return f"The state store is busy ({reason}); another process holds it for over {SQLITE_BUSY_TIMEOUT_S} s."
    return f"The state store answered: {reason}"

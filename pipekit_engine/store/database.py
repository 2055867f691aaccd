"""The state database: transactions in plain SQL for the hot path, SQLAlchemy's for the rest."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipekit_engine.common.files import create_private
from pipekit_engine.errors import PipekitError, StoreError, StoreUnavailable
from pipekit_engine.store import dbapi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import URL, Connection, Engine

    from pipekit_engine.store.dbapi import Transaction

#: A server that has vanished without a word is noticed within some fifteen seconds: a run's heartbeat must not wait for it.
_POSTGRESQL_ARGS = {
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
_WRITE = "pipekit_write"
#: What SQLite needs to open a file in WAL mode.
_ROOM_BYTES = 64 * 1024
#: Packages whose errors are the database's.
_DRIVERS = frozenset({"sqlite3", "psycopg", "psycopg2", "sqlalchemy"})


def parse_url(url: str) -> URL:
    """The URL of a state store as SQLAlchemy reads it. Raises StoreError."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url)
    except ArgumentError:
        # Not quoted: a URL may hold a password.
        raise StoreError("`database` in the config is neither a path nor an SQLAlchemy URL.") from None


def make_engine(url: str) -> Engine:
    """An SQLAlchemy engine for the state store. Raises StoreError when that cannot be."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError

    parsed = parse_url(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    backend = parsed.drivername.partition("+")[0]
    try:
        if backend == "sqlite":
            return _sqlite_engine(parsed)
        return create_engine(
            parsed,
            pool_pre_ping=True,
            pool_size=5,
            max_overflow=20,
            connect_args=_POSTGRESQL_ARGS if backend == "postgresql" else {},
        )
    except ArgumentError:
        raise StoreError(
            "`database` in the config is neither a path nor an SQLAlchemy URL of a known database."
        ) from None
    except ModuleNotFoundError as error:
        raise _missing_driver(backend, error) from None


def _missing_driver(backend: str, error: ModuleNotFoundError) -> StoreError:
    return StoreError(
        f"The state store on {backend} needs the Python package {error.name!r}: pip install 'pipekit[postgresql]'"
    )


def _sqlite_engine(url: URL) -> Engine:
    from sqlalchemy import create_engine, event
    from sqlalchemy.pool import QueuePool

    timeout = {"timeout": dbapi.SQLITE_BUSY_TIMEOUT_S}
    engine = create_engine(url, connect_args=timeout, poolclass=QueuePool, max_overflow=40)

    file = url.database

    @event.listens_for(engine, "do_connect")
    def _on_first_connect(*_: Any) -> None:
        if file and file != ":memory:" and not file.startswith("file:"):
            create_private(Path(file))

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        dbapi.prepare_sqlite(connection)

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        write = connection.get_execution_options().get(_WRITE)
        connection.exec_driver_sql(dbapi.begin_sqlite(write=bool(write)))

    return engine


class Database:
    """The state database behind the store's parts.

    `read()` and `write()` are SQLAlchemy's, for what is asked seldom: the first one imports it. `plain_read()` and
    `plain_write()` are for what each run asks. Both take the same code on SQLite and PostgreSQL.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._file: Path | None = None
        path = dbapi.sqlite_path(url)
        connect: Callable[[], Any]
        if path is not None:
            self.is_sqlite, self._file, connect = True, Path(path), lambda: dbapi.open_sqlite(path)
        elif arguments := dbapi.postgresql_arguments(url):
            self.is_sqlite, connect = False, _psycopg(arguments)
        else:
            # A URL with options, or with escapes, is read by SQLAlchemy, which then makes the driver's connection, too.
            database = self.engine.url.database
            self.is_sqlite = self.engine.dialect.name == "sqlite"
            self._file = Path(database) if self.is_sqlite and database else None
            connect = self._connect_by_sqlalchemy
        self._pool = dbapi.Pool(connect, is_sqlite=self.is_sqlite)

    @cached_property
    def engine(self) -> Engine:
        """SQLAlchemy's engine; made when it is first asked for."""
        return make_engine(self._url)

    def _connect_by_sqlalchemy(self) -> Any:
        arguments, named = self.engine.dialect.create_connect_args(self.engine.url)
        if self.is_sqlite:
            connection = self.engine.dialect.connect(*arguments, **{**named, "check_same_thread": False})
            dbapi.prepare_sqlite(connection)  # type: ignore[arg-type]
            return connection
        return self.engine.dialect.connect(*arguments, **{**_POSTGRESQL_ARGS, **named})

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only transaction that sees one consistent state."""
        with _translated(self._file), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end of the block, or changes nothing when the block raises."""
        with (
            _translated(self._file),
            self.engine.connect().execution_options(**{_WRITE: True}) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def plain_read(self) -> Iterator[Transaction]:
        """As `read`, in plain SQL."""
        with _translated(self._file), self._pool.transaction(write=False) as transaction:
            yield transaction

    @contextmanager
    def plain_write(self) -> Iterator[Transaction]:
        """As `write`, in plain SQL."""
        with _translated(self._file), self._pool.transaction(write=True) as transaction:
            yield transaction

    def close(self) -> None:
        """Give all connections back."""
        self._pool.close()
        if "engine" in self.__dict__:
            self.engine.dispose()


def _psycopg(arguments: dict[str, Any]) -> Callable[[], Any]:
    try:
        import psycopg
    except ModuleNotFoundError as error:
        raise _missing_driver("postgresql", error) from None
    return lambda: psycopg.connect(**_POSTGRESQL_ARGS, **arguments)  # type: ignore[arg-type]


def within(connection: Connection) -> Transaction:
    """The transaction of an SQLAlchemy connection, for statements in plain SQL."""
    return dbapi.Transaction(connection.connection.driver_connection, is_sqlite=connection.dialect.name == "sqlite")


@contextmanager
def _translated(file: Path | None) -> Iterator[None]:
    """Database errors as StoreError with a fix where one is known."""
    try:
        yield
    except PipekitError:
        raise
    except Exception as error:
        if not any(kind.__module__.partition(".")[0] in _DRIVERS for kind in type(error).__mro__):
            raise
        if (reason := _driver_error(error)) is None:
            # The pool's own: no connection became free in time.
            raise StoreUnavailable(f"The state store answered: {error}") from error
        invalidated = bool(getattr(error, "connection_invalidated", False))
        family = StoreUnavailable if invalidated or _is_unavailable(reason) else StoreError
        raise family(_explain(reason, file)) from error


def _driver_error(error: Exception) -> BaseException | None:
    """What the driver raised, which SQLAlchemy's DBAPIError wraps; None for an error of SQLAlchemy's own."""
    if type(error).__module__.partition(".")[0] != "sqlalchemy":
        return error
    from sqlalchemy.exc import DBAPIError

    return error.orig if isinstance(error, DBAPIError) else None


def _is_a(error: BaseException, name: str) -> bool:
    """Whether an error is of this class of the DB-API's, whichever the driver."""
    return any(kind.__name__ == name for kind in type(error).__mro__)


def _is_unavailable(error: BaseException) -> bool:
    """Whether the server could not be reached, went away, or takes no more connections."""
    if isinstance(error, sqlite3.Error):
        return False
    if _is_a(error, "InterfaceError"):
        return True  # a connection that is closed already
    if not _is_a(error, "OperationalError"):
        return False
    state = getattr(error, "sqlstate", None)
    # Without a state no server answered; class 08 is the connection's, 57P.. a shutdown or start, 53300 too many connections.
    return state is None or state.startswith(("08", "57P", "53300"))


#: What to do about a state file that SQLite cannot read.
RESTORE = (
    "`pipekit restore BACKUP` puts a backup in its place and keeps the damaged file; `pipekit init` does not mend it."
)


def is_corrupt(reason: str) -> bool:
    """Whether SQLite says that a file is none of its own, or no longer whole."""
    return "not a database" in reason or "malformed" in reason


def is_full(file: Path) -> bool:
    """Whether the disk that a file is on has no room: SQLite then cannot open or journal, and says so in many ways."""
    with suppress(OSError):
        disk = os.statvfs(file.absolute().parent)
        return disk.f_bavail * disk.f_frsize < _ROOM_BYTES or (disk.f_files > 0 and disk.f_favail == 0)
    return False


def _explain(error: BaseException, file: Path | None) -> str:
    reason = str(error).strip()
    lowered = reason.lower()
    if "readonly" in lowered or "read-only" in lowered:
        return f"The state store is read-only ({reason}). Give this user write access to the file and its folder."
    if is_corrupt(reason):
        return f"The state store is damaged ({reason}). {RESTORE}"
    vague = any(words in lowered for words in ("unable to open", "disk i/o error"))
    if ("full" in lowered and _is_a(error, "OperationalError")) or (vague and file is not None and is_full(file)):
        return f"The disk of the state store is full ({reason}). Free some space; nothing was changed."
    if "unable to open database file" in lowered:
        return f"The state store cannot be opened ({reason}). Check `database` in the config and the folder's rights."
    if "locked" in lowered:
        return f"The state store is busy ({reason}); another process holds it for over {dbapi.SQLITE_BUSY_TIMEOUT_S} s."
    return f"The state store answered: {reason}"

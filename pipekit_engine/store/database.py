"""Connections to the state database: one engine a process, short transactions, the same code on SQLite and PostgreSQL."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from pipekit_engine.common.files import create_private
from pipekit_engine.errors import PipekitError, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

#: Seconds that a writer waits for other writers of an SQLite store. Writes take milliseconds: fifty processes fit easily.
SQLITE_BUSY_TIMEOUT_S = 60
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


def make_engine(url: str) -> Engine:
    """An SQLAlchemy engine for the state store. Raises StoreError when that cannot be."""
    parsed = make_url(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    try:
        if parsed.get_backend_name() == "sqlite":
            return _sqlite_engine(str(parsed))
        return create_engine(
            parsed,
            pool_pre_ping=True,
            pool_size=5,
            max_overflow=20,
            connect_args=_POSTGRESQL_ARGS if parsed.get_backend_name() == "postgresql" else {},
        )
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

    file = make_url(url).database

    @event.listens_for(engine, "do_connect")
    def _on_first_connect(*_: Any) -> None:
        # SQLite would make it as wide as the umask says; it holds SQL, errors, watermarks' values. Journals take its mode.
        if file and file != ":memory:" and not file.startswith("file:"):
            create_private(Path(file))

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
        self._file = Path(self.engine.url.database) if self.is_sqlite and self.engine.url.database else None

    @property
    def is_sqlite(self) -> bool:
        """Whether the state is one SQLite file."""
        return self.engine.dialect.name == "sqlite"

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

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


@contextmanager
def _translated(file: Path | None) -> Iterator[None]:
    """Database errors as StoreError with a fix where one is known."""
    try:
        yield
    except PipekitError:
        raise
    except DBAPIError as error:
        family = StoreUnavailable if _is_unavailable(error) else StoreError
        raise family(_explain(error, file)) from error
    except SQLAlchemyError as error:
        # The pool's own: no connection became free in time.
        raise StoreUnavailable(f"The state store answered: {error}") from error


def _is_unavailable(error: DBAPIError) -> bool:
    """Whether the server could not be reached, went away, or takes no more connections."""
    if error.connection_invalidated:
        return True
    if not isinstance(error, OperationalError) or isinstance(error.orig, sqlite3.Error):
        return False
    state = getattr(error.orig, "sqlstate", None)
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


def _explain(error: DBAPIError, file: Path | None) -> str:
    reason = str(error.orig).strip()
    lowered = reason.lower()
    if "readonly" in lowered or "read-only" in lowered:
        return f"The state store is read-only ({reason}). Give this user write access to the file and its folder."
    if is_corrupt(reason):
        return f"The state store is damaged ({reason}). {RESTORE}"
    vague = any(words in lowered for words in ("unable to open", "disk i/o error"))
    if ("full" in lowered and isinstance(error, OperationalError)) or (vague and file is not None and is_full(file)):
        return f"The disk of the state store is full ({reason}). Free some space; nothing was changed."
    if "unable to open database file" in lowered:
        return f"The state store cannot be opened ({reason}). Check `database` in the config and the folder's rights."
    if "locked" in lowered:
        return f"The state store is busy ({reason}); another process holds it for over {SQLITE_BUSY_TIMEOUT_S} s."
    return f"The state store answered: {reason}"

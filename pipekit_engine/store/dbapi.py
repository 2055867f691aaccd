"""The store's hot path: transactions in plain SQL over the DB-API, without SQLAlchemy: its import takes longer than a small run.

What every run and every list of runs asks is here: locks, runs, definitions. Migrations, backups and what is asked seldom go by
SQLAlchemy (`database.py`), on the same database. One text serves SQLite and PostgreSQL: parameters are written `:name`, and
values come back as Python has them on both (`_TIMES`, `_FLAGS`; a test holds these against the schema).
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipekit_engine.common.files import create_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: Seconds that a writer waits for other writers of an SQLite store. Writes take milliseconds: fifty processes fit easily.
SQLITE_BUSY_TIMEOUT_S = 60
#: Connections that are kept for the next transaction; side by side there may be more.
_KEPT = 5
#: Columns that SQLite holds as ISO 8601 text, and as 0 and 1.
_TIMES = frozenset(
    {
        "certified_at",
        "checked_at",
        "finished_at",
        "heartbeat_at",
        "last_fired_at",
        "running_since",
        "started_at",
        "updated_at",
    }
)
_FLAGS = frozenset({"enabled", "running", "cancel_requested", "spread"})
_PARAMETER = re.compile(r"(?<![:\w]):(\w+)")
#: A PostgreSQL URL that needs no reading of SQLAlchemy's: nothing escaped, no options.
_PLAIN_POSTGRESQL = re.compile(
    r"postgresql(?:\+psycopg)?://([\w.-]+)(?::([\w.~!-]*))?@([\w.-]+)(?::(\d+))?/([\w-]+)", re.ASCII
)
_PLAIN_SQLITE = re.compile(r"sqlite:///([^?%#]+)")


class Row(dict[str, Any]):
    """One row by the names of its columns."""


class Result:
    """What a statement gave: its rows, all of them, or how many it changed."""

    def __init__(self, rows: list[Row], rowcount: int) -> None:
        self.rows = rows
        self.rowcount = rowcount

    def first(self) -> Row | None:
        """The first row; None where there is none."""
        return self.rows[0] if self.rows else None

    def scalar(self) -> Any:
        """The first cell of the first row; None where there is none."""
        return next(iter(self.rows[0].values())) if self.rows else None

    def scalars(self) -> list[Any]:
        """The first cell of each row."""
        return [next(iter(row.values())) for row in self.rows]


class Transaction:
    """An open transaction, over a connection of a DB-API driver."""

    def __init__(self, driver_connection: Any, *, is_sqlite: bool) -> None:
        self._cursor = driver_connection.cursor()
        self.is_sqlite = is_sqlite

    def execute(self, sql: str, values: Mapping[str, Any] | None = None) -> Result:
        """Execute one statement. Raises what the driver raises."""
        given = {key: _bound(value, self.is_sqlite) for key, value in (values or {}).items()}
        self._cursor.execute(sql if self.is_sqlite else _pyformat(sql), given)
        if self._cursor.description is None:
            return Result([], self._cursor.rowcount)
        names = [column[0] for column in self._cursor.description]
        readers = [_reader(name, self.is_sqlite) for name in names]
        rows = [
            Row(
                zip(
                    names,
                    (read(value) if read else value for read, value in zip(readers, row, strict=True)),
                    strict=True,
                )
            )
            for row in self._cursor.fetchall()
        ]
        return Result(rows, len(rows))


def _bound(value: Any, is_sqlite: bool) -> Any:
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise ValueError("the store takes aware datetimes only")
    # Of one width, so that the texts sort as the instants do.
    return value.astimezone(timezone.utc).isoformat(timespec="microseconds") if is_sqlite else value


def _reader(name: str, is_sqlite: bool) -> Callable[[Any], Any] | None:
    if name in _TIMES:
        return _instant
    return _flag if is_sqlite and name in _FLAGS else None


def _instant(value: Any) -> datetime | None:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.astimezone(timezone.utc) if isinstance(value, datetime) else None


def _flag(value: Any) -> bool | None:
    return None if value is None else bool(value)


@lru_cache(maxsize=256)
def _pyformat(sql: str) -> str:
    """The statement with its parameters as PostgreSQL's drivers want them."""
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))


def assignments(values: Mapping[str, Any]) -> str:
    """`a = :a, b = :b`, for an UPDATE. The names are the store's own columns."""
    return ", ".join(f"{name} = :{name}" for name in values)


class Pool:
    """Connections of one database, kept for the next transaction of any thread."""

    def __init__(self, connect: Callable[[], Any], *, is_sqlite: bool) -> None:
        self._connect = connect
        self._is_sqlite = is_sqlite
        self._idle: list[Any] = []
        self._parents: list[Any] = []
        self._lock = threading.Lock()
        self._process = os.getpid()

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Transaction]:
        """A transaction that commits at the end of the block, or changes nothing when the block raises."""
        connection = self._take()
        try:
            if self._is_sqlite:
                connection.execute(begin_sqlite(write=write))
            yield Transaction(connection, is_sqlite=self._is_sqlite)
            connection.commit()
        except BaseException:
            with suppress(Exception):
                connection.rollback()
            # It may be what was wrong, and the next transaction is to begin with one that works.
            _close(connection)
            raise
        self._give_back(connection)

    def _take(self) -> Any:
        while True:
            with self._lock:
                if self._process != os.getpid():
                    # A fork: its parent's connections are the parent's. They are not closed here, which would end them there.
                    self._parents, self._idle, self._process = self._idle, [], os.getpid()
                if not self._idle:
                    break
                connection = self._idle.pop()
            if self._is_sqlite or _answers(connection):
                return connection
            _close(connection)
        return self._connect()

    def _give_back(self, connection: Any) -> None:
        with self._lock:
            if len(self._idle) < _KEPT and self._process == os.getpid():
                self._idle.append(connection)
                return
        _close(connection)

    def close(self) -> None:
        """Give all connections back."""
        with self._lock:
            idle, self._idle = self._idle, []
        if self._process == os.getpid():
            for connection in idle:
                _close(connection)


def _close(connection: Any) -> None:
    with suppress(Exception):
        connection.close()


def _answers(connection: Any) -> bool:
    """Whether a server that may have been restarted since still knows this connection."""
    try:
        connection.cursor().execute("SELECT 1")
        connection.rollback()
    except Exception:
        return False
    return True


def sqlite_path(url: str) -> str | None:
    """The file of an SQLite URL in its plain form; None for any other URL."""
    match = _PLAIN_SQLITE.fullmatch(url)
    return match[1] if match and match[1] != ":memory:" and not match[1].startswith("file:") else None


def open_sqlite(path: str) -> sqlite3.Connection:
    """A connection of the state file as every part of the store wants it; several threads may use it in turn."""
    # SQLite would make the file as wide as the umask says; it holds SQL, errors, watermarks' values. Journals take its mode.
    create_private(Path(path))
    connection = sqlite3.connect(path, timeout=SQLITE_BUSY_TIMEOUT_S, check_same_thread=False)
    prepare_sqlite(connection)
    return connection


def prepare_sqlite(connection: sqlite3.Connection) -> None:
    """The settings of each connection of the state file."""
    # None: the driver begins nothing by itself; whoever begins says which kind of transaction it is.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_TIMEOUT_S * 1000}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")


def begin_sqlite(*, write: bool) -> str:
    """What begins a transaction. A deferred one that turns writer can fail with "database is locked" at once, whatever the busy
    timeout: a writer says so from the start."""
    return "BEGIN IMMEDIATE" if write else "BEGIN"


def postgresql_arguments(url: str) -> dict[str, Any] | None:
    """What psycopg connects with for a PostgreSQL URL in its plain form; None for any other URL."""
    match = _PLAIN_POSTGRESQL.fullmatch(url)
    if match is None:
        return None
    named = zip(("user", "password", "host", "port", "dbname"), match.groups(), strict=True)
    return {name: value for name, value in named if value is not None}

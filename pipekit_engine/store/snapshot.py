"""The whole state as one file, and back: what backup and restore are made of.

A snapshot is an SQLite file in the store's own shape, whatever database the state is in. So one format restores into either
kind of store, an older snapshot is upgraded by the migrations that upgrade a store, and anybody can look into one with
`sqlite3`. (PostgreSQL's own dump would restore into PostgreSQL only, and needs its programs on the machine.)

A snapshot is consistent: SQLite's online backup copies all pages under one read lock, which no writer of a WAL file
waits for; from PostgreSQL all tables are read in one REPEATABLE READ transaction. It goes back in one transaction, too:
other processes see the old state or the new one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, make_url, select, text, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from pipekit_engine.errors import StoreError
from pipekit_engine.store import leases, schema
from pipekit_engine.store.database import Database, within
from pipekit_engine.store.upgrade import HEAD, check_revision, current_revision, initialise, known_revisions

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

    from pipekit_engine.store.leases import Lease

#: Rows that are held in memory at a time. A run's row may carry megabytes of log.
_ROWS = 50
_BUSY_S = 60
#: Tables whose numbers are never given out again, not even after their rows were pruned.
_NUMBERED = (schema.run_log, schema.group_run)


@dataclass(frozen=True)
class SnapshotInfo:
    """What a snapshot says of itself. `made_at` and `made_by` are None for an SQLite state file that no backup made."""

    revision: str
    made_at: datetime | None
    made_by: str | None
    counts: dict[str, int]


def sqlite_file(url: str) -> Path | None:
    """The file of a state store on SQLite; None for another database."""
    try:
        parsed = make_url(url)
    except SQLAlchemyError:
        return None
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None


def dump(url: str, target: Path, made_by: str) -> None:
    """Write the state at `url` into `target`, an SQLite file that is empty or not there yet. Raises StoreError.

    Other processes may run modules meanwhile. SQLite state of any revision is taken as it is; from PostgreSQL the revision must
    be this pipekit's own.
    """
    path = sqlite_file(url)
    if path is not None:
        _copy_file(path, target, read_only=False)
    else:
        _copy_tables(url, target)
    with _sqlite(target) as file:
        # One file that is complete by itself, without -wal and -shm beside it.
        file.execute("PRAGMA journal_mode = DELETE")
        with file:
            file.execute("DROP TABLE IF EXISTS pipekit_backup")
            file.execute("CREATE TABLE pipekit_backup (made_at TEXT NOT NULL, made_by TEXT NOT NULL)")
            made_at = datetime.now(timezone.utc).isoformat(timespec="seconds")
            file.execute("INSERT INTO pipekit_backup VALUES (?, ?)", [made_at, made_by])


def verify(path: Path) -> SnapshotInfo:
    """Look a snapshot through: every page, every reference, its revision. Raises StoreError saying what is wrong."""
    with _sqlite(path, read_only=True) as file:
        damage = [row[0] for row in file.execute("PRAGMA integrity_check(5)")]
        if damage != ["ok"]:
            raise StoreError(f"{path} is damaged: {'; '.join(damage)}. Use another backup.")
        tables = {row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        revision = file.execute("SELECT version_num FROM alembic_version").fetchone() if tables >= _OURS else None
        if revision is None:
            raise StoreError(f"{path} holds no pipekit state. `pipekit backup FILE` makes such a file.")
        if revision[0] not in known_revisions():
            raise StoreError(
                f"{path} is of a newer pipekit (revision {revision[0]}; this one knows up to {HEAD}). "
                "Install that version of pipekit."
            )
        dangling = file.execute("PRAGMA foreign_key_check").fetchone()
        if dangling is not None:
            raise StoreError(f"{path} is damaged: a row of {dangling[0]} names one of {dangling[2]} that is not there.")
        made = file.execute("SELECT made_at, made_by FROM pipekit_backup").fetchone() if _NOTE in tables else None
        counts = {
            name: int(file.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0])
            for name in ("connection", "module", "grp", "schedule", "trigger", "run_log")
        }
    return SnapshotInfo(
        revision[0], datetime.fromisoformat(made[0]) if made else None, made[1] if made else None, counts
    )


_NOTE = "pipekit_backup"
_OURS = {"alembic_version", "module", "run_log"}


def holds_state(url: str) -> bool:
    """Whether the database holds pipekit's tables, of whatever revision. Raises StoreError when it does not answer."""
    database = Database(url)
    try:
        return current_revision(database) is not None
    finally:
        database.close()


def working_copy(snapshot: Path, target: Path) -> str:
    """Copy a snapshot to `target`, upgrade the copy to this pipekit's revision; its URL. Raises StoreError."""
    _copy_file(snapshot, target, read_only=True)
    url = f"sqlite:///{target}"
    database = Database(url)
    try:
        initialise(database, str(target), target)
    finally:
        database.close()
    return url


def load(source_url: str, target_url: str, check: Callable[[list[Lease]], None]) -> None:
    """Replace all that the store at `target_url` holds by what the one at `source_url` holds, in one transaction.

    `check` gets the locks of the target once nobody else can write, and refuses by raising. What must not go back in time does
    not: numbers of runs are not given out again, a tick that has fired stays fired, a trigger keeps what it has seen.
    Raises StoreError; then the target is as it was.
    """
    source, target = Database(source_url), Database(target_url)
    try:
        check_revision(source, "the snapshot")
        check_revision(target, "the target")
        with source.read() as reading, target.write() as writing:
            if not target.is_sqlite:
                names = ", ".join(f'"{table.name}"' for table in schema.metadata.sorted_tables)
                writing.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))
            check(leases.held_locks(within(writing)))
            kept = _Lasting.of(writing)
            for table in reversed(schema.metadata.sorted_tables):
                writing.execute(delete(table))
            _copy_rows(reading, writing)
            kept.put_back(writing)
            _set_sequences(
                writing, {table.name: max(kept.numbers[table.name], _number(reading, table)) for table in _NUMBERED}
            )
    finally:
        source.close()
        target.close()


@dataclass
class _Lasting:
    """What a store knows that an older state must not undo."""

    fired: dict[str, datetime]
    cursors: dict[str, str]
    numbers: dict[str, int]
    version: int

    @classmethod
    def of(cls, connection: Connection) -> _Lasting:
        schedule, trigger = schema.schedule.c, schema.trigger.c
        fired = connection.execute(
            select(schedule.name, schedule.last_fired_at).where(schedule.last_fired_at.is_not(None))
        )
        cursors = connection.execute(select(trigger.name, trigger.cursor).where(trigger.cursor.is_not(None)))
        version = connection.execute(select(schema.definitions_version.c.version)).scalar() or 0
        return cls(
            fired={row.name: row.last_fired_at for row in fired},
            cursors={row.name: row.cursor for row in cursors},
            numbers={table.name: _number(connection, table) for table in _NUMBERED},
            version=version,
        )

    def put_back(self, connection: Connection) -> None:
        schedule, trigger, version = schema.schedule, schema.trigger, schema.definitions_version
        for name, at in self.fired.items():
            older = schedule.c.last_fired_at.is_(None) | (schedule.c.last_fired_at < at)
            connection.execute(update(schedule).where(schedule.c.name == name, older).values(last_fired_at=at))
        for name, cursor in self.cursors.items():
            connection.execute(update(trigger).where(trigger.c.name == name).values(cursor=cursor))
        # A number that was never there before: whoever watches for changed definitions sees one.
        restored = connection.execute(select(version.c.version)).scalar() or 0
        connection.execute(update(version).values(version=max(restored, self.version) + 1))


def set_aside(path: Path, target: Path) -> None:
    """Move an SQLite state file that this pipekit cannot use, with what belongs to it. Raises StoreError when it is in use."""
    try:
        with closing(sqlite3.connect(path, timeout=2)) as file:
            # SQLite leaves WAL mode only for the one process that has the file open.
            file.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise StoreError(
                f"{path} is open in another process. Stop whatever uses pipekit's state, then restore."
            ) from None
    except sqlite3.DatabaseError:
        pass  # no database at all: nobody can have it open
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(target.with_name(target.name + suffix))


def _copy_file(path: Path, target: Path, *, read_only: bool) -> None:
    with _sqlite(path, read_only=read_only) as source, _sqlite(target) as file:
        source.backup(file)


def _copy_tables(url: str, target: Path) -> None:
    source, copy = Database(url), Database(f"sqlite:///{target}")
    try:
        check_revision(source, make_url(url).render_as_string(hide_password=True))
        initialise(copy, str(target), target)
        reading = source.engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with reading, copy.write() as writing:
            for table in reversed(schema.metadata.sorted_tables):
                writing.execute(delete(table))
            _copy_rows(reading, writing)
            _set_sequences(writing, {table.name: _number(reading, table) for table in _NUMBERED})
    except DBAPIError as error:
        raise StoreError(f"The state store answered: {str(error.orig).strip()}") from error
    finally:
        source.close()
        copy.close()


def _copy_rows(source: Connection, target: Connection) -> None:
    """Every row of every table, into tables that are empty."""
    plain = target.dialect.name == "sqlite"
    for table in schema.metadata.sorted_tables:
        keys = [column.key for column in table.c]
        rows = source.execution_options(yield_per=_ROWS).execute(select(table).order_by(*table.primary_key.columns))
        for part in rows.partitions():
            target.execute(
                insert(table),
                [dict(zip(keys, row if plain else map(_for_postgresql, row), strict=True)) for row in part],
            )


def _for_postgresql(value: Any) -> Any:
    """A value that PostgreSQL takes: its text holds no NUL, which a log in SQLite may."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def _number(connection: Connection, table: Table) -> int:
    """The highest number that the table has given out."""
    if connection.dialect.name == "sqlite":
        given = connection.execute(
            text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table.name}
        ).scalar()
    else:
        sequence = connection.execute(select(func.pg_get_serial_sequence(table.name, "id"))).scalar_one()
        given = connection.execute(
            text(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}")
        ).scalar()
    highest = connection.execute(select(func.max(table.c.id))).scalar()
    return max(int(given or 0), int(highest or 0))


def _set_sequences(connection: Connection, numbers: dict[str, int]) -> None:
    """Let tables go on counting behind what they hold, and behind `numbers` where that is more."""
    for table in schema.metadata.sorted_tables:
        if "id" not in table.c:
            continue
        number = max(numbers.get(table.name, 0), int(connection.execute(select(func.max(table.c.id))).scalar() or 0))
        if connection.dialect.name != "sqlite":
            sequence = connection.execute(select(func.pg_get_serial_sequence(table.name, "id"))).scalar()
            if sequence is not None and number:
                connection.execute(select(func.setval(sequence, number)))
        elif table in _NUMBERED:
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
            row = {"name": table.name, "seq": number}
            connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :seq)"), row)


@contextmanager
def _sqlite(path: Path, *, read_only: bool = False) -> Iterator[sqlite3.Connection]:
    """An SQLite file, its errors as StoreError. One that is only read may lie where nobody can write."""
    try:
        with closing(_open(path, read_only)) as file:
            yield file
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be used: {error}.") from None


def _open(path: Path, read_only: bool) -> sqlite3.Connection:
    if not read_only:
        return sqlite3.connect(path, timeout=_BUSY_S)
    if not path.is_file():
        raise StoreError(f"There is no file {path}.")
    place = path.absolute().as_uri()
    file = sqlite3.connect(f"{place}?mode=ro", uri=True, timeout=_BUSY_S)
    try:
        file.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        # A file in WAL mode wants to make its -shm file; where it cannot, nobody writes to the file either.
        file.close()
        return sqlite3.connect(f"{place}?mode=ro&immutable=1", uri=True)
    return file

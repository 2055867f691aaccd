"""The locks of modules and groups.

How it works:

1. Taking a lock is one UPDATE with `WHERE NOT running`: of any number of processes exactly one changes a row. It writes a fresh
   token, the owner (a `ProcessName`) and the time.
2. The owner renews `heartbeat_at` every few seconds, and asks each time whether the token is still its own.
3. Before the merge it asks once more (`held`): an owner that was frozen for so long that its lock was taken away must not write.
4. Releasing compares the token, so nobody releases another's lock.
5. A lock is taken away only from a dead owner: its process is gone, or, for an owner on another machine, whose processes
   cannot be looked at, its heartbeat is older than `HEARTBEAT_TIMEOUT`. A live process on this machine keeps its lock
   however long it runs. Where several machines share the store, its server's clock tells the time: theirs may differ.
6. An owner that cannot renew does not merge for longer than `HEARTBEAT_FENCE`: it rolls back before another may take its lock.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import func, select, type_coerce, update

from pipekit_engine.common.processes import ProcessName
from pipekit_engine.store import schema

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

    from pipekit_engine.store.database import Database

#: How often an owner renews its lock, and when the lock of an owner that cannot be looked at counts as abandoned.
HEARTBEAT_INTERVAL = timedelta(seconds=5)
HEARTBEAT_TIMEOUT = timedelta(seconds=60)
#: The time between the two is for the cancel: jrunner ends within ten seconds, by force if need be.
HEARTBEAT_FENCE = timedelta(seconds=45)

What = Literal["module", "group"]
_TABLES: dict[What, Table] = {"module": schema.module, "group": schema.grp}


@dataclass(frozen=True)
class Lease:
    """Who holds a lock. `child` is the jrunner process that works for the owner.

    `silence` is how long ago the owner gave its last sign of life. `shared`: owners may be on other machines.
    """

    what: What
    name: str
    token: str
    owner: ProcessName | None
    child: ProcessName | None
    since: datetime
    heartbeat_at: datetime
    silence: timedelta
    shared: bool

    def abandoned(self) -> bool:
        """Whether the owner is dead."""
        # Of two machines with one name, the other's processes cannot be looked at either.
        judged = self.owner is not None and (self.owner.is_here or not self.shared)
        alive = self.owner.alive() if self.owner is not None and judged else None
        return not alive if alive is not None else self.silence > HEARTBEAT_TIMEOUT

    def describe(self) -> str:
        """For people: who holds the lock, since when."""
        holder = self.owner.label if self.owner else "an unknown process"
        return f"{holder} since {self.since:%Y-%m-%d %H:%M:%S} UTC"


class LeaseStore:
    """Takes, renews, inspects and gives back locks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def shared(self) -> bool:
        """Whether processes of other machines may use this store."""
        return not self._database.is_sqlite

    def acquire(self, what: What, name: str) -> str | None:
        """Take the lock; its token, or None when somebody holds it."""
        with self._database.write() as connection:
            return acquire(connection, what, name)

    def release(self, what: What, name: str, token: str) -> bool:
        """Give the lock back; False when it was not held by this token any more."""
        with self._database.write() as connection:
            return release(connection, what, name, token)

    def renew(self, what: What, name: str, token: str) -> bool:
        """Renew the heartbeat; False when the lock was taken away."""
        table = _TABLES[what]
        statement = update(table).where(table.c.name == name, table.c.running_token == token)
        with self._database.write() as connection:
            return connection.execute(statement.values(heartbeat_at=_now(connection))).rowcount == 1

    def set_child(self, what: What, name: str, token: str, child: ProcessName) -> None:
        """Note the jrunner process that works for the owner, so that whoever finds the owner dead can end it."""
        table = _TABLES[what]
        statement = update(table).where(table.c.name == name, table.c.running_token == token)
        with self._database.write() as connection:
            connection.execute(statement.values(running_child=str(child)))

    def held(self, what: What, name: str, token: str) -> bool:
        """Whether this token still holds the lock."""
        table = _TABLES[what]
        with self._database.read() as connection:
            return connection.execute(select(table.c.running_token).where(table.c.name == name)).scalar() == token

    def find(self, what: What, name: str) -> Lease | None:
        """The lock as it is now; None when it is free."""
        return next(iter(self._select(what, name)), None)

    def all(self) -> list[Lease]:
        """Every lock that is held."""
        return [lease for what in _TABLES for lease in self._select(what)]

    def _select(self, what: What, name: str | None = None) -> list[Lease]:
        with self._database.read() as connection:
            return _select(connection, what, name)


def held_locks(connection: Connection) -> list[Lease]:
    """As `LeaseStore.all`, inside a transaction of the caller."""
    return [lease for what in _TABLES for lease in _select(connection, what)]


def _select(connection: Connection, what: What, name: str | None = None) -> list[Lease]:
    table, now = _TABLES[what], _now(connection)
    query = select(table, type_coerce(now, schema.UTCDateTime()).label("now")).where(table.c.running)
    if name is not None:
        query = query.where(table.c.name == name)
    found = []
    for row in connection.execute(query).all():
        heartbeat = row.heartbeat_at or row.running_since or row.updated_at
        found.append(
            Lease(
                what=what,
                name=row.name,
                token=row.running_token or "",
                owner=ProcessName.parse(row.running_owner),
                child=ProcessName.parse(row.running_child),
                since=row.running_since or row.updated_at,
                heartbeat_at=heartbeat,
                silence=row.now - heartbeat,
                shared=connection.dialect.name != "sqlite",
            )
        )
    return found


def _now(connection: Connection) -> Any:
    """The time by the one clock that all owners share: the store's server, or this machine."""
    return datetime.now(timezone.utc) if connection.dialect.name == "sqlite" else func.clock_timestamp()


def acquire(connection: Connection, what: What, name: str) -> str | None:
    """As `LeaseStore.acquire`, inside a transaction of the caller."""
    table, token, now = _TABLES[what], str(uuid.uuid4()), _now(connection)
    changed = connection.execute(
        update(table)
        .where(table.c.name == name, ~table.c.running)
        .values(
            running=True,
            running_token=token,
            running_owner=str(ProcessName.current()),
            running_child=None,
            running_since=now,
            heartbeat_at=now,
        )
    ).rowcount
    return token if changed == 1 else None


def release(connection: Connection, what: What, name: str, token: str) -> bool:
    """As `LeaseStore.release`, inside a transaction of the caller."""
    table = _TABLES[what]
    changed = connection.execute(
        update(table)
        .where(table.c.name == name, table.c.running_token == token)
        .values(
            running=False,
            running_token=None,
            running_owner=None,
            running_child=None,
            running_since=None,
            heartbeat_at=None,
        )
    ).rowcount
    return changed == 1

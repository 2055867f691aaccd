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

from pipekit_engine.common.processes import ProcessName
from pipekit_engine.store.dbapi import assignments

if TYPE_CHECKING:
    from pipekit_engine.store.database import Database
    from pipekit_engine.store.dbapi import Transaction

#: How often an owner renews its lock, and when the lock of an owner that cannot be looked at counts as abandoned.
HEARTBEAT_INTERVAL = timedelta(seconds=5)
#: Who looks for such locks does so every few seconds: within a minute the module is free.
HEARTBEAT_TIMEOUT = timedelta(seconds=50)
#: The time between the two is for the cancel: jrunner ends within ten seconds, by force if need be.
HEARTBEAT_FENCE = timedelta(seconds=37)

What = Literal["module", "group"]
_TABLES: dict[What, str] = {"module": "module", "group": "grp"}
#: What a lock that is free holds.
_FREE = {
    "running": False,
    **dict.fromkeys(("running_token", "running_owner", "running_child", "running_since", "heartbeat_at")),
}


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
        with self._database.plain_write() as transaction:
            return acquire(transaction, what, name)

    def release(self, what: What, name: str, token: str) -> bool:
        """Give the lock back; False when it was not held by this token any more."""
        with self._database.plain_write() as transaction:
            return release(transaction, what, name, token)

    def renew(self, what: What, name: str, token: str) -> bool:
        """Renew the heartbeat; False when the lock was taken away."""
        with self._database.plain_write() as transaction:
            return _set(transaction, what, name, token, {}, "heartbeat_at") == 1

    def held(self, what: What, name: str, token: str) -> bool:
        """Whether this token still holds the lock."""
        with self._database.plain_read() as transaction:
            found = transaction.execute(f"SELECT running_token FROM {_TABLES[what]} WHERE name = :name", {"name": name})
        return bool(found.scalar() == token)

    def find(self, what: What, name: str) -> Lease | None:
        """The lock as it is now; None when it is free."""
        with self._database.plain_read() as transaction:
            return next(iter(_select(transaction, what, name)), None)

    def all(self) -> list[Lease]:
        """Every lock that is held."""
        with self._database.plain_read() as transaction:
            return held_locks(transaction)


def held_locks(transaction: Transaction) -> list[Lease]:
    """As `LeaseStore.all`, inside a transaction of the caller."""
    return [lease for what in _TABLES for lease in _select(transaction, what)]


def _select(transaction: Transaction, what: What, name: str | None = None) -> list[Lease]:
    clock = "NULL" if transaction.is_sqlite else "clock_timestamp()"
    query = f"SELECT {_TABLES[what]}.*, {clock} AS now FROM {_TABLES[what]} WHERE running"
    if name is not None:
        query += " AND name = :name"
    found = []
    for row in transaction.execute(query, {} if name is None else {"name": name}).rows:
        heartbeat = row["heartbeat_at"] or row["running_since"] or row["updated_at"]
        found.append(
            Lease(
                what=what,
                name=row["name"],
                token=row["running_token"] or "",
                owner=ProcessName.parse(row["running_owner"]),
                child=ProcessName.parse(row["running_child"]),
                since=row["running_since"] or row["updated_at"],
                heartbeat_at=heartbeat,
                silence=(row["now"] or datetime.now(timezone.utc)) - heartbeat,
                shared=not transaction.is_sqlite,
            )
        )
    return found


def _set(transaction: Transaction, what: What, name: str, token: str | None, values: dict[str, Any], *now: str) -> int:
    """Write the lock's columns, those of `now` with the time, if it is held by the token, or free where that is None.

    The time is by the one clock that all owners share: the store's server, or this machine.
    """
    clock = ":now" if transaction.is_sqlite else "clock_timestamp()"
    columns = ", ".join([part for part in (assignments(values),) if part] + [f"{column} = {clock}" for column in now])
    holder = "NOT running" if token is None else "running_token = :token"
    named = {**values, "name": name, "token": token, "now": datetime.now(timezone.utc)}
    sql = f"UPDATE {_TABLES[what]} SET {columns} WHERE name = :name AND {holder}"
    return transaction.execute(sql, named).rowcount


def new_token() -> str:
    """A token that no lock has had."""
    return str(uuid.uuid4())


def acquire(transaction: Transaction, what: What, name: str, token: str | None = None) -> str | None:
    """As `LeaseStore.acquire`, inside a transaction of the caller."""
    token = token or new_token()
    values = {
        "running": True,
        "running_token": token,
        "running_owner": str(ProcessName.current()),
        "running_child": None,
    }
    changed = _set(transaction, what, name, None, values, "running_since", "heartbeat_at")
    return token if changed == 1 else None


def release(transaction: Transaction, what: What, name: str, token: str) -> bool:
    """As `LeaseStore.release`, inside a transaction of the caller."""
    return _set(transaction, what, name, token, _FREE) == 1


def set_child(transaction: Transaction, what: What, name: str, token: str, child: ProcessName) -> None:
    """Note the jrunner process that works for the owner, so that whoever finds the owner dead can end it."""
    _set(transaction, what, name, token, {"running_child": str(child)})

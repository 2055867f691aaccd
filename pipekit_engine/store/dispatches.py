"""The dispatch table: work that is sent to workers of other hosts, and which process has taken it.

A message broker may lose a message, or deliver it twice. The row here is the truth, and a message only says that there is one:

1. Who sends work writes its row first, then the message, and sends the message again while nobody has taken the row (`due`).
2. Whoever gets a message takes the row by one UPDATE with `WHERE claimed_by IS NULL`: of any number of processes exactly one
   changes it. A second delivery finds the row taken, or gone since the work has ended, and is dropped.
3. Who sent the work takes it back (`withdraw`) by the same condition: it is then taken by nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipekit_engine.common.processes import ProcessName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.store.database import Database
    from pipekit_engine.store.dbapi import Transaction

#: Seconds until an untaken message is sent again: the first time, and at most. Each time it is twice as long.
RESEND_FIRST_S, RESEND_LONGEST_S = 15, 240


@dataclass(frozen=True)
class Dispatch:
    """One piece of work. `id` is the Dagster run's; `silence_s` is how long ago it was taken, by the store's clock."""

    id: str
    queue: str
    worker: ProcessName | None
    silence_s: float


class DispatchStore:
    """Hands work out, once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, id_: str, queue: str) -> None:
        """Write down that this work is to be done; nothing happens when it is there already."""
        with self._database.plain_write() as transaction:
            now = _clock(transaction)
            transaction.execute(
                "INSERT INTO dispatch (id, queue, sent_s, sends) "
                f"VALUES (:id, :queue, {now}, 1) ON CONFLICT (id) DO NOTHING",
                {"id": id_, "queue": queue},
            )

    def claim(self, id_: str) -> bool:
        """Take the work for this process; False when another one has, or there is none (any more)."""
        with self._database.plain_write() as transaction:
            taken = transaction.execute(
                f"UPDATE dispatch SET claimed_by = :worker, claimed_s = {_clock(transaction)} "
                "WHERE id = :id AND claimed_by IS NULL",
                {"id": id_, "worker": str(ProcessName.current())},
            )
        return taken.rowcount == 1

    def withdraw(self, id_: str) -> bool:
        """Take work back that nobody has taken; False when somebody has, or there is none."""
        with self._database.plain_write() as transaction:
            gone = transaction.execute("DELETE FROM dispatch WHERE id = :id AND claimed_by IS NULL", {"id": id_})
        return gone.rowcount == 1

    def is_open(self, id_: str) -> bool:
        """Whether the work waits for somebody to take it."""
        with self._database.plain_read() as transaction:
            found = transaction.execute("SELECT 1 FROM dispatch WHERE id = :id AND claimed_by IS NULL", {"id": id_})
        return bool(found.rows)

    def forget(self, ids: Sequence[str]) -> None:
        """Remove work that has ended."""
        with self._database.plain_write() as transaction:
            for id_ in ids:
                transaction.execute("DELETE FROM dispatch WHERE id = :id", {"id": id_})

    def taken(self) -> list[Dispatch]:
        """Work that somebody has taken, and that is not known to have ended."""
        return self._select("claimed_by IS NOT NULL", since="claimed_s")

    def due(self) -> list[Dispatch]:
        """Work that nobody has taken and whose message is to be sent again. It counts as sent, for now, with this call."""
        with self._database.plain_write() as transaction:
            now = _clock(transaction)
            pause = " ".join(
                f"WHEN {n} THEN {min(RESEND_FIRST_S * 2 ** (n - 1), RESEND_LONGEST_S)}" for n in range(1, 5)
            )
            found = transaction.execute(
                f"UPDATE dispatch SET sent_s = {now}, sends = sends + 1 WHERE claimed_by IS NULL "
                f"AND {now} - sent_s >= CASE sends {pause} ELSE {RESEND_LONGEST_S} END "
                "RETURNING id, queue, claimed_by, 0 AS silence"
            )
        return [_dispatch(row) for row in found.rows]

    def _select(self, condition: str, *, since: str) -> list[Dispatch]:
        with self._database.plain_read() as transaction:
            query = f"SELECT id, queue, claimed_by, {_clock(transaction)} - {since} AS silence FROM dispatch WHERE {condition}"
            return [_dispatch(row) for row in transaction.execute(query).rows]


def _dispatch(row: dict[str, Any]) -> Dispatch:
    return Dispatch(row["id"], row["queue"], ProcessName.parse(row["claimed_by"]), float(row["silence"]))


def _clock(transaction: Transaction) -> str:
    """Seconds since the epoch by the one clock that all share."""
    if transaction.is_sqlite:
        return "(julianday('now') - 2440587.5) * 86400.0"
    return "extract(epoch FROM clock_timestamp())::float8"

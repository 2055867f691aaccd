"""The dispatch table: work that is sent to workers of other hosts, and which process has taken it.

A message broker may lose a message, or deliver it twice. The row here is the truth, and a message only says that there is one:

1. Who sends work writes its row first, then the message, and sends the message again while nobody has taken the row (`due`).
2. Whoever gets a message takes the row by one UPDATE with `WHERE claimed_by IS NULL`: of any number of processes exactly one
   changes it. A second delivery finds the row taken, or gone since the work has ended, and is dropped.
3. Who sent the work takes it back (`withdraw`) by the same condition: it is then taken by nobody.
"""

from __future__ import annotations

import json
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
    """One piece of work: a Dagster run, whose id it has, or a member of a group run.

    `silence_s` is how long ago it was taken, by the store's clock. `outcome` says how a member ended, once it has.
    """

    id: str
    queue: str
    worker: ProcessName | None
    silence_s: float
    group_run_id: int | None
    outcome: dict[str, Any] | None


class DispatchStore:
    """Hands work out, once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, id_: str, queue: str, *, group_run_id: int | None = None, payload: dict[str, Any] | None = None
    ) -> None:
        """Write down that this work is to be done; nothing happens when it is there already."""
        given = {"id": id_, "queue": queue, "group": group_run_id, "payload": json.dumps(payload) if payload else None}
        with self._database.plain_write() as transaction:
            now = _clock(transaction)
            transaction.execute(
                "INSERT INTO dispatch (id, queue, group_run_id, payload, sent_s, sends) "
                f"VALUES (:id, :queue, :group, :payload, {now}, 1) ON CONFLICT (id) DO NOTHING",
                given,
            )

    def claim(self, id_: str) -> bool:
        """Take the work for this process; False when another one has, or there is none (any more).

        Nor is a member taken whose group run has ended.
        """
        with self._database.plain_write() as transaction:
            taken = transaction.execute(
                f"UPDATE dispatch SET claimed_by = :worker, claimed_s = {_clock(transaction)} "
                "WHERE id = :id AND claimed_by IS NULL AND (group_run_id IS NULL OR EXISTS "
                "(SELECT 1 FROM group_run g WHERE g.id = dispatch.group_run_id AND g.finished_at IS NULL))",
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

    def payload(self, id_: str) -> dict[str, Any]:
        """What a member was sent with."""
        with self._database.plain_read() as transaction:
            text = transaction.execute("SELECT payload FROM dispatch WHERE id = :id", {"id": id_}).scalar()
        found: dict[str, Any] = json.loads(text or "{}")
        return found

    def end(self, id_: str, outcome: dict[str, Any]) -> None:
        """Say how a member ended."""
        with self._database.plain_write() as transaction:
            transaction.execute(
                "UPDATE dispatch SET outcome = :outcome WHERE id = :id", {"id": id_, "outcome": json.dumps(outcome)}
            )

    def find(self, id_: str) -> Dispatch | None:
        """One piece of work; None when there is none (any more)."""
        return next(iter(self._select("id = :id", id=id_)), None)

    def forget(self, ids: Sequence[str]) -> None:
        """Remove work that has ended."""
        with self._database.plain_write() as transaction:
            for id_ in ids:
                transaction.execute("DELETE FROM dispatch WHERE id = :id", {"id": id_})

    def taken(self) -> list[Dispatch]:
        """Work that somebody has taken, and that is not known to have ended."""
        return self._select("claimed_by IS NOT NULL")

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
                f"RETURNING {_COLUMNS}, 0 AS silence"
            )
        return [_dispatch(row) for row in found.rows]

    def _select(self, condition: str, **values: Any) -> list[Dispatch]:
        with self._database.plain_read() as transaction:
            silence = f"coalesce({_clock(transaction)} - claimed_s, 0)"
            query = f"SELECT {_COLUMNS}, {silence} AS silence FROM dispatch WHERE {condition}"
            return [_dispatch(row) for row in transaction.execute(query, values).rows]


_COLUMNS = "id, queue, claimed_by, group_run_id, outcome"


def _dispatch(row: dict[str, Any]) -> Dispatch:
    return Dispatch(
        row["id"],
        row["queue"],
        ProcessName.parse(row["claimed_by"]),
        float(row["silence"]),
        row["group_run_id"],
        json.loads(row["outcome"]) if row["outcome"] else None,
    )


def _clock(transaction: Transaction) -> str:
    """Seconds since the epoch by the one clock that all share."""
    if transaction.is_sqlite:
        return "(julianday('now') - 2440587.5) * 86400.0"
    return "extract(epoch FROM clock_timestamp())::float8"

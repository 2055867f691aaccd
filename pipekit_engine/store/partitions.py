"""The module_partition table: which partitions of a module are filled, by which run and when.

A row is written in the transaction that ends the run as a success (`runs.finish`), and the rows of a module go when its
partitions become others, or its destination another (`writing.py`): what they say would no longer hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipekit_engine.store.database import Database
    from pipekit_engine.store.dbapi import Transaction


@dataclass(frozen=True)
class Filled:
    """A partition that a run filled. `started_at` is when the run began: what came into the source later is not in it."""

    partition: str
    run_id: int
    rows: int | None
    started_at: datetime
    finished_at: datetime


class PartitionStore:
    """Remembers which partitions are filled."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, module: str) -> dict[str, Filled]:
        """The partitions of a module that were filled, by their keys."""
        query = (
            "SELECT p.partition, p.run_id, p.rows, p.started_at, p.finished_at FROM module_partition p "
            "JOIN module ON module.id = p.module_id WHERE module.name = :module"
        )
        with self._database.plain_read() as transaction:
            return {row["partition"]: Filled(**row) for row in transaction.execute(query, {"module": module}).rows}


def note_filled(transaction: Transaction, run_id: int) -> None:
    """Note that a run that has just succeeded filled its partition, unless the module was changed since the run began."""
    transaction.execute(
        "INSERT INTO module_partition (module_id, partition, run_id, rows, started_at, finished_at) "
        "SELECT module.id, r.partition, r.id, r.rows_inserted, r.started_at, r.finished_at FROM run_log r "
        "JOIN module ON module.name = r.module WHERE r.id = :id AND r.partition IS NOT NULL "
        "AND module.updated_at <= r.started_at "
        "ON CONFLICT (module_id, partition) DO UPDATE SET run_id = excluded.run_id, rows = excluded.rows, "
        "started_at = excluded.started_at, finished_at = excluded.finished_at",
        {"id": run_id},
    )

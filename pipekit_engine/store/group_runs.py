"""The group_run table: executions of groups. Like a module's, a group's run starts and ends together with its lock."""

from __future__ import annotations

import builtins
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from pipekit_engine.errors import NotFoundError
from pipekit_engine.models import GroupRunRecord
from pipekit_engine.store import leases
from pipekit_engine.store.runs import storable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.store.database import Database

#: The columns of a record; `group` is called group_name in the database.
_RECORDED = ", ".join("group_name" if name == "group" else name for name in GroupRunRecord.model_fields)


class GroupRunStore:
    """Group runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, group: str, *, triggered_by: str, dagster_run_id: str | None = None) -> tuple[int, str] | None:
        """Lock the group and begin its run: (group run id, lock token); None when it is running already."""
        with self._database.plain_write() as transaction:
            token = leases.acquire(transaction, "group", group)
            if token is None:
                return None
            group_run_id = transaction.execute(
                "INSERT INTO group_run (group_name, status, triggered_by, dagster_run_id, started_at) "
                "VALUES (:group, 'running', :triggered_by, :dagster_run_id, :started_at) RETURNING id",
                {
                    "group": group,
                    "triggered_by": triggered_by,
                    "dagster_run_id": dagster_run_id,
                    "started_at": datetime.now(timezone.utc),
                },
            ).scalar()
        return group_run_id, token

    def finish(self, group_run_id: int, status: str, token: str | None, error: str | None = None) -> bool:
        """End the group run and free the group's lock; False when it had ended already."""
        with self._database.plain_write() as transaction:
            group = transaction.execute(
                f"{_END} WHERE id = :id AND finished_at IS NULL RETURNING group_name",
                {"id": group_run_id, **_end(status, error)},
            ).scalar()
            if group is not None and token is not None:
                leases.release(transaction, "group", group, token)
        return group is not None

    def request_cancel(self, group_run_id: int) -> bool:
        """Ask the owner of a group run to end it and its members; False when it has ended. Raises NotFoundError."""
        with self._database.plain_write() as transaction:
            changed = transaction.execute(
                "UPDATE group_run SET cancel_requested = :yes WHERE id = :id AND finished_at IS NULL RETURNING id",
                {"id": group_run_id, "yes": True},
            ).scalar()
        if changed is None:
            self.get(group_run_id)
        return changed is not None

    def cancel_requested(self, group_run_id: int) -> bool:
        """Whether somebody asked for this group run's end."""
        with self._database.plain_read() as transaction:
            found = transaction.execute("SELECT cancel_requested FROM group_run WHERE id = :id", {"id": group_run_id})
            return bool(found.scalar())

    def abandon(self, group: str, token: str, error: str) -> builtins.list[GroupRunRecord]:
        """End the run that held a group's lock with this token, and free the lock; the run that was ended.

        Nothing happens when another run holds the lock by now.
        """
        with self._database.plain_write() as transaction:
            if not leases.release(transaction, "group", group, token):
                return []
            # A group never overlaps itself: while its lock was held, no other run of it can have begun.
            ended = transaction.execute(
                f"{_END} WHERE group_name = :group AND finished_at IS NULL RETURNING id",
                {"group": group, **_end("error", error)},
            ).scalars()
        return [self.get(number) for number in ended]

    def get(self, group_run_id: int) -> GroupRunRecord:
        """One group run. Raises NotFoundError."""
        found = self._select({"id": group_run_id}, "id = :id")
        if not found:
            raise NotFoundError("group run", group_run_id)
        return found[0]

    def list(
        self, group: str | None = None, limit: int = 20, *, dry_runs: bool = True
    ) -> builtins.list[GroupRunRecord]:
        """Group runs, newest first. `dry_runs` false leaves those out."""
        conditions = ["group_name = :group"] if group is not None else []
        if not dry_runs:
            conditions.append("status <> 'dry_run'")
        return self._select({} if group is None else {"group": group}, *conditions, limit=limit)

    def newest(self, groups: Sequence[str]) -> dict[str, GroupRunRecord]:
        """The newest real run of each of these groups; no dry runs."""
        if not groups:
            return {}
        names = {f"g{number}": name for number, name in enumerate(groups)}
        newest = (
            "id IN (SELECT max(id) FROM group_run WHERE status <> 'dry_run' "
            f"AND group_name IN ({', '.join(f':{name}' for name in names)}) GROUP BY group_name)"
        )
        return {run.group: run for run in self._select(names, newest)}

    def unfinished(self, dagster_run_id: str | None = None) -> builtins.list[GroupRunRecord]:
        """Group runs that have not ended, of one Dagster run if it is named."""
        if dagster_run_id is None:
            return self._select({}, "finished_at IS NULL")
        return self._select({"run": dagster_run_id}, "finished_at IS NULL", "dagster_run_id = :run")

    def _select(
        self, values: dict[str, Any], *conditions: str, limit: int | None = None
    ) -> builtins.list[GroupRunRecord]:
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        cut = " LIMIT :limit" if limit is not None else ""
        with self._database.plain_read() as transaction:
            found = transaction.execute(
                f"SELECT {_RECORDED} FROM group_run{where} ORDER BY id DESC{cut}",
                values if limit is None else {**values, "limit": limit},
            )
        return [
            GroupRunRecord(**{("group" if key == "group_name" else key): value for key, value in row.items()})
            for row in found.rows
        ]


_END = "UPDATE group_run SET status = :status, finished_at = :finished_at, error = :error"


def _end(status: str, error: str | None) -> dict[str, Any]:
    """The values of `_END`."""
    return {
        "status": status,
        "finished_at": datetime.now(timezone.utc),
        "error": None if error is None else storable(error),
    }

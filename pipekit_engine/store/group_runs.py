"""The group_run table: executions of groups. Like a module's, a group's run starts and ends together with its lock."""

from __future__ import annotations

import builtins
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, insert, select, true, update

from pipekit_engine.errors import NotFoundError
from pipekit_engine.models import GroupRunRecord
from pipekit_engine.store import leases, schema
from pipekit_engine.store.runs import storable

if TYPE_CHECKING:
    from pipekit_engine.store.database import Database

#: The columns of a record, by their keys: `group` is called group_name in the database.
_RECORDED = tuple(GroupRunRecord.model_fields)


class GroupRunStore:
    """Group runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, group: str, *, triggered_by: str, dagster_run_id: str | None = None) -> tuple[int, str] | None:
        """Lock the group and begin its run: (group run id, lock token); None when it is running already."""
        table = schema.group_run
        with self._database.write() as connection:
            token = leases.acquire(connection, "group", group)
            if token is None:
                return None
            group_run_id = connection.execute(
                insert(table)
                .values(
                    group=group,
                    status="running",
                    triggered_by=triggered_by,
                    dagster_run_id=dagster_run_id,
                    started_at=datetime.now(timezone.utc),
                )
                .returning(table.c.id)
            ).scalar_one()
        return group_run_id, token

    def finish(self, group_run_id: int, status: str, token: str | None, error: str | None = None) -> bool:
        """End the group run and free the group's lock; False when it had ended already."""
        table = schema.group_run
        with self._database.write() as connection:
            row = connection.execute(
                update(table)
                .where(table.c.id == group_run_id, table.c.finished_at.is_(None))
                .values(
                    status=status,
                    finished_at=datetime.now(timezone.utc),
                    error=None if error is None else storable(error),
                )
                .returning(table.c.group)
            ).first()
            if row is not None and token is not None:
                leases.release(connection, "group", row[0], token)
        return row is not None

    def request_cancel(self, group_run_id: int) -> bool:
        """Ask the owner of a group run to end it and its members; False when it has ended. Raises NotFoundError."""
        table = schema.group_run
        with self._database.write() as connection:
            changed = connection.execute(
                update(table)
                .where(table.c.id == group_run_id, table.c.finished_at.is_(None))
                .values(cancel_requested=True)
            ).rowcount
        if changed == 0:
            self.get(group_run_id)
        return changed == 1

    def cancel_requested(self, group_run_id: int) -> bool:
        """Whether somebody asked for this group run's end."""
        query = select(schema.group_run.c.cancel_requested).where(schema.group_run.c.id == group_run_id)
        with self._database.read() as connection:
            return bool(connection.execute(query).scalar())

    def abandon(self, group: str, token: str, error: str) -> builtins.list[GroupRunRecord]:
        """End the run that held a group's lock with this token, and free the lock; the run that was ended.

        Nothing happens when another run holds the lock by now.
        """
        table = schema.group_run
        with self._database.write() as connection:
            if not leases.release(connection, "group", group, token):
                return []
            # A group never overlaps itself: while its lock was held, no other run of it can have begun.
            ended = (
                connection.execute(
                    update(table)
                    .where(table.c.group == group, table.c.finished_at.is_(None))
                    .values(status="error", finished_at=datetime.now(timezone.utc), error=storable(error))
                    .returning(table.c.id)
                )
                .scalars()
                .all()
            )
        return [self.get(number) for number in ended]

    def get(self, group_run_id: int) -> GroupRunRecord:
        """One group run. Raises NotFoundError."""
        found = self._select(schema.group_run.c.id == group_run_id)
        if not found:
            raise NotFoundError("group run", group_run_id)
        return found[0]

    def list(
        self, group: str | None = None, limit: int = 20, *, dry_runs: bool = True
    ) -> builtins.list[GroupRunRecord]:
        """Group runs, newest first. `dry_runs` false leaves those out."""
        table = schema.group_run
        wanted = [table.c.group == group] if group is not None else []
        if not dry_runs:
            wanted.append(table.c.status != "dry_run")
        return self._select(and_(true(), *wanted), limit)

    def unfinished(self, dagster_run_id: str | None = None) -> builtins.list[GroupRunRecord]:
        """Group runs that have not ended, of one Dagster run if it is named."""
        table = schema.group_run
        open_ended = table.c.finished_at.is_(None)
        if dagster_run_id is None:
            return self._select(open_ended, None)
        return self._select(open_ended & (table.c.dagster_run_id == dagster_run_id), None)

    def _select(self, where: Any = None, limit: int | None = 20) -> builtins.list[GroupRunRecord]:
        table = schema.group_run
        query = select(*(table.c[key] for key in _RECORDED)).order_by(table.c.id.desc())
        if where is not None:
            query = query.where(where)
        if limit is not None:
            query = query.limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
        return [GroupRunRecord(**dict(zip(_RECORDED, row.values(), strict=True))) for row in rows]

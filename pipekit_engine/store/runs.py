"""The run_log table: what ran, when, how long, how many rows, and why it failed.

A run starts together with its lock and ends together with its release, each in one transaction: there is no moment at which a
module is locked without a run that says why, or free while its run says `running`.
"""

from __future__ import annotations

import builtins
import json
import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update

from pipekit_engine.errors import NotFoundError
from pipekit_engine.models import RunRecord
from pipekit_engine.store import leases, schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import RowMapping

    from pipekit_engine.store.database import Database

#: Characters of live_log kept for one run. A run that says more keeps its first part, and says that it was cut.
LIVE_LOG_LIMIT = 1_000_000
_LOGS = ("stdout", "stderr", "live_log")
_JSON = ("watermarks", "timings")
_PRIVATE = ("token", "cancel_requested")
#: What not every database's text can hold: PostgreSQL refuses NUL, and UTF-8 has no halves of characters.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class RunStore:
    """Module runs. A finished run is never changed: the database refuses it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(
        self, module: str, *, triggered_by: str, group_run_id: int | None = None, dagster_run_id: str | None = None
    ) -> tuple[int, str] | None:
        """Lock the module and begin its run: (run id, lock token); None when somebody else holds the lock."""
        with self._database.write() as connection:
            token = leases.acquire(connection, "module", module)
            if token is None:
                return None
            run_id = connection.execute(
                insert(schema.run_log)
                .values(
                    module=module,
                    triggered_by=triggered_by,
                    group_run_id=group_run_id,
                    dagster_run_id=dagster_run_id,
                    status="running",
                    phase="lock",
                    token=token,
                    started_at=datetime.now(timezone.utc),
                )
                .returning(schema.run_log.c.id)
            ).scalar_one()
        return run_id, token

    def update(self, run_id: int, **values: Any) -> None:
        """Note progress of a run: phase, SQL, watermarks, counts."""
        with self._database.write() as connection:
            connection.execute(
                update(schema.run_log).where(schema.run_log.c.id == run_id).values(**_to_columns(values))
            )

    def append_log(self, run_id: int, text: str) -> None:
        """Add text to live_log, up to `LIVE_LOG_LIMIT` characters in all."""
        log, text = schema.run_log.c.live_log, storable(text)
        with self._database.write() as connection:
            size = connection.execute(select(func.length(log)).where(schema.run_log.c.id == run_id)).scalar() or 0
            if size >= LIVE_LOG_LIMIT:
                return
            if size + len(text) > LIVE_LOG_LIMIT:
                text = text[: LIVE_LOG_LIMIT - size] + "\n… the log was cut here\n"
            connection.execute(update(schema.run_log).where(schema.run_log.c.id == run_id).values(live_log=log + text))

    def finish(self, run_id: int, status: str, **values: Any) -> bool:
        """End the run and free its module's lock in one transaction; False when it had ended already.

        The lock is freed only if it is still this run's.
        """
        table = schema.run_log
        with self._database.write() as connection:
            row = connection.execute(
                select(table.c.module, table.c.token).where(table.c.id == run_id, table.c.finished_at.is_(None))
            ).first()
            if row is None:
                return False
            connection.execute(
                update(table)
                .where(table.c.id == run_id)
                .values(status=status, finished_at=datetime.now(timezone.utc), **_to_columns(values))
            )
            leases.release(connection, "module", row.module, row.token)
        return True

    def get(self, run_id: int) -> RunRecord:
        """One run with its logs. Raises NotFoundError."""
        with self._database.read() as connection:
            row = connection.execute(select(schema.run_log).where(schema.run_log.c.id == run_id)).mappings().first()
        if row is None:
            raise NotFoundError("run", run_id)
        return _to_record(row)

    def list(
        self,
        module: str | None = None,
        group_run_id: int | None = None,
        status: str | None = None,
        limit: int | None = 20,
        dagster_run_id: str | None = None,
        dry_runs: bool = True,
        before: int | None = None,
    ) -> builtins.list[RunRecord]:
        """Runs, newest first, without their logs. `dry_runs` false leaves those out; `before` takes those of lower numbers."""
        table = schema.run_log
        query = select(*(column for column in table.c if column.key not in _LOGS)).order_by(table.c.id.desc())
        for column, wanted in (
            (table.c.module, module),
            (table.c.group_run_id, group_run_id),
            (table.c.status, status),
            (table.c.dagster_run_id, dagster_run_id),
        ):
            if wanted is not None:
                query = query.where(column == wanted)
        if not dry_runs:
            query = query.where(table.c.status != "dry_run")
        if before is not None:
            query = query.where(table.c.id < before)
        if limit is not None:
            query = query.limit(limit)
        with self._database.read() as connection:
            return [_to_record(row) for row in connection.execute(query).mappings()]

    def newest_of_each(self, count: int, modules: Sequence[str] | None = None) -> dict[str, builtins.list[RunRecord]]:
        """The newest `count` real runs of each defined module, newest first, without their logs and SQL; no dry runs.

        One query, which reads by the index: its time grows with what it gives, not with the history.
        """
        log, module = schema.run_log, schema.module
        newest = (
            select(log.c.id)
            .where(log.c.module == module.c.name, log.c.status != "dry_run")
            .order_by(log.c.id.desc())
            .limit(1)
            .offset(count - 1)
        )
        bound = select(module.c.name, newest.correlate(module).scalar_subquery().label("first")).subquery()
        left_out = {*_LOGS, "source_sql", "merge_sql", "watermarks"}
        query = (
            select(*(column for column in log.c if column.key not in left_out))
            .join(bound, (log.c.module == bound.c.name) & (log.c.id >= func.coalesce(bound.c.first, 0)))
            .where(log.c.status != "dry_run")
            .order_by(log.c.id.desc())
        )
        if modules is not None:
            query = query.where(bound.c.name.in_(modules))
        found: dict[str, builtins.list[RunRecord]] = {}
        with self._database.read() as connection:
            for row in connection.execute(query).mappings():
                found.setdefault(row["module"], []).append(_to_record(row))
        return found

    def tail(self, run_id: int, offset: int = 0) -> str:
        """What live_log holds from character `offset` on."""
        log = schema.run_log.c.live_log
        with self._database.read() as connection:
            text = connection.execute(
                select(func.substr(log, offset + 1)).where(schema.run_log.c.id == run_id)
            ).scalar()
        return text or ""

    def status(self, run_id: int) -> str | None:
        """How a run stands; None when there is no such run."""
        query = select(schema.run_log.c.status).where(schema.run_log.c.id == run_id)
        with self._database.read() as connection:
            found: str | None = connection.execute(query).scalar()
        return found

    def running(self, token: str) -> RunRecord | None:
        """The unfinished run that holds this lock token."""
        table = schema.run_log
        query = select(table).where(table.c.token == token, table.c.finished_at.is_(None))
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        return _to_record(row) if row is not None else None

    def orphans(self) -> builtins.list[RunRecord]:
        """Unfinished runs that hold no lock: nobody can be working on them."""
        table, module = schema.run_log, schema.module
        holders = select(module.c.running_token).where(module.c.running_token.is_not(None))
        query = select(table).where(table.c.finished_at.is_(None), table.c.token.not_in(holders))
        with self._database.read() as connection:
            return [_to_record(row) for row in connection.execute(query).mappings()]

    def request_cancel(self, run_id: int) -> bool:
        """Ask the owner of a run to cancel it; False when the run has ended. Raises NotFoundError."""
        table = schema.run_log
        with self._database.write() as connection:
            changed = connection.execute(
                update(table).where(table.c.id == run_id, table.c.finished_at.is_(None)).values(cancel_requested=True)
            ).rowcount
        if changed == 0:
            self.get(run_id)
        return changed == 1

    def cancel_requested(self, run_id: int) -> bool:
        """Whether somebody asked for this run's end."""
        query = select(schema.run_log.c.cancel_requested).where(schema.run_log.c.id == run_id)
        with self._database.read() as connection:
            return bool(connection.execute(query).scalar())

    def prune(self, older_than: timedelta) -> int:
        """Delete module and group runs that finished longer ago than that; how many module runs went."""
        before = datetime.now(timezone.utc) - older_than
        log, group = schema.run_log, schema.group_run
        with self._database.write() as connection:
            gone = connection.execute(delete(log).where(log.c.finished_at < before)).rowcount
            still_named = select(log.c.group_run_id).where(log.c.group_run_id.is_not(None))
            connection.execute(delete(group).where(group.c.finished_at < before, group.c.id.not_in(still_named)))
        return int(gone)


def storable(text: str) -> str:
    """The text as every database can hold it. A run's end must be written down whatever its error quotes."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _to_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    columns = {}
    for key, value in values.items():
        if key in _JSON:
            value = json.dumps(value, ensure_ascii=False, default=lambda record: record.model_dump())
        columns[key] = storable(value) if isinstance(value, str) else value
    return columns


def _to_record(row: RowMapping) -> RunRecord:
    values = {key: value for key, value in row.items() if key not in _PRIVATE}
    return RunRecord(**{key: json.loads(value) if key in _JSON else value for key, value in values.items()})

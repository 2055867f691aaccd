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

from pipekit_engine.errors import NotFoundError
from pipekit_engine.models import RunRecord
from pipekit_engine.store import leases
from pipekit_engine.store.dbapi import assignments
from pipekit_engine.store.partitions import note_filled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipekit_engine.common.processes import ProcessName
    from pipekit_engine.store.database import Database
    from pipekit_engine.store.dbapi import Row, Transaction

#: Characters of live_log kept for one run. A run that says more keeps its first part, and says that it was cut.
LIVE_LOG_LIMIT = 1_000_000
_LOGS = ("stdout", "stderr", "live_log")
_JSON = ("watermarks", "timings")
#: What a list of runs has no use for.
_LONG = frozenset({*_LOGS, "source_sql", "merge_sql", "watermarks"})
#: The columns of a record; `token` and `cancel_requested` are the store's own.
_COLUMNS = tuple(RunRecord.model_fields)
#: What not every database's text can hold: PostgreSQL refuses NUL, and UTF-8 has no halves of characters.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class RunStore:
    """Module runs. A finished run is never changed: the database refuses it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(
        self,
        module: str,
        *,
        triggered_by: str,
        group_run_id: int | None = None,
        dagster_run_id: str | None = None,
        partition: str | None = None,
        token: str | None = None,
    ) -> tuple[int, str] | None:
        """Lock the module and begin its run, of a partition if it has any: (run id, lock token).

        None when somebody else holds the lock. With a token of the caller's own (`leases.new_token`) it may be called again where
        nobody knows whether it was done: the run is begun once.
        """
        with self._database.plain_write() as transaction:
            acquired = leases.acquire(transaction, "module", module, token)
            if acquired is None:
                begun = "SELECT id FROM run_log WHERE token = :token AND finished_at IS NULL"
                known = transaction.execute(begun, {"token": token}).scalar() if token is not None else None
                return None if known is None or token is None else (known, token)
            token = acquired
            run_id = transaction.execute(
                "INSERT INTO run_log (module, triggered_by, group_run_id, dagster_run_id, partition, status, phase, token, "
                "started_at) VALUES (:module, :triggered_by, :group_run_id, :dagster_run_id, :partition, 'running', 'lock', "
                ":token, :started_at) "
                "RETURNING id",
                {
                    "module": module,
                    "triggered_by": triggered_by,
                    "group_run_id": group_run_id,
                    "dagster_run_id": dagster_run_id,
                    "partition": partition,
                    "token": token,
                    "started_at": datetime.now(timezone.utc),
                },
            ).scalar()
        return run_id, token

    def update(self, run_id: int, **values: Any) -> None:
        """Note progress of a run: phase, SQL, watermarks, counts."""
        with self._database.plain_write() as transaction:
            _update(transaction, run_id, values)

    def begin_work(self, run_id: int, module: str, token: str, child: ProcessName, **values: Any) -> None:
        """As `update`, and note the run's jrunner process in its lock (`leases.set_child`), in one transaction."""
        with self._database.plain_write() as transaction:
            leases.set_child(transaction, "module", module, token, child)
            _update(transaction, run_id, values)

    def append_log(self, run_id: int, text: str) -> None:
        """Add text to live_log, up to `LIVE_LOG_LIMIT` characters in all."""
        with self._database.plain_write() as transaction:
            _append_log(transaction, run_id, text)

    def finish(self, run_id: int, status: str, *, log: str = "", **values: Any) -> bool:
        """End the run, note the partition that it filled, and free its module's lock, in one transaction.

        False when it had ended already.

        The lock is freed only if it is still this run's. `log` is the last that is added to live_log.
        """
        with self._database.plain_write() as transaction:
            row = transaction.execute(
                "SELECT module, token FROM run_log WHERE id = :id AND finished_at IS NULL", {"id": run_id}
            ).first()
            if row is None:
                return False
            if log:
                _append_log(transaction, run_id, log)
            _update(transaction, run_id, {"status": status, "finished_at": datetime.now(timezone.utc), **values})
            if status == "success":
                note_filled(transaction, run_id)
            leases.release(transaction, "module", row["module"], row["token"])
        return True

    def get(self, run_id: int) -> RunRecord:
        """One run with its logs. Raises NotFoundError."""
        found = self._records(_COLUMNS, "id = :id", {"id": run_id})
        if not found:
            raise NotFoundError("run", run_id)
        return found[0]

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
        asked = {"module": module, "group_run_id": group_run_id, "status": status, "dagster_run_id": dagster_run_id}
        values: dict[str, Any] = {name: wanted for name, wanted in asked.items() if wanted is not None}
        conditions = [f"{name} = :{name}" for name in values]
        if not dry_runs:
            conditions.append("status <> 'dry_run'")
        if before is not None:
            conditions.append("id < :before")
            values["before"] = before
        return self._records(
            [name for name in _COLUMNS if name not in _LOGS], " AND ".join(conditions), values, limit=limit
        )

    def newest_of_each(self, count: int, modules: Sequence[str] | None = None) -> dict[str, builtins.list[RunRecord]]:
        """The newest `count` real runs of each defined module, newest first, without their logs and SQL; no dry runs.

        One query, which reads by the index: its time grows with what it gives, not with the history.
        """
        columns = [name for name in _COLUMNS if name not in _LONG]
        values: dict[str, Any] = {"skipped": count - 1}
        wanted = ""
        if modules is not None:
            names = {f"m{number}": name for number, name in enumerate(modules)}
            values |= names
            # A comparison that nothing passes, for a list of none.
            wanted = f" AND bound.name IN ({', '.join(f':{name}' for name in names) or 'NULL'})"
        query = (
            f"SELECT {', '.join(f'log.{name}' for name in columns)} FROM run_log log JOIN ("
            "SELECT module.name, (SELECT id FROM run_log WHERE module = module.name AND status <> 'dry_run' "
            "ORDER BY id DESC LIMIT 1 OFFSET :skipped) AS first FROM module) bound "
            "ON log.module = bound.name AND log.id >= coalesce(bound.first, 0) "
            f"WHERE log.status <> 'dry_run'{wanted} ORDER BY log.id DESC"
        )
        found: dict[str, builtins.list[RunRecord]] = {}
        with self._database.plain_read() as transaction:
            for row in transaction.execute(query, values).rows:
                found.setdefault(row["module"], []).append(_to_record(row))
        return found

    def newest_of_partitions(self, module: str) -> dict[str, RunRecord]:
        """The newest real run of each partition of a module, by the partition's key, without logs and SQL; no dry runs."""
        columns = [name for name in _COLUMNS if name not in _LONG]
        query = (
            f"SELECT {', '.join(f'log.{name}' for name in columns)} FROM run_log log JOIN (SELECT max(id) AS id FROM run_log "
            "WHERE module = :module AND partition IS NOT NULL AND status <> 'dry_run' GROUP BY partition) newest "
            "ON log.id = newest.id"
        )
        with self._database.plain_read() as transaction:
            found = [_to_record(row) for row in transaction.execute(query, {"module": module}).rows]
        return {run.partition: run for run in found if run.partition is not None}

    def tail(self, run_id: int, offset: int = 0) -> str:
        """What live_log holds from character `offset` on."""
        # SQLite takes a start beyond 32 bits for another one.
        return self._cell("substr(live_log, :start)", run_id, start=min(offset + 1, 2**31 - 1)) or ""

    def status(self, run_id: int) -> str | None:
        """How a run stands; None when there is no such run."""
        found: str | None = self._cell("status", run_id)
        return found

    def running(self, token: str) -> RunRecord | None:
        """The unfinished run that holds this lock token."""
        return next(iter(self._records(_COLUMNS, "token = :token AND finished_at IS NULL", {"token": token})), None)

    def orphans(self) -> builtins.list[RunRecord]:
        """Unfinished runs that hold no lock: nobody can be working on them."""
        holders = "SELECT running_token FROM module WHERE running AND running_token IS NOT NULL"
        return self._records(_COLUMNS, f"finished_at IS NULL AND token NOT IN ({holders})", {})

    def _records(
        self, columns: Sequence[str], where: str, values: Mapping[str, Any], *, limit: int | None = None
    ) -> builtins.list[RunRecord]:
        """Runs, newest first."""
        query = f"SELECT {', '.join(columns)} FROM run_log{f' WHERE {where}' if where else ''} ORDER BY id DESC"
        if limit is not None:
            query += " LIMIT :limit"
            values = {**values, "limit": limit}
        with self._database.plain_read() as transaction:
            return [_to_record(row) for row in transaction.execute(query, values).rows]

    def _cell(self, expression: str, run_id: int, **values: Any) -> Any:
        with self._database.plain_read() as transaction:
            return transaction.execute(
                f"SELECT {expression} FROM run_log WHERE id = :id", {"id": run_id, **values}
            ).scalar()

    def request_cancel(self, run_id: int) -> bool:
        """Ask the owner of a run to cancel it; False when the run has ended. Raises NotFoundError."""
        with self._database.plain_write() as transaction:
            changed = transaction.execute(
                "UPDATE run_log SET cancel_requested = :yes WHERE id = :id AND finished_at IS NULL",
                {"id": run_id, "yes": True},
            ).rowcount
        if changed == 0:
            self.get(run_id)
        return changed == 1

    def cancel_requested(self, run_id: int) -> bool:
        """Whether somebody asked for this run's end."""
        return bool(self._cell("cancel_requested", run_id))

    def prune(self, older_than: timedelta) -> int:
        """Delete module and group runs that finished longer ago than that; how many module runs went."""
        before = {"before": datetime.now(timezone.utc) - older_than}
        with self._database.plain_write() as transaction:
            gone = transaction.execute("DELETE FROM run_log WHERE finished_at < :before", before).rowcount
            transaction.execute(
                "DELETE FROM group_run WHERE finished_at < :before "
                "AND NOT EXISTS (SELECT 1 FROM run_log WHERE run_log.group_run_id = group_run.id)",
                before,
            )
        return gone


def _update(transaction: Transaction, run_id: int, values: Mapping[str, Any]) -> None:
    columns = _to_columns(values)
    if columns:
        transaction.execute(f"UPDATE run_log SET {assignments(columns)} WHERE id = :id", {**columns, "id": run_id})


def _append_log(transaction: Transaction, run_id: int, text: str) -> None:
    text, named = storable(text), {"id": run_id}
    size = transaction.execute("SELECT length(live_log) FROM run_log WHERE id = :id", named).scalar() or 0
    if size >= LIVE_LOG_LIMIT:
        return
    if size + len(text) > LIVE_LOG_LIMIT:
        text = text[: LIVE_LOG_LIMIT - size] + "\n… the log was cut here\n"
    transaction.execute("UPDATE run_log SET live_log = live_log || :text WHERE id = :id", {**named, "text": text})


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


def _to_record(row: Row) -> RunRecord:
    return RunRecord(**{key: json.loads(value) if key in _JSON else value for key, value in row.items()})

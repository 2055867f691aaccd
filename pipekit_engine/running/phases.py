"""The phases of a module run that work in a jrunner session: resolve, plan, stage, verify, merge, hooks, clean up.

`pipekit_engine.running.module_run` decides what comes next, what is tried again and how the run ends; here is what each
phase does. The destination changes in one transaction, in `merge`, and only while the run's lock is still held.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipekit_engine.common.progress import Progress
from pipekit_engine.common.text import first_line
from pipekit_engine.databases.introspection import Catalog
from pipekit_engine.errors import (
    RUN_AGAIN,
    DestinationError,
    Interrupted,
    MergeError,
    OutcomeUnknown,
    PipekitError,
    SourceError,
    StagingError,
)
from pipekit_engine.jrunner.errors import JRunnerDied, JRunnerError
from pipekit_engine.jrunner.protocol import ColumnPair, Interruption, MigrateRequest
from pipekit_engine.models import ResolvedWatermark
from pipekit_engine.planning.future import is_future
from pipekit_engine.planning.planner import RunPlan, plan_run
from pipekit_engine.planning.remarks import find_remarks
from pipekit_engine.running.commit import apply_comments, commit
from pipekit_engine.running.hooks import HookRunner
from pipekit_engine.running.verification import StagedRows
from pipekit_engine.sql.text import as_subquery, materialize
from pipekit_engine.store.retrying import retrying

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.connections import Connections, OpenConnection, Role
    from pipekit_engine.databases.remarks import TableRemarks
    from pipekit_engine.jrunner.client import Session
    from pipekit_engine.models import Module, Watermark
    from pipekit_engine.planning.strategies import Statement as MergeStatement
    from pipekit_engine.running.monitor import CancelToken, RunMonitor
    from pipekit_engine.store import Store


@dataclass
class RunState:
    """How far a run is; outlives the session that it works in."""

    run_id: int
    token: str
    monitor: RunMonitor
    cancel: CancelToken
    plan: RunPlan | None = None
    counts: dict[str, int] = field(default_factory=dict)
    committed: bool = False
    #: Nobody can tell whether the merge was committed.
    in_doubt: bool = False
    staged: bool = False
    staging_file: Path | None = None


class Phases:
    """The phases of one run in one session. Each raises the error family of its name; none of them retries."""

    def __init__(
        self,
        module: Module,
        state: RunState,
        session: Session,
        *,
        store: Store,
        connections: Connections,
        overrides: Mapping[str, str],
        staging_schema: str | None,
    ) -> None:
        self._module = module
        self._state = state
        self._session = session
        self._store = store
        self._connections = connections
        self._overrides = overrides
        self._default_staging_schema = staging_schema
        self._hooks = HookRunner(
            session, lambda name: self._open(name, "write"), say=state.monitor.say, cancel=state.cancel
        )
        #: Watermarks that took their default because their resolver's table is missing, and what the database said.
        self._not_there: dict[str, JRunnerError] = {}

    def _open(self, name: str, role: Role) -> OpenConnection:
        application = f"pipekit {self._module.name} {self._state.run_id}"
        return self._connections.open(
            self._session, name, role, application_name=application, cancel=self._state.cancel
        )

    @cached_property
    def _source(self) -> OpenConnection:
        return self._open(self._module.source, "read")

    @cached_property
    def _dest(self) -> OpenConnection:
        return self._open(self._module.dest, "write")

    @property
    def _plan(self) -> RunPlan:
        assert self._state.plan is not None, "this phase comes after the plan"
        return self._state.plan

    def resolve(self) -> dict[str, ResolvedWatermark]:
        """Each watermark's value, live, after source and destination were opened."""
        assert self._source is not self._dest
        resolved: dict[str, ResolvedWatermark] = {}
        for watermark in self._module.watermarks:
            mark = self._resolve_one(watermark)
            resolved[watermark.name] = mark
            self._state.monitor.say(f"{{{watermark.name}}} = {mark.value!r} ({mark.origin})")
            if mark.origin == "resolver" and watermark.connection == self._module.dest and is_future(mark.value):
                self._state.monitor.say(
                    f"warning: {{{watermark.name}}} lies in the future, so what changes until then is not found: mend the rows "
                    "with such a time, or leave them out in the resolver"
                )
        return resolved

    def _resolve_one(self, watermark: Watermark) -> ResolvedWatermark:
        name = watermark.name
        if name in self._overrides:
            return ResolvedWatermark(value=self._overrides[name], origin="override")
        link = self._open(watermark.connection, "read")
        value: str | None = None
        try:
            value = self._session.query(link.handle, watermark.resolver_sql, cancel=self._state.cancel).first
        except JRunnerError as error:
            missing = link.dialect.is_missing_table(error.sqlstate, error.vendor_code, error.message)
            if not (missing and watermark.default is not None):
                raise SourceError(
                    f"The resolver of watermark {name} failed on connection {watermark.connection}: {error}"
                ) from error
            # The first run: the destination that the resolver asks is not there yet.
            self._not_there[name] = error
            self._state.monitor.say(f"watermark {name}: {first_line(error)}; taking the default")
        if value is not None:
            return ResolvedWatermark(value=value, origin="resolver")
        if watermark.default is not None:
            return ResolvedWatermark(value=watermark.default, origin="default")
        raise SourceError(
            f"The resolver of watermark {name} gave no value, and it has no default. Give it a `default`, "
            f"or set it for this run with --set {name}=VALUE.\nin: {watermark.resolver_sql}"
        )

    def make_plan(self, watermarks: Mapping[str, ResolvedWatermark]) -> RunPlan:
        """Describe both sides and plan."""
        module = self._module
        lexis = self._source.dialect.capabilities.lexis
        values = {name: mark.value for name, mark in watermarks.items()}
        sql = as_subquery(materialize(module.query, values, lexis), lexis)
        try:
            source_columns = self._session.describe(self._source.handle, sql=sql, cancel=self._state.cancel)
        except JRunnerError as error:
            raise SourceError(
                f"The query of module {module.name} failed on connection {module.source}: {error}"
                f"{self._connections.empty_file_hint(self._source)}"
            ) from error
        dest_columns = self._describe_destination()
        if dest_columns is not None:
            self._refuse_defaults_of_later_runs()
        return plan_run(
            module,
            source=self._source.dialect,
            dest=self._dest.dialect,
            watermarks=watermarks,
            source_columns=source_columns,
            dest_columns=dest_columns,
            remarks=self._remarks(sql, source_columns, dest_columns),
            staging_schema=self._staging_schema(),
            staging_file=self._find_staging_file(),
            hook_dialects={
                hook.connection: self._connections.dialect(hook.connection) for hook in module.hooks if hook.connection
            },
        )

    def _refuse_defaults_of_later_runs(self) -> None:
        """A resolver's table may be missing before the first run. Later it is a mistake that would move all rows once more."""
        for name, error in self._not_there.items():
            raise SourceError(
                f"The resolver of watermark {name} asks a table that is not there, though the destination "
                f"{self._module.dest_table} is: {error}\nIts default would move rows again that came before. Mend the resolver, "
                f"or set the value for this run with --set {name}=VALUE."
            )

    def _remarks(self, sql: str, columns: Sequence[Column], there: Sequence[Column] | None) -> TableRemarks | None:
        """What the source says about the tables that the query reads, for the comments of a new destination or new columns.

        Comments are a courtesy: a source that refuses to tell costs a line in the log, never the run.
        """
        if not self._dest.dialect.capabilities.max_comment_length:
            return None
        if there is not None:
            # Only columns that are about to be added are worth asking for.
            known = {column.name.casefold() for column in there}
            names = [item.dest_name for item in self._module.columns] or [column.name for column in columns]
            if self._module.on_schema_change != "add_columns" or known.issuperset(name.casefold() for name in names):
                return None
        try:
            return find_remarks(
                self._source.dialect,
                Catalog(self._session, self._source.handle, self._state.cancel),
                sql,
                [column.name for column in columns],
            )
        except JRunnerError as error:
            self._state.monitor.say(f"warning: the source's remarks could not be read: {first_line(error)}")
            return None

    def _describe_destination(self) -> list[Column] | None:
        name = self._dest.dialect.table_name(self._module.dest_table)
        table = self._dest.dialect.table_sql(name)
        is_view = self._dest.dialect.is_view_sql(name)
        no_transactions = self._dest.dialect.no_transactions_sql(name)
        try:
            columns = self._session.describe(self._dest.handle, table=table, cancel=self._state.cancel)
            if is_view and self._session.query(self._dest.handle, is_view, cancel=self._state.cancel).rows:
                raise DestinationError(
                    f"The destination {table} is a view. pipekit replaces rows of tables: name the table, or drop the view and "
                    "let the run make a table."
                )
            if no_transactions:
                why = self._session.query(self._dest.handle, no_transactions, cancel=self._state.cancel)
                if why.rows:
                    raise DestinationError(
                        f"The destination {table} has the storage engine {why.first or 'of no name'}, which has no transactions: "
                        "a merge that failed could not be rolled back. Change the table to ENGINE=InnoDB."
                    )
            return columns
        except JRunnerError as error:
            if self._dest.dialect.is_missing_table(error.sqlstate, error.vendor_code, error.message):
                return None
            raise DestinationError(f"The destination {table} cannot be described: {error}") from error

    def _staging_schema(self) -> str | None:
        schema = self._dest.connection.staging_schema
        if schema is None and self._dest.dialect.kind == "oracle":
            # A schema is a user there; a sync does not make users.
            return None
        return schema or self._default_staging_schema

    def _find_staging_file(self) -> str | None:
        """SQLite: a file beside the destination's own, one a module, so that modules stage side by side."""
        if self._dest.dialect.kind != "sqlite":
            return None
        rows = self._session.query(
            self._dest.handle, "PRAGMA database_list", max_rows=100, cancel=self._state.cancel
        ).rows
        main = next((row[2] for row in rows if row[1] == "main"), None)
        if not main:
            raise DestinationError("An SQLite destination must be a file: staging tables live in a file beside it.")
        self._state.staging_file = Path(f"{main}.pipekit-{self._module.name}.staging")
        return str(self._state.staging_file)

    def stage(self) -> int:
        """Fill the staging table; the rows that the source gave."""
        schema = self._staging_schema()
        if schema is not None:
            self._ensure_schema(schema)
        self._state.staged = True
        remove_staging_file(self._state)
        try:
            if self._plan.staging.leftover is not None:
                self._drop_leftover(self._plan.staging.leftover)
            self._session.execute(
                self._dest.handle, list(self._plan.staging.setup), transaction=False, cancel=self._state.cancel
            )
        except JRunnerError as error:
            raise StagingError(
                f"The staging table {self._plan.staging.table} could not be made on connection {self._module.dest}: {error}"
            ) from error
        request = MigrateRequest(
            source=self._source.handle,
            sql=self._plan.source_sql,
            dest=self._dest.handle,
            table=self._plan.staging.table,
            columns=[ColumnPair(column.source, column.dest) for column in self._plan.columns],
            split_by=self._module.split_by,
            parallel=self._module.parallel if self._module.split_by else None,
        )
        try:
            result = self._session.migrate(request, on_progress=self._on_progress, cancel=self._state.cancel)
        except JRunnerError as error:
            family = SourceError if error.phase == "read" else StagingError
            where = self._module.source if family is SourceError else self._module.dest
            raise family(f"Staging module {self._module.name} failed on connection {where}: {error}") from error
        self._state.monitor.say(
            f"{result.rows_read:,} rows read, {result.rows_written:,} written by {result.path} "
            f"in {result.elapsed_ms / 1000:.2f} s"
        )
        self._state.counts.update(rows_read=result.rows_read, bytes=result.bytes)
        if self._plan.staging.filled:
            try:
                self._session.execute(
                    self._dest.handle, list(self._plan.staging.filled), transaction=False, cancel=self._state.cancel
                )
            except JRunnerError as error:
                raise StagingError(
                    f"The staging table {self._plan.staging.table} could not be indexed: {error}"
                ) from error
        return result.rows_read

    def _drop_leftover(self, drop: str) -> None:
        try:
            self._session.execute(self._dest.handle, [drop], transaction=False, cancel=self._state.cancel)
        except JRunnerError as error:
            if not self._dest.dialect.is_missing_table(error.sqlstate, error.vendor_code, error.message):
                raise

    def verify(self, rows_read: int) -> dict[str, int]:
        """Check what was staged; what each merge statement must count is derived from it."""
        rows = StagedRows(self._session, self._dest.handle, self._plan, self._state.cancel)
        staged = rows.count()
        self._state.counts.update(rows_staged=staged)
        return rows.verify(self._module, staged, rows_read)

    def merge(self, expected: Mapping[str, int]) -> None:
        """Change the destination in one transaction; `expected` holds what its statements must count."""
        if not retrying(self._state.monitor.renew, cancel=self._state.cancel):
            raise Interrupted("The lock of this run was taken away.")
        prepared = False
        say = self._state.monitor.say
        try:
            if self._plan.creates_destination:
                table = self._dest.dialect.table_name(self._module.dest_table)
                if table.schema is not None:
                    self._ensure_schema(table.schema)
            if self._plan.prepare:
                self._session.execute(
                    self._dest.handle, list(self._plan.prepare), transaction=False, cancel=self._state.cancel
                )
                prepared = True
                apply_comments(self._session, self._dest.handle, self._plan.comments, say, self._state.cancel)
            counted = self._commit(expected)
        except JRunnerError as error:
            if error.phase == "commit" and error.code == "connection_lost":
                raise self._outcome_unknown(error) from error
            if prepared:
                self._undo_prepare()
            raise MergeError(
                f"The merge into {self._plan.dest_table} failed and was rolled back; the destination is as it was: {error}"
            ) from error
        except JRunnerDied as error:
            raise self._outcome_unknown(error) from error
        except BaseException:
            if prepared and not self._state.committed and not self._state.in_doubt:
                self._undo_prepare()
            raise
        self._state.committed = True
        by_kind = {"rows_deleted": 0, "rows_inserted": 0, "rows_updated": 0}
        for item, count in counted:
            if item.counts is not None:
                by_kind[f"rows_{item.counts}"] += max(count, 0)
        self._state.counts.update(**by_kind)
        said = ", ".join(f"{count:,} {kind.removeprefix('rows_')}" for kind, count in by_kind.items() if count)
        self._state.monitor.say(f"committed: {said or 'nothing to change'}")

    def _commit(self, expected: Mapping[str, int]) -> list[tuple[MergeStatement, int]]:
        monitor, interruption = self._state.monitor, Interruption()
        try:
            return commit(
                self._session,
                self._dest.handle,
                self._plan.merge,
                expected,
                monitor.say,
                monitor.guard(),
                interruption,
            )
        except BaseException:
            self._state.committed = interruption.fate == "done"
            self._state.in_doubt = interruption.fate == "unknown"
            raise

    def _outcome_unknown(self, error: Exception) -> OutcomeUnknown:
        self._state.in_doubt = True
        return OutcomeUnknown(
            f"outcome unknown: the connection broke while the merge into {self._module.dest_table} was being committed: {error}\n"
            f"Either all of it happened or nothing; {RUN_AGAIN}."
        )

    def _undo_prepare(self) -> None:
        """Where DDL cannot be rolled back: take away the destination that this run had just made.

        Another module may have put rows into it meanwhile: then it stays.
        """
        if not self._plan.undo_prepare:
            return
        dialect = self._dest.dialect
        table = dialect.table_sql(dialect.table_name(self._module.dest_table))
        lock, unlock = dialect.keep_others_away_sql(table)
        with suppress(PipekitError):
            # A login may lack the right to lock: better a small gap than a table that stays.
            self._session.execute(self._dest.handle, lock, transaction=False)
        with suppress(PipekitError):
            if self._session.query(self._dest.handle, f"SELECT COUNT(*) FROM {table}").first == "0":
                self._session.execute(self._dest.handle, list(self._plan.undo_prepare), transaction=False)
        with suppress(PipekitError):
            self._session.execute(self._dest.handle, unlock, transaction=False)

    def run_hooks(self, *, failed: bool) -> None:
        """Run the hooks of a run that failed, or of one that did not. Raises the first HookError."""
        self._hooks.run(self._plan.hooks, failed=failed, committed=self._state.committed)

    def forget_settings(self) -> None:
        """Close connections whose session a hook may have changed."""
        self._hooks.forget_settings()

    def _ensure_schema(self, schema: str) -> None:
        """Make a schema that does not exist yet."""
        exists = self._dest.dialect.schema_exists_sql(schema)
        if exists is None:
            return
        try:
            if self._session.query(self._dest.handle, exists, cancel=self._state.cancel).rows:
                return
            self._session.execute(
                self._dest.handle, [self._dest.dialect.create_schema_sql(schema)], cancel=self._state.cancel
            )
        except JRunnerError as error:
            with suppress(JRunnerError):
                # Another run may have made it in the same moment.
                if self._session.query(self._dest.handle, exists, cancel=self._state.cancel).rows:
                    return
            raise StagingError(
                f"The schema {schema!r} is not in {self._module.dest} and could not be made: {error}\n"
                "Ask for the right to create it, have it made, or set staging_schema to one that exists."
            ) from error

    def clean_up(self) -> None:
        """Drop the staging table, whatever happened. A failure here is told, never raised: the next run drops it."""
        if not self._state.staged or self._state.plan is None:
            return
        self._state.staged = False
        # A cancelled run, too, takes its staging away: nothing here listens to the cancel.
        link: OpenConnection | None = None
        try:
            link = self._connections.open(self._session, self._module.dest, "write")
            if not retrying(lambda: self._store.leases.held("module", self._module.name, self._state.token)):
                # Whoever holds the lock now stages at the same place.
                self._session.close(link.handle)
                return
            self._session.execute(link.handle, list(self._plan.staging.cleanup), transaction=False)
        except PipekitError as error:
            self._state.monitor.say(
                f"the staging table {self._plan.staging.table} is left for the next run: {first_line(error)}"
            )
            if link is not None:
                with suppress(PipekitError):
                    # An attached file would be in the way of the connection's next user.
                    self._session.close(link.handle)
        remove_staging_file(self._state)

    def _on_progress(self, progress: Progress) -> None:
        self._state.monitor.progress(progress.rows, progress.bytes, progress.elapsed_ms / 1000)


def remove_staging_file(state: RunState) -> None:
    """Remove SQLite's staging file, if there is one."""
    if state.staging_file is not None:
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(f"{state.staging_file}{suffix}").unlink(missing_ok=True)

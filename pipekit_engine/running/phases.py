"""The phases of a module run that change something: stage, verify, merge, hooks, clean up.

`pipekit_engine.running.module_run` decides what comes next, what is tried again and how the run ends; here is what each
phase does. The destination changes in one transaction, in `merge`, and only while the run's lock is still held.
"""

from __future__ import annotations

import re
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipekit_engine.common.files import create_private
from pipekit_engine.common.progress import Progress
from pipekit_engine.common.text import counted, first_line
from pipekit_engine.errors import (
    RUN_AGAIN,
    Interrupted,
    MergeError,
    OutcomeUnknown,
    PipekitError,
    RunCancelled,
    SourceError,
    StagingError,
)
from pipekit_engine.jrunner.errors import JRunnerDied, JRunnerError
from pipekit_engine.jrunner.protocol import ColumnPair, Interruption, MigrateRequest
from pipekit_engine.running.checking import CheckRunner, Moved, merged_rows, told
from pipekit_engine.running.commit import apply_comments, commit
from pipekit_engine.running.direct import error_family, load_directly
from pipekit_engine.running.fencing import MergeFence
from pipekit_engine.running.hooks import HookRunner
from pipekit_engine.running.refusals import explain
from pipekit_engine.running.verification import StagedRows
from pipekit_engine.store.retrying import retrying

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipekit_engine.databases.connections import ModuleConnections, OpenConnection
    from pipekit_engine.databases.fence import Fence
    from pipekit_engine.jrunner.protocol import MigrateResult, SplitResult
    from pipekit_engine.planning.columns import PlannedColumn
    from pipekit_engine.planning.plan import RunPlan
    from pipekit_engine.records.checks import CheckResult
    from pipekit_engine.running.cancellation import CancelToken
    from pipekit_engine.running.monitor import RunMonitor
    from pipekit_engine.running.ranges import RangedLoad
    from pipekit_engine.running.verification import MergeChoice
    from pipekit_engine.store import Store
    from pipekit_engine.strategies import MergeStatement


#: Seconds before the second, third, ... try of a merge that the database took back.
MERGE_RETRY_DELAYS_S = (0.2, 1, 3, 10, 30)
#: SQLStates of a repeated value in a unique column; MySQL's stands for other constraints, too.
_UNIQUE_VIOLATIONS = frozenset({"23505", "23000"})
#: How many runs are looked at for one whose merge may not have ended.
_RUNS_LOOKED_AT = 50


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
    #: The staging table may exist, and has to be dropped.
    staged: bool = False


class Phases:
    """The phases of one run in one session. Each raises the error family of its name; none of them retries."""

    def __init__(self, connections: ModuleConnections, state: RunState, store: Store) -> None:
        self._connections = connections
        self._module = connections.module
        self._session = connections.session
        self._state = state
        self._store = store
        self._hooks = HookRunner(
            self._session,
            lambda name: connections.open(name, "write"),
            say=state.monitor.say,
            cancel=state.cancel,
        )

    @property
    def _dest(self) -> OpenConnection:
        return self._connections.dest

    @property
    def _plan(self) -> RunPlan:
        assert self._state.plan is not None, "this phase comes after the plan"
        return self._state.plan

    def await_earlier_merge(self, fence: Fence) -> None:
        """Wait for, or end, a merge that an earlier run of this module left at the destination. Raises EarlierMergeActive."""
        MergeFence(self._connections, fence, self._state.monitor.say).await_earlier_merge(in_doubt=self._in_doubt())

    def _in_doubt(self) -> bool:
        """Whether a run since the last successful one may have left its merge unfinished."""
        earlier = partial(self._store.runs.list, self._module.name, limit=_RUNS_LOOKED_AT)
        for run in retrying(earlier, cancel=self._state.cancel):
            if run.status == "success":
                return False
            if run.phase == "merge" and run.id != self._state.run_id:
                return True
        return False

    def load(self, begin_merge: Callable[[], None]) -> bool:
        """Load the rows straight into the destination, in the merge's transaction.

        `begin_merge` is called right before the commit, once all rows are there and counted: the run is in its merge then. False
        when the database took the load back (a deadlock, a lock that did not come): the rows are to be read again, into staging,
        from where their merge can be tried as often as needed.
        """
        direct, say = self._plan.direct, self._state.monitor.say
        assert direct is not None, "the plan says whether there is such a load"
        fence, interruption = MergeFence(self._connections, self._plan.fence, say), Interruption()
        remove_staging_file(self._state)
        with fence.loading():  # ends a load into staging that an earlier run left
            for drop in () if self._plan.staging.file else self._plan.staging.cleanup:
                self._drop_leftover(drop)
        self._ensure_destination_schema()
        say(f"the rows go straight into {self._plan.dest_table}, without staging: {direct.why}")

        def before_commit(rows_read: int) -> None:
            self._state.counts.update(rows_read=rows_read)
            begin_merge()
            self._assert_lock()

        try:
            with fence.held():
                result, counts = load_directly(
                    self._session,
                    self._request(self._plan.dest_table, self._plan.columns),
                    direct,
                    say=say,
                    on_progress=self._on_progress,
                    before_commit=before_commit,
                    cancel=self._state.monitor.guard(),
                    interruption=interruption,
                )
        except JRunnerError as error:
            if error.phase == "commit" and error.code == "connection_lost":
                raise self._outcome_unknown(error) from error
            if error.phase != "read" and self._is_taken_back(error) and self._module.retry_merge:
                say(f"the database took the load back: {first_line(error)}; reading the rows again, into staging")
                return False
            family = error_family(error)
            where = self._module.source if family is SourceError else self._module.dest
            raise family(
                f"Loading module {self._module.name} into {self._plan.dest_table} failed on connection {where} and was rolled "
                f"back; the destination is as it was: {error}{self._read_advice(error, where) or self._load_advice(error)}"
            ) from error
        except JRunnerDied as error:
            if self._state.monitor.phase == "merge":
                raise self._outcome_unknown(error) from error
            raise
        except BaseException:
            self._state.committed = interruption.fate == "done"
            self._state.in_doubt = interruption.fate == "unknown"
            raise
        self._tell_rows(result)
        self._tell_merge(counts, inserted=result.rows_written)
        return True

    def _load_advice(self, error: JRunnerError) -> str:
        """What may be behind a load without staging that was refused, where the database's message does not tell."""
        if self._plan.creates_destination and self._plan.key and error.statement_index is not None:
            key = ", ".join(self._plan.key)
            return f"\nIf rows share a key ({key}): make the query's keys unique, or set dedupe to 'latest by COLUMN'."
        return self._merge_advice(error)

    def _ensure_destination_schema(self) -> None:
        """Make the schema of a destination that the run makes."""
        if self._plan.creates_destination:
            table = self._dest.dialect.table_name(self._module.dest_table)
            if table.schema is not None:
                self._ensure_schema(table.schema)

    def stage(self) -> int:
        """Fill the staging table; the rows that the source gave."""
        with MergeFence(self._connections, self._plan.fence, self._state.monitor.say).loading():
            return self._stage()

    def _stage(self) -> int:
        if self._plan.staging.schema is not None:
            self._ensure_schema(self._plan.staging.schema)
        request = self._request(self._plan.staging.table, (*self._plan.columns, *self._plan.staging.as_read))
        if self._plan.ranges is not None:
            from pipekit_engine.running.ranges import RangedLoad

            return self._stage_ranges(RangedLoad(self._connections, self._plan, self._state.monitor.say), request)
        self._make_staging()
        try:
            result = self._session.migrate(request, on_progress=self._on_progress, cancel=self._state.cancel)
        except JRunnerError as error:
            raise self._unstaged(error) from error
        self._tell_rows(result)
        self._finish_staging()
        return result.rows_read

    def _stage_ranges(self, load: RangedLoad, request: MigrateRequest) -> int:
        """Stage what is not there yet. What is staged when this fails stays, for the next try or run."""
        file = self._plan.staging.file
        try:
            self._state.staged = True
            if not load.find_earlier(None if file is None else Path(file)):
                self._make_staging()
                load.begin()
            with closing(load.fill(request, self._on_progress)) as pieces:
                for result in pieces:
                    self._tell_rows(
                        result, "" if load.staged.complete else f"; {load.staged.rows:,} are staged for good"
                    )
            self._state.counts.update(rows_read=load.staged.rows)
            if not load.staged.indexed:
                self._finish_staging()
                load.indexed()
        except BaseException as error:
            if load.keeps:
                self._state.staged = False  # nobody drops it
                self._state.monitor.say(
                    f"{counted(load.staged.rows, 'row')} stay in {self._plan.staging.table}: the next run, within a day, goes on "
                    "behind them"
                )
                if self._session.alive:
                    with suppress(PipekitError):
                        self._session.close(self._dest.handle)  # lets go of a file
            if isinstance(error, JRunnerError):
                raise self._unstaged(error) from error
            raise
        return load.staged.rows

    def _make_staging(self) -> None:
        self._state.staged = True
        remove_staging_file(self._state)
        try:
            for drop in self._plan.staging.leftovers:
                self._drop_leftover(drop)
            if self._plan.staging.file is not None:
                dest_file = self._plan.staging.file.rpartition(".pipekit-")[0]
                create_private(Path(self._plan.staging.file), like=Path(dest_file))
            self._execute(self._plan.staging.setup)
        except JRunnerError as error:
            raise StagingError(
                f"The staging table {self._plan.staging.table} could not be made on connection {self._module.dest}: {error}"
                f"{self._staging_advice(error)}"
            ) from error

    def _unstaged(self, error: JRunnerError) -> SourceError | StagingError:
        """The error of rows that did not get into staging."""
        family = SourceError if error.phase == "read" else StagingError
        where = self._module.source if family is SourceError else self._module.dest
        told = self._read_advice(error, where)
        return family(f"Staging module {self._module.name} failed on connection {where}: {error}{told}")

    def _finish_staging(self) -> None:
        """What follows the rows, such as an index."""
        if self._plan.staging.filled:
            try:
                self._execute(self._plan.staging.filled)
            except JRunnerError as error:
                raise StagingError(
                    f"The staging table {self._plan.staging.table} could not be indexed: {error}"
                ) from error

    def _request(self, table: str, columns: Sequence[PlannedColumn]) -> MigrateRequest:
        """What moves the source's rows into a table."""
        return MigrateRequest(
            source=self._connections.source.handle,
            sql=self._plan.source_sql,
            dest=self._dest.handle,
            table=table,
            columns=[ColumnPair(column.source, column.dest, column.key) for column in columns],
            split=None if self._plan.split is None else self._plan.split.request,
            verify=self._module.verify,
        )

    def _read_advice(self, error: JRunnerError, where: str) -> str:
        """What may be behind rows that could not be read or written, where the database's message does not tell."""
        return explain(self._plan, self._dest.dialect, str(error)) or self._connections.dialect(where).advise(
            error.sqlstate, error.vendor_code, error.message
        )

    def _tell_rows(self, result: MigrateResult, more: str = "") -> None:
        self._state.monitor.say(
            f"{counted(result.rows_read, 'row')} read, {result.rows_written:,} written by {result.path} "
            f"in {result.elapsed_ms / 1000:.2f} s{more}{_told_split(result.split)}"
        )
        self._state.counts.update(rows_read=result.rows_read, bytes=result.bytes)

    def _execute(self, statements: Sequence[str]) -> None:
        """Execute statements on the destination, each committed by itself."""
        self._session.execute(self._dest.handle, list(statements), transaction=False, cancel=self._state.cancel)

    def _drop_leftover(self, drop: str) -> None:
        try:
            self._execute([drop])
        except JRunnerError as error:
            if not self._dest.dialect.is_missing_table(error.sqlstate, error.vendor_code, error.message):
                raise

    def verify(self, rows_read: int) -> MergeChoice:
        """Check what was staged; how it is merged and what each statement must count is derived from it."""
        rows = StagedRows(self._session, self._dest.handle, self._plan, self._state.cancel)
        staged = rows.count()
        self._state.counts.update(rows_staged=staged)
        choice = rows.verify(self._module, staged, rows_read)
        if choice.why_all and self._plan.difference is not None:
            self._state.monitor.say(f"all rows are written: {choice.why_all}")
        return choice

    def merge(self, choice: MergeChoice) -> None:
        """Change the destination in one transaction.

        One that the database took back (a deadlock, a lock that did not come) is tried again `retry_merge` times, from staging.
        """
        prepared = False
        say = self._state.monitor.say
        try:
            if self._plan.prepare:
                self._assert_lock()  # what follows cannot be rolled back
            self._ensure_destination_schema()
            if self._plan.prepare:
                self._execute(self._plan.prepare)
                prepared = True
                apply_comments(self._session, self._dest.handle, self._plan.comments, say, self._state.cancel)
            counts = self._commit_with_retries(choice)
        except JRunnerError as error:
            if error.phase == "commit" and error.code == "connection_lost":
                raise self._outcome_unknown(error) from error
            if prepared:
                self._undo_prepare()
            raise MergeError(
                f"The merge into {self._plan.dest_table} failed and was rolled back; the destination is as it was: {error}"
                f"{explain(self._plan, self._dest.dialect, str(error))}"
                f"{self._merge_advice(error)}"
            ) from error
        except JRunnerDied as error:
            raise self._outcome_unknown(error) from error
        except BaseException:
            if prepared and not self._state.committed and not self._state.in_doubt:
                self._undo_prepare()
            raise
        unchanged = 0
        if choice.only_changes:
            written = sum(max(count, 0) for item, count in counts if item.counts in ("inserted", "updated"))
            unchanged = choice.rows - written
        self._tell_merge(counts, unchanged=unchanged)

    def _tell_merge(
        self, counts: Sequence[tuple[MergeStatement, int]], *, inserted: int = 0, unchanged: int = 0
    ) -> None:
        """Keep and tell what the committed statements counted; `inserted` are rows that came without a statement."""
        say = self._state.monitor.say
        self._state.committed = True
        by_kind = {"rows_deleted": 0, "rows_inserted": inserted, "rows_updated": 0}
        for item, count in counts:
            if item.counts is not None:
                by_kind[f"rows_{item.counts}"] += max(count, 0)
            if item.gives == "altered" and count > 0:
                say(
                    f"warning: {counted(count, 'row')} of {self._plan.dest_table} {'is' if count == 1 else 'are'} not as read: "
                    f"changed or kept by a trigger of it ({', '.join(self._plan.triggers)}). With `verify: values` the run fails"
                )
        by_kind["rows_unchanged"] = unchanged
        self._state.counts.update(**by_kind)
        said = ", ".join(f"{count:,} {kind.removeprefix('rows_')}" for kind, count in by_kind.items() if count)
        self._state.monitor.say(f"committed: {said or 'nothing to change'}")

    def _staging_advice(self, error: JRunnerError) -> str:
        """What to do about a staging table that could not be made, such as in a schema in which the login may make none."""
        dialect = self._dest.dialect
        known = dialect.advise(error.sqlstate, error.vendor_code, error.message)
        if known or error.code != "sql" or not dialect.is_denied(error.sqlstate, error.vendor_code):
            return known
        return (
            "\nMay the login make tables there? Grant it that, or set `staging_schema`, in the connection or for all in "
            "pipekit.yaml, to one where it may."
        )

    def _merge_advice(self, error: JRunnerError) -> str:
        """What may be behind a failed merge, where the database's message does not tell."""
        known = self._dest.dialect.advise(error.sqlstate, error.vendor_code, error.message)
        if known:
            return known
        if error.code == "count_mismatch":
            told = "\nA trigger, rule or policy of the destination that keeps, changes or adds rows does that"
            if self._module.strategy != "upsert" or not (error.statement or "").startswith("UPDATE"):
                return f"{told}."
            key = ", ".join(self._dest.dialect.quote_identifier(name) for name in self._plan.key)
            return (
                f"{told}, and so do rows of the destination that share a key: SELECT {key} FROM {self._plan.dest_table} "
                f"GROUP BY {key} HAVING COUNT(*) > 1 finds them."
            )
        is_null = re.search(self._dest.dialect.capabilities.null_message, first_line(error), re.IGNORECASE)
        if error.sqlstate in _UNIQUE_VIOLATIONS and self._module.strategy == "upsert" and not is_null:
            return (
                "\nRows that exchange the values of a unique column cannot be updated one after another: strategy incremental "
                "deletes them first, or make the constraint DEFERRABLE INITIALLY DEFERRED where the database has that."
            )
        return ""

    def _commit_with_retries(self, choice: MergeChoice) -> list[tuple[MergeStatement, int]]:
        attempt = 0
        while True:
            try:
                return self._commit(choice)
            except JRunnerError as error:
                if not self._is_taken_back(error) or attempt == self._module.retry_merge:
                    raise
                delay = MERGE_RETRY_DELAYS_S[min(attempt, len(MERGE_RETRY_DELAYS_S) - 1)]
                attempt += 1
                self._state.monitor.say(
                    f"the database took the merge back: {first_line(error)}; trying it again from staging in {delay} s "
                    f"({attempt} of {self._module.retry_merge})"
                )
                if self._state.cancel.sleep(delay):
                    raise RunCancelled("cancelled before the merge was tried again") from error
                self._assert_lock()

    def _is_taken_back(self, error: JRunnerError) -> bool:
        """Whether the database rolled back for the sake of another. Never when the outcome is unknown."""
        # Of code sql: the database said so itself, and nothing happened.
        return error.code == "sql" and self._dest.dialect.is_rolled_back(error.sqlstate, error.vendor_code)

    def _commit(self, choice: MergeChoice) -> list[tuple[MergeStatement, int]]:
        monitor, interruption = self._state.monitor, Interruption()
        try:
            with MergeFence(self._connections, self._plan.fence, monitor.say).held():
                return commit(
                    self._session,
                    self._dest.handle,
                    choice.statements,
                    choice.expected,
                    say=monitor.say,
                    before_commit=self._assert_lock,
                    cancel=monitor.guard(),
                    interruption=interruption,
                )
        except BaseException:
            self._state.committed = interruption.fate == "done"
            self._state.in_doubt = interruption.fate == "unknown"
            raise

    def _assert_lock(self) -> None:
        """Renew the run's lock. Raises Interrupted when it was taken away, and StoreError."""
        if not retrying(self._state.monitor.renew, cancel=self._state.cancel):
            raise Interrupted("The lock of this run was taken away.")

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

    def check(self, on: Literal["staging", "destination"], clean: Callable[[str], str]) -> list[CheckResult]:
        """Ask the module's checks of staged rows, or of the destination, and say what they found; `clean` hides secrets."""
        planned = [item for item in self._plan.module_checks if item.on == on]
        if not planned:
            return []
        counts = self._state.counts
        moved = Moved(self._state.run_id, counts.get("rows_read"), merged_rows(counts), datetime.now(timezone.utc))
        runner = CheckRunner(
            self._session,
            self._dest.handle,
            self._module,
            self._store,
            moved=moved,
            during=True,
            clean=clean,
            cancel=self._state.cancel,
        )
        results = []
        for item in planned:
            results.append(runner.ask(item))
            self._state.monitor.say(told(results[-1]))
        return results

    def run_hooks(self, *, failed: bool = False) -> None:
        """Run the hooks after a committed merge; those for failures if its checks `failed`. Raises the first HookError."""
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
                f"The schema {schema!r} is not in {self._module.dest} and could not be made: {error}"
                + (
                    self._dest.dialect.advise(error.sqlstate, error.vendor_code, error.message)
                    or "\nAsk for the right to create it, have it made, or set staging_schema to one that exists."
                )
            ) from error

    def clean_up(self) -> None:
        """Drop the staging table, whatever happened. A failure here is told, never raised: the next run drops it."""
        if not self._state.staged or self._state.plan is None:
            return
        self._state.staged = False
        handle: str | None = None
        try:
            # A cancelled run, too, takes its staging away: nothing here listens to the cancel.
            handle = self._connections.without_cancel().dest.handle
            if not retrying(lambda: self._store.leases.held("module", self._module.name, self._state.token)):
                # Whoever holds the lock now stages at the same place.
                self._session.close(handle)
                return
            self._session.execute(handle, list(self._plan.staging.cleanup), transaction=False)
        except PipekitError as error:
            self._state.monitor.say(
                f"the staging table {self._plan.staging.table} is left for the next run: {first_line(error)}"
            )
            if handle is not None:
                with suppress(PipekitError):
                    # An attached file would be in the way of the connection's next user.
                    self._session.close(handle)
        remove_staging_file(self._state)

    def _on_progress(self, progress: Progress) -> None:
        self._state.monitor.progress(progress.rows, progress.bytes, progress.elapsed_ms / 1000)


def _told_split(split: SplitResult | None) -> str:
    """How the rows were read by several connections."""
    if split is None:
        return ""
    if split.lanes == 1:
        return "; over one connection, as one range holds all of them"
    moment = "at one moment" if split.one_moment else f"each at a moment of its own, for {split.why}"
    return f"; {split.ranges:,} ranges over {split.lanes} connections, {moment}"


def remove_staging_file(state: RunState) -> None:
    """Remove SQLite's staging file, if there is one."""
    if state.plan is not None and state.plan.staging.file is not None:
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(f"{state.plan.staging.file}{suffix}").unlink(missing_ok=True)

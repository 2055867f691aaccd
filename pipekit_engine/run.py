"""One module run, from lock to finish: the phases of the specification's section 3.

    lock, resolve, plan, stage, verify, merge, hooks, finish

Whatever happens in between, `finish` ends the run in run_log and frees the lock in one transaction, and the staging table is
dropped. The destination changes in one transaction, in `merge`, and only while the lock is still held.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipekit_engine.errors import (
    ConfigurationError,
    ConnectError,
    DestinationError,
    HookError,
    Interrupted,
    MergeError,
    ModuleLocked,
    NotFoundError,
    OutcomeUnknown,
    PipekitError,
    RunCancelled,
    RunError,
    SourceError,
    StagingError,
    StoreError,
)
from pipekit_engine.jrunner.errors import JRunnerDied, JRunnerError
from pipekit_engine.jrunner.protocol import ColumnPair, MigrateRequest, Progress, Statement
from pipekit_engine.keeper import CancelToken, RunEvent, RunKeeper
from pipekit_engine.models import ResolvedWatermark
from pipekit_engine.plan import PlannedHook, RunPlan, plan_run
from pipekit_engine.process import ProcessName

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping

    from pipekit_engine.jrunner.client import Session
    from pipekit_engine.jrunner.pool import SessionPool
    from pipekit_engine.jrunner.protocol import Column
    from pipekit_engine.links import Link, Links
    from pipekit_engine.models import Module, RunRecord
    from pipekit_engine.redact import Redactor
    from pipekit_engine.store import Store

#: Seconds before the second, third, ... try of a module with `retry`.
RETRY_DELAYS_S = (1, 2, 5, 10, 30)
#: Keys shown when staged keys are not unique.
SAMPLE_KEYS = 5


@dataclass(frozen=True)
class RunResult:
    """How a run ended, and its plan if it came that far."""

    record: RunRecord
    plan: RunPlan | None


@dataclass(frozen=True)
class RunRequest:
    """What is asked of a run."""

    module: Module
    dry_run: bool = False
    watermarks: Mapping[str, str] = field(default_factory=dict)
    triggered_by: str = "manual"
    group_run_id: int | None = None
    dagster_run_id: str | None = None
    staging_schema: str | None = None


class ModuleRun:
    """Runs one module once. Use `execute()`; an object is good for one run."""

    def __init__(
        self,
        request: RunRequest,
        *,
        store: Store,
        links: Links,
        sessions: SessionPool,
        redactor: Redactor,
        cancel: threading.Event | None = None,
        on_event: Callable[[RunEvent], None] | None = None,
    ) -> None:
        self._request = request
        self._module = request.module
        self._store = store
        self._links = links
        self._sessions = sessions
        self._redactor = redactor
        self._cancel = CancelToken(cancel)
        self._on_event = on_event
        self._plan: RunPlan | None = None
        self._timings: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._committed = False
        self._staged = False
        self._staging_file: Path | None = None
        self._stderr: list[str] = []
        self._run_id = 0
        self._token = ""
        self._keeper: RunKeeper

    def execute(self) -> RunResult:
        """Run. Raises ModuleLocked before anything happened; RunError families and RunCancelled with `.record` set.

        Any BaseException (KeyboardInterrupt, Dagster's interrupt) cancels the run and goes on to the caller.
        """
        module = self._module
        self._check_overrides()
        started = self._store.runs.start(
            module.name,
            triggered_by=self._request.triggered_by,
            group_run_id=self._request.group_run_id,
            dagster_run_id=self._request.dagster_run_id,
        )
        if started is None:
            raise self._locked()
        self._run_id, self._token = started
        self._keeper = RunKeeper(
            self._store,
            module=module.name,
            run_id=self._run_id,
            token=self._token,
            cancel=self._cancel,
            redactor=self._redactor,
            on_event=self._on_event,
        )
        error: BaseException | None = None
        try:
            with self._keeper:
                self._keeper.say(f"run {self._run_id} of module {module.name}, {self._request.triggered_by}")
                self._work()
        except BaseException as caught:
            error = caught
        return self._finish(error)

    # The phases

    def _work(self) -> None:
        """All phases between lock and finish."""
        for attempt in range(self._module.retry + 1):
            try:
                self._work_once()
                return
            except (ConnectError, SourceError, StagingError, JRunnerDied) as error:
                # Only what failed before the merge is tried again: nothing was written yet.
                if attempt == self._module.retry or self._keeper.phase in ("merge", "hooks"):
                    self._run_failure_hooks(error)
                    raise
                delay = RETRY_DELAYS_S[min(attempt, len(RETRY_DELAYS_S) - 1)]
                self._keeper.say(f"{_first_line(error)}; trying again in {delay} s")
                if self._wait(delay):
                    raise RunCancelled("cancelled while waiting for another try") from error
            except RunError as error:
                if not error.merge_committed:
                    self._run_failure_hooks(error)
                raise

    def _work_once(self) -> None:
        try:
            with self._sessions.session(cancel=self._cancel) as session:
                try:
                    self._work_in(session)
                finally:
                    self._stderr += session.stderr_lines
                    if session.alive:
                        self._clean_up(session)
        finally:
            if self._staged:
                # That session is gone; the pool gives another, now that this one was handed back.
                self._clean_up_elsewhere()

    def _work_in(self, session: Session) -> None:
        module = self._module
        self._store.leases.set_child("module", module.name, self._token, ProcessName.of(session.pid))
        name = f"pipekit {module.name} {self._run_id}"
        with self._phase("resolve"):
            source = self._open(session, module.source, "read", name)
            watermarks = self._resolve(session, name)
        with self._phase("plan"):
            dest = self._open(session, module.dest, "write", name)
            self._plan = plan = self._make_plan(session, source, dest, watermarks)
            self._write_down(plan)
            for warning in plan.warnings:
                self._keeper.say(f"warning: {warning}")
        if self._request.dry_run:
            self._keeper.say("dry run: nothing was moved; this is what a run would do\n" + plan.render())
            return
        with self._phase("stage"):
            staged = self._stage(session, source, dest, plan)
        with self._phase("verify"):
            expected = self._verify(session, dest, plan, staged)
        with self._phase("merge"):
            self._merge(session, dest, plan, expected)
        with self._phase("hooks"):
            self._run_hooks(session, plan, failed=False)

    def _resolve(self, session: Session, application_name: str) -> dict[str, ResolvedWatermark]:
        resolved: dict[str, ResolvedWatermark] = {}
        for watermark in self._module.watermarks:
            name = watermark.name
            if name in self._request.watermarks:
                resolved[name] = ResolvedWatermark(value=self._request.watermarks[name], origin="override")
            else:
                link = self._open(session, watermark.connection, "read", application_name)
                try:
                    value = session.query(link.handle, watermark.resolver_sql, cancel=self._cancel).first
                except JRunnerError as error:
                    missing = link.dialect.is_missing_table(error.sqlstate, error.vendor_code, error.message)
                    if not (missing and watermark.default is not None):
                        raise SourceError(
                            f"The resolver of watermark {name} failed on connection {watermark.connection}: {error}"
                        ) from error
                    # The first run: the destination that the resolver asks is not there yet.
                    self._keeper.say(f"watermark {name}: {_first_line(error)}; taking the default")
                    value = None
                if value is not None:
                    resolved[name] = ResolvedWatermark(value=value, origin="resolver")
                elif watermark.default is not None:
                    resolved[name] = ResolvedWatermark(value=watermark.default, origin="default")
                else:
                    raise SourceError(
                        f"The resolver of watermark {name} gave no value, and it has no default. Give it a `default`, "
                        f"or set it for this run with --set {name}=VALUE.\nin: {watermark.resolver_sql}"
                    )
            self._keeper.say(f"{{{name}}} = {resolved[name].value!r} ({resolved[name].origin})")
        return resolved

    def _make_plan(
        self, session: Session, source: Link, dest: Link, watermarks: dict[str, ResolvedWatermark]
    ) -> RunPlan:
        from pipekit_engine.sqltext import as_subquery, materialize

        module = self._module
        sql = as_subquery(materialize(module.query, {name: mark.value for name, mark in watermarks.items()}))
        try:
            source_columns = session.describe(source.handle, sql=sql, cancel=self._cancel)
        except JRunnerError as error:
            raise SourceError(
                f"The query of module {module.name} failed on connection {module.source}: {error}"
            ) from error
        return plan_run(
            module,
            source=source.dialect,
            dest=dest.dialect,
            watermarks=watermarks,
            source_columns=source_columns,
            dest_columns=self._describe_destination(session, dest),
            staging_schema=self._staging_schema(dest),
            staging_file=self._find_staging_file(session, dest),
        )

    def _describe_destination(self, session: Session, dest: Link) -> list[Column] | None:
        table = dest.dialect.table_sql(dest.dialect.table_name(self._module.dest_table))
        try:
            return session.describe(dest.handle, table=table, cancel=self._cancel)
        except JRunnerError as error:
            if dest.dialect.is_missing_table(error.sqlstate, error.vendor_code, error.message):
                return None
            raise DestinationError(f"The destination {table} cannot be described: {error}") from error

    def _staging_schema(self, dest: Link) -> str | None:
        schema = dest.connection.staging_schema
        if schema is None and dest.dialect.kind == "oracle":
            # A schema is a user there; a sync does not make users.
            return None
        return schema or self._request.staging_schema

    def _find_staging_file(self, session: Session, dest: Link) -> str | None:
        """SQLite: a file beside the destination's own, one a module, so that modules stage side by side."""
        if dest.dialect.kind != "sqlite":
            return None
        rows = session.query(dest.handle, "PRAGMA database_list", max_rows=100, cancel=self._cancel).rows
        main = next((row[2] for row in rows if row[1] == "main"), None)
        if not main:
            raise DestinationError("An SQLite destination must be a file: staging tables live in a file beside it.")
        self._staging_file = Path(f"{main}.pipekit-{self._module.name}.staging")
        return str(self._staging_file)

    def _stage(self, session: Session, source: Link, dest: Link, plan: RunPlan) -> int:
        """Fill the staging table; the rows that the source gave."""
        schema = self._staging_schema(dest)
        if schema is not None:
            self._ensure_schema(session, dest, schema)
        self._staged = True
        self._remove_staging_file()
        try:
            if plan.staging.leftover is not None:
                self._drop_leftover(session, dest, plan.staging.leftover)
            session.execute(dest.handle, list(plan.staging.setup), transaction=False, cancel=self._cancel)
        except JRunnerError as error:
            raise StagingError(
                f"The staging table {plan.staging.table} could not be made on connection {self._module.dest}: {error}"
            ) from error
        request = MigrateRequest(
            source=source.handle,
            sql=plan.source_sql,
            dest=dest.handle,
            table=plan.staging.table,
            columns=[ColumnPair(column.source, column.dest) for column in plan.columns],
            split_by=self._module.split_by,
            parallel=self._module.parallel if self._module.split_by else None,
        )
        try:
            result = session.migrate(request, on_progress=self._on_progress, cancel=self._cancel)
        except JRunnerError as error:
            family = SourceError if error.phase == "read" else StagingError
            where = self._module.source if family is SourceError else self._module.dest
            raise family(f"Staging module {self._module.name} failed on connection {where}: {error}") from error
        self._keeper.say(
            f"{result.rows_read:,} rows read, {result.rows_written:,} written by {result.path} "
            f"in {result.elapsed_ms / 1000:.2f} s"
        )
        self._count(rows_read=result.rows_read, bytes=result.bytes)
        if plan.staging.filled:
            try:
                session.execute(dest.handle, list(plan.staging.filled), transaction=False, cancel=self._cancel)
            except JRunnerError as error:
                raise StagingError(f"The staging table {plan.staging.table} could not be indexed: {error}") from error
        return result.rows_read

    def _drop_leftover(self, session: Session, dest: Link, drop: str) -> None:
        try:
            session.execute(dest.handle, [drop], transaction=False, cancel=self._cancel)
        except JRunnerError as error:
            if not dest.dialect.is_missing_table(error.sqlstate, error.vendor_code, error.message):
                raise

    def _verify(self, session: Session, dest: Link, plan: RunPlan, rows_read: int) -> dict[str, int]:
        """Count what was staged, by the database's own word. What each merge statement must count is derived from it."""

        def ask(sql: str) -> int:
            try:
                return int(session.query(dest.handle, sql, cancel=self._cancel).first or 0)
            except JRunnerError as error:
                raise StagingError(f"The staged rows could not be checked: {error}") from error

        checks, module = plan.checks, self._module
        staged = ask(checks.count)
        self._count(rows_staged=staged)
        if staged != rows_read:
            raise StagingError(
                f"The source gave {rows_read:,} rows but {staged:,} are in staging {plan.staging.table}. "
                "The destination was not touched."
            )
        if checks.null_keys is not None:
            nulls = ask(checks.null_keys)
            if nulls:
                raise StagingError(
                    f"{nulls:,} of {staged:,} staged rows have NULL in the merge key ({', '.join(plan.key)}): they could never "
                    "be matched again and would double. Leave them out in the query, or give them a value."
                )
        expected = {"staged": staged, "distinct": staged}
        if checks.distinct_keys is not None:
            expected["distinct"] = ask(checks.distinct_keys)
            if expected["distinct"] != staged and module.dedupe_column is None:
                raise self._not_unique(session, dest, plan, staged - expected["distinct"])
        if checks.matched is not None:
            expected["matched"] = ask(checks.matched)
            expected["unmatched"] = expected["distinct"] - expected["matched"]
        if checks.dest_count is not None and module.max_shrink_percent is not None:
            before, after = ask(checks.dest_count), expected["distinct"]
            if before and (before - after) * 100 > module.max_shrink_percent * before:
                raise DestinationError(
                    f"Replacing {before:,} rows of {plan.dest_table} by {after:,} would shrink it by "
                    f"{(before - after) * 100 / before:.1f} %; max_shrink_percent is {module.max_shrink_percent:g}."
                )
        return expected

    def _not_unique(self, session: Session, dest: Link, plan: RunPlan, surplus: int) -> StagingError:
        sample = ""
        if plan.checks.duplicate_sample:
            found = session.query(dest.handle, plan.checks.duplicate_sample, max_rows=SAMPLE_KEYS, cancel=self._cancel)
            sample = "; ".join("(" + ", ".join("NULL" if v is None else v for v in row) + ")" for row in found.rows)
        return StagingError(
            f"{surplus:,} staged rows repeat the merge key ({', '.join(plan.key)}) of another, such as {sample}. "
            "Make the query's keys unique, or set dedupe to 'latest by COLUMN'."
        )

    def _merge(self, session: Session, dest: Link, plan: RunPlan, expected: Mapping[str, int]) -> None:
        if not self._store.leases.held("module", self._module.name, self._token):
            raise Interrupted(
                "The lock of this run was taken away, so it must not write. The destination was not touched."
            )
        prepared = False
        try:
            if plan.creates_destination:
                table = dest.dialect.table_name(self._module.dest_table)
                if table.schema is not None:
                    self._ensure_schema(session, dest, table.schema)
            if plan.prepare:
                session.execute(dest.handle, list(plan.prepare), transaction=False, cancel=self._cancel)
                prepared = True
            statements = [
                Statement(item.sql, expected.get(item.expected) if item.expected else None) for item in plan.merge
            ]
            counts = session.execute(dest.handle, statements, cancel=self._cancel).counts
        except JRunnerError as error:
            if error.phase == "commit" and error.code == "connection_lost":
                raise self._outcome_unknown(error) from error
            if prepared:
                self._undo_prepare(session, dest, plan)
            raise MergeError(
                f"The merge into {plan.dest_table} failed and was rolled back; the destination is as it was: {error}"
            ) from error
        except JRunnerDied as error:
            raise self._outcome_unknown(error) from error
        except BaseException:
            if prepared:
                self._undo_prepare(session, dest, plan)
            raise
        self._committed = True
        by_kind = {"rows_deleted": 0, "rows_inserted": 0, "rows_updated": 0}
        for item, count in zip(plan.merge, counts, strict=True):
            if item.counts is not None:
                by_kind[f"rows_{item.counts}"] += max(count, 0)
        self._count(**by_kind)
        said = ", ".join(f"{count:,} {kind.removeprefix('rows_')}" for kind, count in by_kind.items() if count)
        self._keeper.say(f"committed: {said or 'nothing to change'}")

    def _outcome_unknown(self, error: Exception) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"outcome unknown: the connection broke while the merge into {self._module.dest_table} was being committed: {error}\n"
            "Either all of it happened or nothing. Run the module again: it gives the right rows in both cases."
        )

    def _undo_prepare(self, session: Session, dest: Link, plan: RunPlan) -> None:
        """Where DDL cannot be rolled back: take away the destination that this run had just made."""
        if plan.undo_prepare:
            with suppress(PipekitError):
                session.execute(dest.handle, list(plan.undo_prepare), transaction=False)

    def _run_hooks(self, session: Session, plan: RunPlan, *, failed: bool) -> None:
        """Run the hooks in order. After one fails, only those for failures go on; the first failure is the one raised."""
        first: HookError | None = None
        for hook in plan.hooks:
            if hook.run_on == ("success" if failed or first else "failure"):
                continue
            try:
                self._run_hook(session, hook)
            except HookError as error:
                if first is None:
                    first = error
                else:
                    self._keeper.say(f"another hook failed: {error}")
        if first is not None:
            raise first

    def _run_hook(self, session: Session, hook: PlannedHook) -> None:
        if not hook.statements:
            return
        try:
            link = self._open(session, hook.connection, "write", f"pipekit {self._module.name} {self._run_id}")
            # One statement commits by itself: some (VACUUM) refuse a transaction.
            transaction = len(hook.statements) > 1
            session.execute(link.handle, list(hook.statements), transaction=transaction, cancel=self._cancel)
        except (JRunnerError, ConnectError) as error:
            state = "The merge was committed; a" if self._committed else "A"
            raise HookError(f"{state} hook (run_on {hook.run_on}) failed on {hook.connection}: {error}") from error
        self._keeper.say(f"hook on {hook.run_on}: {_first_line(hook.statements[0])}")

    def _run_failure_hooks(self, error: PipekitError) -> None:
        """Hooks for a run that failed before its merge; their own failure is told, never raised."""
        plan = self._plan
        if plan is None or not any(hook.run_on in ("failure", "always") for hook in plan.hooks):
            return
        try:
            with self._sessions.session(cancel=self._cancel) as session:
                self._run_hooks(session, plan, failed=True)
        except PipekitError as failed:
            self._keeper.say(f"after {type(error).__name__}: {failed}")

    # Helpers of the phases

    def _write_down(self, plan: RunPlan) -> None:
        """The SQL and values of this run, without the secrets that a query or a resolver may hold."""
        clean = self._redactor.clean
        self._store.runs.update(
            self._run_id,
            source_sql=clean(plan.source_sql),
            merge_sql=clean(plan.merge_sql),
            watermarks={
                name: mark.model_copy(update={"value": clean(mark.value)}) for name, mark in plan.watermarks.items()
            },
        )

    def _open(self, session: Session, name: str, role: Any, application_name: str) -> Link:
        return self._links.open(session, name, role, application_name=application_name, cancel=self._cancel)

    def _ensure_schema(self, session: Session, dest: Link, schema: str) -> None:
        """Make a schema that does not exist yet."""
        exists = dest.dialect.schema_exists_sql(schema)
        if exists is None:
            return
        try:
            if session.query(dest.handle, exists, cancel=self._cancel).rows:
                return
            session.execute(dest.handle, [dest.dialect.create_schema_sql(schema)], cancel=self._cancel)
        except JRunnerError as error:
            with suppress(JRunnerError):
                # Another run may have made it in the same moment.
                if session.query(dest.handle, exists, cancel=self._cancel).rows:
                    return
            raise StagingError(
                f"The schema {schema!r} is not in {self._module.dest} and could not be made: {error}\n"
                "Ask for the right to create it, have it made, or set staging_schema to one that exists."
            ) from error

    def _on_progress(self, progress: Progress) -> None:
        self._keeper.progress(progress.rows, progress.bytes, progress.elapsed_ms / 1000)

    def _count(self, **counts: int) -> None:
        self._counts.update(counts)

    def _wait(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._cancel.is_set():
                return True
            time.sleep(0.05)
        return self._cancel.is_set()

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        if self._cancel.is_set():
            raise RunCancelled(f"cancelled before {name}")
        # Written down before anything is done: whoever finds this run dead tells from it what may have happened.
        self._store.runs.update(self._run_id, phase=name, **self._counts)
        self._keeper.enter(name)
        started = time.monotonic()
        try:
            yield
        finally:
            self._timings[name] = round(self._timings.get(name, 0) + time.monotonic() - started, 4)

    # The end

    def _clean_up(self, session: Session) -> None:
        """Drop the staging table, whatever happened. A failure here is told, never raised: the next run drops it."""
        if not self._staged or self._plan is None:
            return
        self._staged = False
        handle = f"write:{self._module.dest}"
        try:
            session.execute(handle, list(self._plan.staging.cleanup), transaction=False)
        except PipekitError as error:
            self._keeper.say(
                f"the staging table {self._plan.staging.table} is left for the next run: {_first_line(error)}"
            )
            with suppress(PipekitError):
                # An attached file would be in the way of the connection's next user.
                session.close(handle)
        self._remove_staging_file()

    def _clean_up_elsewhere(self) -> None:
        """As `_clean_up`, in another session. SQLite's staging went with the file."""
        if self._staging_file is not None:
            self._staged = False
            self._remove_staging_file()
            return
        try:
            with self._sessions.session() as session:
                self._links.open(session, self._module.dest, "write")
                self._clean_up(session)
        except PipekitError as error:
            self._keeper.say(f"staging is left for the next run: {_first_line(error)}")

    def _remove_staging_file(self) -> None:
        if self._staging_file is not None:
            for suffix in ("", "-journal", "-wal", "-shm"):
                Path(f"{self._staging_file}{suffix}").unlink(missing_ok=True)

    def _finish(self, error: BaseException | None) -> RunResult:
        """End the run in run_log, free the lock, and raise what the caller has to know."""
        error = self._final(error)
        if isinstance(error, PipekitError):
            error.args = (self._redactor.clean(str(error)),)
        status = _status(error, dry_run=self._request.dry_run)
        values: dict[str, Any] = {
            "phase": self._keeper.phase,
            "timings": self._timings,
            "error": self._redactor.clean(_text(error)) if error is not None else None,
            "stdout": self._redactor.clean(self._plan.render()) if self._plan and self._request.dry_run else "",
            "stderr": self._redactor.clean("\n".join(self._stderr)),
            **self._counts,
        }
        self._write_end(status, values)
        record = self._store.runs.get(self._run_id)
        if error is not None:
            error.record = record  # type: ignore[attr-defined]
            raise error
        return RunResult(record, self._plan)

    def _write_end(self, status: str, values: dict[str, Any]) -> None:
        """The store may be busy or out of disk for a moment; a run that cannot be ended keeps its module locked."""
        for delay in (0.5, 2, 5, None):
            try:
                self._store.runs.finish(self._run_id, status, **values)
                return
            except StoreError:
                if delay is None:
                    raise
                time.sleep(delay)

    def _final(self, error: BaseException | None) -> BaseException | None:
        """What the run's end means: a lost lock and a cancelled request look alike to the phase that they ended."""
        if error is not None and not self._holds_lock():
            done = "after the merge was committed" if self._committed else "the destination was not touched"
            return Interrupted(f"The lock of this run was taken away, so it must not write any more; {done}.")
        if isinstance(error, RunCancelled):
            done = "the merge was committed before" if self._committed else "the destination is as it was"
            return RunCancelled(f"Run {self._run_id} of module {self._module.name} was cancelled; {done}.")
        if isinstance(error, (JRunnerError, JRunnerDied)):
            return RunError(str(error))
        return error

    def _holds_lock(self) -> bool:
        return self._store.leases.held("module", self._module.name, self._token)

    def _locked(self) -> PipekitError:
        lease = self._store.leases.find("module", self._module.name)
        if lease is None:
            known = self._store.definitions.load().modules
            if self._module.name not in known:
                return NotFoundError("module", self._module.name, known)
            return ModuleLocked(f"Module {self._module.name!r} was being run a moment ago. Try again.")
        return ModuleLocked(
            f"Module {self._module.name!r} is being run by {lease.describe()}. Wait for it, or end it with `pipekit cancel`."
        )

    def _check_overrides(self) -> None:
        declared = {watermark.name for watermark in self._module.watermarks}
        for name in self._request.watermarks:
            if name not in declared:
                raise ConfigurationError(f"module {self._module.name}: {NotFoundError('watermark', name, declared)}")


def _status(error: BaseException | None, *, dry_run: bool) -> str:
    if error is None:
        return "dry_run" if dry_run else "success"
    if isinstance(error, RunCancelled) or not isinstance(error, Exception):
        return "cancelled"
    return "error"


def _text(error: BaseException) -> str:
    if isinstance(error, PipekitError):
        return str(error)
    if not isinstance(error, Exception):
        return f"stopped by {type(error).__name__}"
    return f"{type(error).__name__}: {error}"


def _first_line(text: object) -> str:
    line = next(iter(str(text).strip().splitlines()), "")
    return line if len(line) <= 200 else line[:199] + "…"

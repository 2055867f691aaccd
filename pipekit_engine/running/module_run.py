"""One module run in its phases, from lock to finish:

    lock, resolve, plan, stage, verify, merge, checks, hooks, finish

Whatever happens in between, `finish` ends the run in run_log and frees the lock in one transaction, and the staging table is
dropped. The destination changes in one transaction, in `merge`, and only while the lock is still held.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pipekit_engine.common.processes import ProcessName
from pipekit_engine.common.text import first_line
from pipekit_engine.databases.connections import ModuleConnections
from pipekit_engine.errors import (
    CheckError,
    ConfigurationError,
    ConnectError,
    EarlierMergeActive,
    HookError,
    NotFoundError,
    PipekitError,
    RunCancelled,
    SourceError,
    StagingError,
    StoreError,
)
from pipekit_engine.jrunner.errors import JRunnerDied
from pipekit_engine.planning.build import plan_hooks
from pipekit_engine.planning.planner import Planner
from pipekit_engine.records.certificates import standing
from pipekit_engine.running.cancellation import AfterwordToken, CancelToken
from pipekit_engine.running.checking import blocking_error
from pipekit_engine.running.events import RunEvent
from pipekit_engine.running.hooks import HookRunner
from pipekit_engine.running.monitor import RunMonitor
from pipekit_engine.running.outcome import error_text, final_error, locked_error, run_status
from pipekit_engine.running.phases import Phases, RunState, remove_staging_file
from pipekit_engine.store.leases import new_token
from pipekit_engine.store.retrying import retrying

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from pipekit_engine.common.partitions import PartitionRange
    from pipekit_engine.databases.connections import Connections
    from pipekit_engine.jrunner.client import Session
    from pipekit_engine.jrunner.pool import SessionPool
    from pipekit_engine.models import Module, RunRecord
    from pipekit_engine.planning.plan import RunPlan
    from pipekit_engine.security.redact import Redactor
    from pipekit_engine.store import Store

#: Seconds before the second, third, ... try of a module with `retry`.
RETRY_DELAYS_S = (1, 2, 5, 10, 30)
#: How long the hooks of a cancelled run may take: whoever cancels waits for their end.
HOOKS_AFTER_CANCEL_S = 60.0


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
    #: The one that is read and replaced, of a module that has partitions.
    partition: PartitionRange | None = None
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
        connections: Connections,
        sessions: SessionPool,
        redactor: Redactor,
        cancel: threading.Event | None = None,
        on_event: Callable[[RunEvent], None] | None = None,
    ) -> None:
        self._request = request
        self._module = request.module
        self._store = store
        self._connections = connections
        self._sessions = sessions
        self._redactor = redactor
        self._cancel = CancelToken(cancel)
        self._on_event = on_event
        self._timings: dict[str, float] = {}
        self._stderr: list[str] = []
        self._stdout: list[str] = []
        #: What is known of the run and not yet written down: it goes with the next phase, or the end.
        self._unwritten: dict[str, Any] = {}
        self._state: RunState

    @property
    def _monitor(self) -> RunMonitor:
        return self._state.monitor

    def execute(self) -> RunResult:
        """Run. Raises ModuleLocked before anything happened; RunError families and RunCancelled with `.record` set.

        Any BaseException (KeyboardInterrupt, Dagster's interrupt) cancels the run and goes on to the caller.
        """
        module = self._module
        declared = {watermark.name for watermark in module.watermarks}
        check_overrides(f"module {module.name}", self._request.watermarks, declared)
        part = self._request.partition
        started = self._start(None if part is None else part.key)
        if started is None:
            raise locked_error(self._store, module.name)
        run_id, token = started
        monitor = RunMonitor(
            self._store,
            module=module.name,
            run_id=run_id,
            token=token,
            cancel=self._cancel,
            redactor=self._redactor,
            on_event=self._on_event,
        )
        self._state = RunState(run_id, token, monitor, self._cancel)
        error: BaseException | None = None
        try:
            with self._monitor:
                of = "" if part is None else f", partition {part.key}"
                first = f"run {self._state.run_id} of module {module.name}{of}, {self._request.triggered_by}"
                self._monitor.say(first + self._uncertified())
                self._work()
        except BaseException as caught:
            error = caught
        return self._finish(error)

    def _start(self, partition: str | None) -> tuple[int, str] | None:
        """Begin the run in the store. Part of a group run, it has begun before, and waits for a store that is away."""
        start = partial(
            self._store.runs.start,
            self._module.name,
            triggered_by=self._request.triggered_by,
            group_run_id=self._request.group_run_id,
            dagster_run_id=self._request.dagster_run_id,
            partition=partition,
            token=new_token(),
        )
        return start() if self._request.group_run_id is None else retrying(start, cancel=self._cancel)

    def _uncertified(self) -> str:
        """What is known to be wrong with the run's databases, or that nobody ever tried them."""
        said = ""
        with suppress(PipekitError):  # a connection that is gone is told by the phase that opens it
            certificates = self._store.certificates.all()
            for name in dict.fromkeys((self._module.source, self._module.dest)):
                here = self._connections.dialect(name).certified_here
                if known := standing(certificates.get(name), certified_here=here):
                    said += f"; connection {name}: {known}"
        return said

    # The phases

    def _work(self) -> None:
        """All phases between lock and finish; then, if they failed or were cancelled, the hooks for that."""
        try:
            self._work_with_retries()
        except BaseException as error:
            self._run_failure_hooks(error)
            raise

    def _work_with_retries(self) -> None:
        for attempt in range(self._module.retry + 1):
            try:
                self._work_once()
                return
            except (ConnectError, EarlierMergeActive, SourceError, StagingError, JRunnerDied) as error:
                # Only what failed before the merge is tried again: nothing was written yet.
                if attempt == self._module.retry or self._monitor.phase in ("merge", "checks", "hooks"):
                    raise
                delay = RETRY_DELAYS_S[min(attempt, len(RETRY_DELAYS_S) - 1)]
                self._monitor.say(f"{first_line(error)}; trying again in {delay} s")
                if self._cancel.sleep(delay):
                    raise RunCancelled("cancelled while waiting for another try") from error

    def _work_once(self) -> None:
        try:
            with self._sessions.session(cancel=self._cancel) as session:
                connections, heard = self._connections_in(session), session.process.stderr_count
                phases = Phases(connections, self._state, self._store)
                try:
                    self._work_in(connections, phases)
                finally:
                    self._stderr += session.process.stderr_since(heard)
                    self._stdout += session.process.take_output()
                    if session.alive:
                        phases.clean_up()
                        phases.forget_settings()
                        connections.give_back()
        finally:
            if self._state.staged:
                # That session is gone; the pool gives another, now that this one was handed back.
                self._clean_up_elsewhere()

    def _work_in(self, connections: ModuleConnections, phases: Phases) -> None:
        child = ProcessName.of(connections.session.pid)
        planner = Planner(
            connections,
            overrides=self._request.watermarks,
            partition=self._request.partition,
            staging_schema=self._request.staging_schema,
            say=self._monitor.say,
        )
        with self._phase("resolve", child):
            if not self._request.dry_run:
                connections.open_both()
                phases.await_earlier_merge(planner.fence())
            watermarks = planner.resolve_watermarks()
        with self._phase("plan"):
            plan = self._state.plan = planner.plan(watermarks)
            self._record_plan(plan)
            for warning in plan.warnings:
                self._monitor.say(f"warning: {warning}")
        if self._request.dry_run:
            self._monitor.say("dry run: nothing was moved; this is what a run would do\n" + plan.render())
            return
        failed: CheckError | None = None
        loaded = False
        if plan.direct is not None:
            with self._phase("stage"):
                loaded = phases.load(self._begin_merge)
        if not loaded:
            with self._phase("stage"):
                rows_read = phases.stage()
            with self._phase("verify"):
                choice = phases.verify(rows_read)
                if plan.direct is not None or choice.statements != plan.usual_merge:
                    self._unwritten["merge_sql"] = self._redactor.clean(plan.merge_sql(choice.statements))
                if failed := self._check(phases, "staging"):
                    raise failed
            with self._phase("merge"):
                phases.merge(choice)
        if any(planned.on == "destination" for planned in plan.module_checks):
            with self._phase("checks"):
                failed = self._check(phases, "destination")
        with self._phase("hooks"):
            self._run_hooks(phases, failed)

    def _begin_merge(self) -> None:
        """The rows of a load without staging are in the destination, and are to be committed now."""
        self._record_phase("merge", None)
        self._monitor.enter("merge")

    def _check(self, phases: Phases, on: Literal["staging", "destination"]) -> CheckError | None:
        """Ask the checks there, write down what they found, and give the error that blocks, if any."""
        results = phases.check(on, self._redactor.clean)
        if not results:
            return None
        names = [check.name for check in self._module.checks]
        self._retry_store(lambda: self._store.checks.save(self._module.name, results, keep=names))
        return blocking_error(results, merged=on == "destination")

    def _run_hooks(self, phases: Phases, failed: CheckError | None) -> None:
        """The hooks after a merge that was committed; for a failed check those for failures, and then its error."""
        if failed is None:
            phases.run_hooks()
            return
        try:
            phases.run_hooks(failed=True)
        except HookError as error:
            self._monitor.say(f"after the failed check: {error}")
        raise failed

    def _connections_in(self, session: Session) -> ModuleConnections:
        name = f"pipekit {self._module.name} {self._state.run_id}"
        return ModuleConnections(
            self._connections,
            session,
            self._module,
            application_name=name,
            cancel=self._cancel,
            say=self._monitor.say,
        )

    def _run_failure_hooks(self, error: BaseException) -> None:
        """Hooks for a run that ended before its merge was committed; their own failure is told, never raised.

        They need no plan, so that they run whatever failed, and what cancelled the run gives them `HOOKS_AFTER_CANCEL_S`. A run
        that has lost its lock, or may have, writes nothing any more.
        """
        hooks = [hook for hook in self._module.hooks if hook.run_on != "success"]
        if not hooks or self._request.dry_run or self._state.committed:
            return
        if self._monitor.out_of_touch or not self._holds_lock():
            return
        try:
            with self._sessions.session() as session:
                connections = self._connections_in(session).without_cancel()
                dialects = {
                    name: connections.dialect(name) for name in (hook.connection or self._module.dest for hook in hooks)
                }
                runner = HookRunner(
                    session,
                    lambda name: connections.open(name, "write"),
                    say=self._monitor.say,
                    cancel=AfterwordToken(
                        self._cancel,
                        HOOKS_AFTER_CANCEL_S,
                        lambda: self._monitor.lost or self._monitor.is_out_of_touch(),
                    ),
                )
                try:
                    runner.run(plan_hooks(self._module, dialects), failed=True, committed=False)
                finally:
                    if session.alive:
                        runner.forget_settings()
                        connections.give_back()
        except RunCancelled:
            pass  # said by the hook that it ended
        except PipekitError as failed:
            self._monitor.say(f"after {type(error).__name__}: {failed}")

    def _record_plan(self, plan: RunPlan) -> None:
        """The SQL and values of this run, without the secrets that a query or a resolver may hold."""
        clean = self._redactor.clean
        watermarks = {
            name: mark.model_copy(update={"value": clean(mark.value)}) for name, mark in plan.watermarks.items()
        }
        self._unwritten.update(
            source_sql=clean(plan.source_sql), merge_sql=clean(plan.recorded_merge), watermarks=watermarks
        )

    def _record_phase(self, name: str, child: ProcessName | None) -> None:
        """Write down how far the run is, and all that is known of it, in one transaction."""
        values = {"phase": name, **self._state.counts, **self._unwritten}
        run_id, runs = self._state.run_id, self._store.runs
        if child is None:
            self._retry_store(lambda: runs.update(run_id, **values))
        else:
            self._retry_store(lambda: runs.begin_work(run_id, self._module.name, self._state.token, child, **values))
        self._unwritten.clear()

    def _retry_store(self, action: Callable[[], None]) -> None:
        """Do it, waiting out a store that does not answer for a moment. Raises RunCancelled and StoreError."""
        try:
            retrying(action, cancel=self._cancel)
        except StoreError:
            if self._cancel.is_set():
                raise RunCancelled("cancelled while the state store did not answer") from None
            raise

    @contextmanager
    def _phase(self, name: str, child: ProcessName | None = None) -> Iterator[None]:
        if self._cancel.is_set():
            raise RunCancelled(f"cancelled before {name}")
        # Written down before anything is done: whoever finds this run dead tells from it what may have happened.
        self._record_phase(name, child)
        self._monitor.enter(name)
        started = time.monotonic()
        try:
            yield
        finally:
            self._timings[name] = round(self._timings.get(name, 0) + time.monotonic() - started, 4)

    # The end

    def _clean_up_elsewhere(self) -> None:
        """Take staging away when the session that filled it is gone. SQLite's goes with its file."""
        assert self._state.plan is not None, "nothing is staged before the plan"
        self._state.staged = self._state.plan.staging.file is None
        if self._holds_lock():
            remove_staging_file(self._state)
        if self._state.staged:
            try:
                with self._sessions.session() as session:
                    connections = self._connections_in(session)
                    Phases(connections, self._state, self._store).clean_up()
                    connections.give_back()
            except PipekitError as error:
                self._monitor.say(f"staging is left for the next run: {first_line(error)}")

    def _finish(self, error: BaseException | None) -> RunResult:
        """End the run in run_log, free the lock, and raise what the caller has to know."""
        if error is not None:
            error = final_error(error, self._module.name, self._state, holds_lock=self._holds_lock)
        if isinstance(error, PipekitError):
            error.args = (self._redactor.clean(str(error)),)
        status = run_status(error, dry_run=self._request.dry_run)
        values: dict[str, Any] = {
            **self._unwritten,
            "log": self._monitor.take_lines(),
            "phase": self._monitor.phase,
            "timings": self._timings,
            "error": self._redactor.clean(error_text(error, self._state)) if error is not None else None,
            "stdout": self._redactor.clean(
                self._state.plan.render() if self._state.plan and self._request.dry_run else "\n".join(self._stdout)
            ),
            "stderr": self._redactor.clean("\n".join(self._stderr)),
            **self._state.counts,
        }
        # A run that cannot be ended keeps its module locked.
        try:
            retrying(lambda: self._store.runs.finish(self._state.run_id, status, **values), every_error=True)
        except StoreError as unwritten:
            end = (
                "its rows are in the destination"
                if error is None
                else self._redactor.clean(error_text(error, self._state))
            )
            raise type(unwritten)(
                f"{unwritten}\nThe end of the run, {status}, could not be written down: {end}"
            ) from error
        record = retrying(lambda: self._store.runs.get(self._state.run_id))
        if error is not None:
            if isinstance(error, PipekitError):
                error.record = record
            raise error
        return RunResult(record, self._state.plan)

    def _holds_lock(self) -> bool:
        try:
            return retrying(lambda: self._store.leases.held("module", self._module.name, self._state.token))
        except StoreError:
            # It cannot be told, and the run ends here either way.
            return True


def check_overrides(whose: str, overrides: Iterable[str], declared: Collection[str]) -> None:
    """Refuse a watermark's name that is not declared: the value would silently change nothing. Raises ConfigurationError."""
    for name in overrides:
        if name not in declared:
            raise ConfigurationError(f"{whose}: {NotFoundError('watermark', name, declared)}")

"""`PipekitResource`: the engine, open for the length of one Dagster run, with what all ops of the run share."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, overload

import dagster as dg
from pydantic import Field, PrivateAttr

from pipekit_dagster.cancellation import abort_reason, cancel_event
from pipekit_dagster.tags import DRY_RUN_TAG, GROUP_TAG, SELECTION_TAG, TRIGGERED_BY_TAG
from pipekit_dagster.workers.dispatcher import dispatcher
from pipekit_dagster.workers.members import Members
from pipekit_engine.config import Config, load_config
from pipekit_engine.errors import ModuleLocked, PipekitError, RunCancelled
from pipekit_engine.running.connection_slots import ConnectionSlots

if TYPE_CHECKING:
    from pipekit_engine.engine import Engine, RunEvent, RunResult
    from pipekit_engine.models import Group, Module
    from pipekit_engine.records.checks import CheckResult


class PipekitResource(dg.ConfigurableResource[Any]):
    """Runs modules inside Dagster ops. One is made for a Dagster run and shared by all its ops.

    For the length of the run it holds the engine, warm jrunner sessions, and in the job of a group the group's lock, which it
    ends with the status that follows from its members. In the Launchpad:

        resources:
          pipekit:
            config:
              dry_run: true                       # resolve and print everything, move nothing
              watermarks: {since: "2024-01-01"}   # for this run only; `module.name` for one module

    In a job of one's own, where `flights` is the name of a module:

        import dagster as dg
        from pipekit_dagster import PipekitResource

        @dg.op
        def load_flights(context, pipekit: PipekitResource):
            result = pipekit.run("flights")
            context.log.info(f"{result.record.rows_inserted} rows")

    The configuration is the one that the `pipekit` command would use; `PipekitResource.bound_to(config)()` uses another.
    """

    dry_run: bool = Field(default=False, description="Resolve, plan and print all SQL; move nothing.")
    watermarks: dict[str, str] = Field(
        default_factory=dict,
        description="Watermark values for this run, by name, or by module.name for one module only.",
    )

    partition: str | None = Field(
        default=None, description="Partition for this run of modules that have them, where the run itself has none."
    )
    partitions: list[str] = Field(
        default_factory=list, description="Partitions that each module's op fills, one run of pipekit each: a backfill."
    )
    keep_going: bool = Field(default=False, description="Go on with the next of the partitions after one that failed.")

    #: Configuration of a subclass made by `bound_to`; without one, the configuration file is looked for.
    bound_config: ClassVar[Config | None] = None
    #: The module behind each op, by the op's name; made by `bound_to`. Ops that are not here may run any module.
    bound_ops: ClassVar[Mapping[str, str]] = {}
    #: The modules that fill each asset; made by `bound_to`.
    bound_assets: ClassVar[Mapping[dg.AssetKey, Sequence[str]]] = {}

    _engine: Any = PrivateAttr(default=None)
    _sessions: Any = PrivateAttr(default=None)
    _active: Any = PrivateAttr(default=None)
    _run_id: str | None = PrivateAttr(default=None)
    _triggered_by: str = PrivateAttr(default="manual")
    _tick: datetime | None = PrivateAttr(default=None)
    _cancel: threading.Event = PrivateAttr(default_factory=threading.Event)
    _slots: ConnectionSlots = PrivateAttr(default_factory=lambda: ConnectionSlots({}))
    _modules: dict[str, Any] = PrivateAttr(default_factory=dict)
    #: Runs members elsewhere, in the run of a group that is `spread`.
    _members_elsewhere: Any = PrivateAttr(default=None)

    @classmethod
    def bound_to(
        cls,
        config: Config,
        ops: Mapping[str, str] | None = None,
        assets: Mapping[dg.AssetKey, Sequence[str]] | None = None,
    ) -> type[PipekitResource]:
        """A subclass that uses this configuration, whatever files lie around.

        `ops` says which op runs which module, `assets` which modules fill which table.
        """
        fields = {"bound_config": config, "bound_ops": dict(ops or {}), "bound_assets": dict(assets or {})}
        return type(cls.__name__, (cls,), {**fields, "__module__": cls.__module__, "__doc__": cls.__doc__})

    @property
    def engine(self) -> Engine:
        """The engine of this run. Raises RuntimeError outside of a run."""
        if self._engine is None:
            raise RuntimeError("PipekitResource is only open while a Dagster run uses it.")
        engine: Engine = self._engine
        return engine

    @property
    def cancel(self) -> threading.Event:
        """Set when this Dagster run is being terminated."""
        return self._cancel

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[PipekitResource]:
        """Open the engine; in a group's job, take the group's lock and begin its group_run. Dagster calls this."""
        from pipekit_engine.engine import Engine

        run = context.run
        tags: Mapping[str, str] = run.tags if run else {}
        self._run_id = run.run_id if run else None
        tick = tags.get(_TICK_TAG)
        self._tick = datetime.fromisoformat(tick) if tick else None
        self._triggered_by = asked_by(tags, repeated=run is not None and run.parent_run_id is not None)
        self._cancel = cancel_event(run.run_id) if run else threading.Event()
        group = tags.get(GROUP_TAG)
        if run is not None:
            _check_something_is_picked(run)
            if self.dry_run and context.instance is not None:
                context.instance.add_run_tags(run.run_id, {DRY_RUN_TAG: "true"})
        with ExitStack() as stack:
            self._engine = engine = stack.enter_context(Engine(self._configuration()))
            definitions, _ = engine.store.definitions.load_checked()
            self._modules = dict(definitions.modules)
            self._check_watermarks(self._members(run, definitions.groups.get(group) if group else None))
            self._slots = ConnectionSlots(definitions.connection_limits)
            parallel = definitions.groups[group].max_parallel if group in definitions.groups else 4
            self._sessions = stack.enter_context(engine.session_pool(max_sessions=parallel))
            if group is None:
                yield self
                return
            active = stack.enter_context(
                engine.group_run(
                    group,
                    triggered_by=self._triggered_by,
                    dagster_run_id=self._run_id,
                    dry_run=self.dry_run,
                    on_cancel=lambda: self._terminate(context),
                )
            )
            self._active = active
            if definitions.groups[group].spread and (workers := dispatcher()) is not None:
                self._members_elsewhere = Members(engine.store, workers, active.id)
            self._say_skipped(context, definitions.groups.get(group))
            yield self
            reason = abort_reason(run.run_id) if run else None
            if reason is not None:
                self.note_problem(f"The Dagster run ended early: {reason}")
            active.finish("cancelled" if self._cancel.is_set() and reason is None else None)

    def _terminate(self, context: dg.InitResourceContext) -> None:
        """End this Dagster run as its *Terminate* does: somebody cancelled the group's run in pipekit."""
        if context.instance is not None and context.run is not None:
            with suppress(Exception):  # whatever the driver of Dagster's storage raises: the run ends all the same
                context.instance.report_run_canceling(context.run)
        os.kill(os.getpid(), signal.SIGINT)

    def _configuration(self) -> Config:
        return self.bound_config or load_config()

    def _say_skipped(self, context: dg.InitResourceContext, group: Group | None) -> None:
        """Disabled members have no op in the job; the run's log says so."""
        for name in group.members if group else ():
            if name in self._modules and not self._modules[name].enabled and context.log:
                context.log.info(f"{name} is skipped: it is disabled")

    def _members(self, run: dg.DagsterRun | None, group: Group | None) -> list[str]:
        """The modules that this run is for: those of the ops that were selected, or all.

        A re-execution from failure has the settings of the whole run that it repeats, so its fewer steps do not count.
        """
        if run is not None and run.asset_selection:
            return [name for key in run.asset_selection for name in self.bound_assets.get(key, ())]
        selected = run.resolved_op_selection if run else None
        if selected is not None and all(op in self.bound_ops for op in selected):
            return [self.bound_ops[op] for op in selected]
        if group is None:
            return list(self._modules)
        return [name for name in group.members if name in self._modules and self._modules[name].enabled]

    def _check_watermarks(self, members: list[str]) -> None:
        """Refuse a value that no module of the run declares. Raises ConfigurationError."""
        from pipekit_engine.running.module_run import check_overrides

        known = {
            f"{name}.{mark.name}"
            for name in members
            if name in self._modules
            for mark in self._modules[name].watermarks
        }
        known |= {name.rpartition(".")[2] for name in known}
        check_overrides("the modules of this run", self.watermarks, known)

    def is_disabled(self, module: str) -> bool:
        """Whether the definitions say so now; they may have changed since the code location was loaded."""
        found = self._modules.get(module)
        return found is not None and not found.enabled

    def note_problem(self, text: str) -> None:
        """Add something that makes the group's run an error and has no row in run_log that would tell."""
        if self._active is not None:
            self._active.problems.append(text)

    def overrides(self, module: Module) -> dict[str, str]:
        """The watermark values set by hand that concern this module."""
        declared = [mark.name for mark in module.watermarks]
        values = {name: self.watermarks[name] for name in declared if name in self.watermarks}
        specific = {
            name: self.watermarks[f"{module.name}.{name}"]
            for name in declared
            if f"{module.name}.{name}" in self.watermarks
        }
        return {**values, **specific}

    @overload
    def run(
        self, module: str, *, partition: str | None = None, on_event: Callable[[RunEvent], None] | None = None
    ) -> RunResult: ...

    @overload
    def run(self, module: dg.AssetExecutionContext) -> Iterator[Any]: ...

    def run(
        self,
        module: str | dg.AssetExecutionContext,
        *,
        partition: str | None = None,
        on_event: Callable[[RunEvent], None] | None = None,
    ) -> RunResult | Iterator[Any]:
        """Run one module, as this Dagster run's settings say; or what was picked of `@pipekit_assets`, given the context.

        With a context it yields a MaterializeResult for each table, and the results of its checks, and raises dg.Failure for the
        first module that fails. With a module it returns the engine's RunResult and raises what `Engine.run` raises; it waits for
        a free place on connections with `max_parallel` first, and ends with RunCancelled when the Dagster run is terminated. Of a
        module with partitions it takes `partition`, and waits while another run has the module's lock; else that of the
        settings, or the newest that had ended at the schedule's tick.
        """
        if not isinstance(module, str):
            from pipekit_dagster.ops import run_selected

            return run_selected(module, self, self._modules)
        found = self._modules.get(module)
        try:
            while True:
                try:
                    return self._run_once(module, found, partition, on_event)
                except ModuleLocked as locked:
                    if partition is None:
                        raise
                    # Two partitions of one module run in turn.
                    if self._cancel.wait(_LOCK_POLL_S):
                        raise RunCancelled("cancelled while another run had the module") from locked
        except PipekitError as error:
            if error.record is None and not isinstance(error, RunCancelled):
                self.note_problem(f"{module}: {error}")  # locked, or a bad definition
            raise

    def _run_once(
        self,
        module: str,
        found: Module | None,
        partition: str | None,
        on_event: Callable[[RunEvent], None] | None,
    ) -> RunResult:
        divided = found is not None and found.partition is not None
        request: dict[str, Any] = {
            "partition": partition or (self.partition if divided else None),
            "dry_run": self.dry_run,
            "watermarks": self.overrides(found) if found else {},
            "triggered_by": self._triggered_by,
            "dagster_run_id": self._run_id,
        }
        with self._slots.held(found, self._cancel) if found else nullcontext():
            if self._members_elsewhere is not None:
                request["now"] = self._tick.isoformat() if self._tick else None
                elsewhere: RunResult = self._members_elsewhere.run(
                    module, request, cancel=self._cancel, on_event=on_event
                )
                return elsewhere
            return self.engine.run(
                module,
                **request,
                now=self._tick,
                group_run_id=self._active.id if self._active else None,
                on_event=on_event,
                cancel=self._cancel,
                sessions=self._sessions,
            )

    def check(self, module: str, names: Sequence[str] = ()) -> list[CheckResult]:
        """Ask a module's checks, or those of these names, of its destination as it is; see `Engine.check`."""
        return self.engine.check(module, names=names, cancel=self._cancel, sessions=self._sessions)


def asked_by(tags: Mapping[str, str], *, repeated: bool) -> str:
    """Who asked for a run. A re-execution carries the tags of the run that it repeats, but somebody else may have asked for it.

    That one's name is in its tag where there is a login, and the schedule or trigger of the first run is not who asked.
    """
    asked = tags.get(TRIGGERED_BY_TAG, "manual")
    return asked if not repeated or asked.startswith(("user:", "token:")) else "manual"


#: Dagster's tag with the moment for which a schedule fired.
_TICK_TAG = ".dagster/scheduled_execution_time"
#: Seconds between two tries of a partition whose module another run has.
_LOCK_POLL_S = 0.5
#: Dagster's own job of all assets: each materialization is a run of it, for the assets that were selected.
_ALL_ASSETS_JOB = "__ASSET_JOB"


def _check_something_is_picked(run: dg.DagsterRun) -> None:
    """Refuse a run of everything, which is a slip of the hand. Raises dg.Failure."""
    if run.job_name == _ALL_ASSETS_JOB and not (run.asset_selection or run.asset_check_selection):
        raise dg.Failure("Nothing was run: no asset is selected. Materialize the tables that are meant.")
    if SELECTION_TAG in run.tags and set(run.op_selection or "*") == {"*"}:
        raise dg.Failure("Nothing was run: this job has every module. Give an op selection with those that are meant.")

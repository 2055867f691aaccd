"""A module as a Dagster op, and the op that materializes a table.

A module's op runs the module through `PipekitResource`, shows it live, and says how it went in Dagster's terms: an
AssetMaterialization for a success, a Failure with metadata for an error, an interrupt for a cancel. It yields its output
before it fails, so that in a group with `on_failure: continue` the next layer starts; by then the engine has written run_log
and freed the module's lock.
"""

# No `from __future__ import annotations` here: Dagster looks at the annotations of an op's function, and takes no text.

import inspect
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg

from pipekit_dagster.asset_checks import CheckNames, check_results, evaluations
from pipekit_dagster.asset_checks import check_names as table_check_names
from pipekit_dagster.dagster_internals.outputs import UNTOLD
from pipekit_dagster.outcome import ColumnDeps, describe_failure, dry_run_metadata, failure_metadata, materialization
from pipekit_dagster.partitions import partitions_of_run
from pipekit_dagster.pools import places
from pipekit_dagster.step_log import StepLog, open_step_log
from pipekit_engine.common.event_queue import EventQueue
from pipekit_engine.common.visible import fenced, plain_markdown
from pipekit_engine.errors import PipekitError, RunCancelled
from pipekit_engine.running.partitions import ends_backfill

#: Seconds between two looks at a queue of events: no wait is without an end.
_POLL_S = 0.5

if TYPE_CHECKING:
    from pipekit_dagster.resource import PipekitResource
    from pipekit_engine.engine import RunEvent, RunResult
    from pipekit_engine.models import Module
    from pipekit_engine.records.checks import CheckResult

#: Seconds between two milestones of one op in Dagster's event log; every line stands in the op's stdout.
MILESTONE_INTERVAL_S = 5.0


def _as_an_op(context: dg.OpExecutionContext) -> Iterator[Any]:
    """What the functions of ops look like."""
    raise NotImplementedError


#: Dagster asks for an op's signature a dozen times: of a thousand ops, a tenth of all that loading takes.
_SIGNATURE = inspect.signature(_as_an_op)


def build_op(
    module: "Module",
    *,
    name: str,
    asset_key: dg.AssetKey,
    column_deps: ColumnDeps,
    tags: dict[str, str],
    pool: str | None,
    more_pools: Sequence[str],
    check_names: CheckNames,
) -> dg.OpDefinition:
    """The op of a module. It takes and gives only order: `after` and `done` carry no values."""

    def run(context: dg.OpExecutionContext) -> Iterator[Any]:
        with _places(context, more_pools):
            yield from _run_module(context, module, asset_key, column_deps, check_names)

    run.__signature__ = _SIGNATURE  # type: ignore[attr-defined]
    return dg.op(
        name=name,
        description=describe(module),
        ins={"after": dg.In(dg.Nothing, description="Modules of earlier layers.")},
        out={"done": dg.Out(dg.Nothing, description="The module's run has ended.")},
        required_resource_keys={"pipekit"},
        tags=tags,
        pool=pool,
    )(run)


def build_broken_op(name: str, what: str, problem: str, *, member: bool = False) -> dg.OpDefinition:
    """An op that stands for a definition that cannot be read: it fails at once and says why.

    A `member` of groups also makes the group's run an error.
    """

    def fail(context: dg.OpExecutionContext) -> Iterator[Any]:
        if member:
            context.resources.pipekit.note_problem(f"The definition of {what} is broken: {problem}")
        yield dg.Output(None, "done")
        raise dg.Failure(f"The definition of {what} is broken: {problem}", allow_retries=False)

    return dg.op(
        name=name,
        description=f"**The definition of {plain_markdown(what)} is broken.** {plain_markdown(problem)}",
        ins={"after": dg.In(dg.Nothing)},
        out={"done": dg.Out(dg.Nothing)},
        required_resource_keys={"pipekit"} if member else None,
        tags={"pipekit/broken": "true"},
    )(fail)


def build_asset_op(
    modules: Sequence["Module"],
    *,
    name: str,
    asset_key: dg.AssetKey,
    inputs: Sequence[str],
    check_outputs: Sequence[str],
    check_names: CheckNames,
    column_deps: "Callable[[Module, str], list[dg.TableColumnDep]]",
    tags: dict[str, str],
    pool: str | None,
    more_pools: Sequence[str],
) -> dg.OpDefinition:
    """The op that materializes a table: it runs the modules that fill it, one after another, up to the first that fails.

    It gives its output, which is the materialization, once all have succeeded. A dry run gives none; Dagster then skips what
    depends on it.
    """

    def run(context: dg.OpExecutionContext) -> Iterator[Any]:
        with _places(context, more_pools):
            if asset_key in context.selected_asset_keys:
                yield from _materialize(context, modules, asset_key, column_deps, check_names)
            else:
                yield from _check(context, context.resources.pipekit, modules, asset_key, check_names)

    run.__signature__ = _SIGNATURE  # type: ignore[attr-defined]
    return dg.op(
        name=name,
        description="\n\n".join(f"Runs {module.name}.\n\n{describe(module)}" for module in modules),
        ins={after: dg.In(dg.Nothing) for after in inputs},
        out={output: dg.Out(dg.Nothing, is_required=False) for output in ("result", *check_outputs)},
        required_resource_keys={"pipekit"},
        tags=tags,
        pool=pool,
    )(run)


@contextmanager
def _places(context: Any, pools: Sequence[str]) -> Iterator[None]:
    """Places in these pools, or the end of the Dagster run that was cancelled meanwhile."""
    cancel = context.resources.pipekit.cancel
    with ExitStack() as stack:
        try:
            stack.enter_context(places(context, pools, cancel))
        except RunCancelled as cancelled:
            raise dg.DagsterExecutionInterruptedError(str(cancelled)) from cancelled
        yield


def describe(module: "Module") -> str:
    """What a module does, for Dagster's pages: its strategy, and all SQL that it runs."""
    parts = [
        f"{module.source} → {module.dest}: {plain_markdown(module.dest_table)}, {module.strategy}"
        f"{' by ' + plain_markdown(', '.join(module.merge_key)) if module.merge_key else ''}",
        fenced(module.query),
    ]
    for mark in module.watermarks:
        parts += [f"`{{{mark.name}}}` is asked of {mark.connection}:", fenced(mark.resolver_sql)]
    for hook in module.ordered_hooks:
        parts += [f"Hook on {hook.connection or module.dest}, {hook.run_on}:", fenced(hook.sql)]
    return "\n\n".join(parts)


def _run_module(
    context: Any, module: "Module", asset_key: dg.AssetKey, column_deps: ColumnDeps, check_names: CheckNames
) -> Iterator[Any]:
    pipekit: PipekitResource = context.resources.pipekit
    metadata: Mapping[str, Any] = {}
    first: PipekitError | None = None
    with open_step_log(context) as log:
        for key in pipekit.partitions or (None,):
            result, error = _execute(context, pipekit, log, module.name, key)
            for event in evaluations(_found(pipekit, module, result, error), asset_key, check_names):
                context.log_event(event)
            if result is not None and result.record.status == "success":
                context.log_event(materialization(asset_key, column_deps, module, result))
            elif result is not None:
                metadata = dry_run_metadata(result)
            first = first or error
            if error is not None and ends_backfill(error, keep_going=pipekit.keep_going):
                break
    yield dg.Output(None, "done", metadata=metadata)
    if first is not None:
        raise _failure(first)


def _materialize(
    context: Any,
    modules: Sequence["Module"],
    asset_key: dg.AssetKey,
    column_deps: "Callable[[Module, str], list[dg.TableColumnDep]]",
    check_names: CheckNames,
) -> Iterator[Any]:
    for event in materialize(context, context.resources.pipekit, modules, asset_key, column_deps, check_names):
        yield dg.Output(None, "result", metadata=event.metadata) if isinstance(event, dg.MaterializeResult) else event


def materialize(
    context: Any,
    pipekit: "PipekitResource",
    modules: Sequence["Module"],
    asset_key: dg.AssetKey,
    column_deps: "Callable[[Module, str], list[dg.TableColumnDep]]",
    check_names: CheckNames,
) -> Iterator[Any]:
    """Run the modules that fill a table: results of their checks, and the MaterializeResult once all have succeeded.

    Raises dg.Failure for the first that fails.
    """
    selected = context.selected_asset_check_keys
    keys = partitions_of_run(context)
    metadata: dict[str, Any] = {}
    ran: list[RunResult] = []
    with open_step_log(context) as log:
        for key in keys:
            metadata = {}
            for module in modules:
                if pipekit.is_disabled(module.name):
                    context.log.info(f"{module.name} is skipped: it is disabled")
                    continue
                result, error = _execute(context, pipekit, log, module.name, key)
                if key == keys[-1] or error is not None:
                    yield from check_results(_found(pipekit, module, result, error), asset_key, check_names, selected)
                else:
                    # A step gives the result of a check once: that of the last partition.
                    for event in evaluations(_found(pipekit, module, result, error), asset_key, check_names):
                        context.log_event(event)
                if error is not None:
                    raise _failure(error)
                assert result is not None
                ran.append(result)
                if result.record.status == "success":
                    found = materialization(asset_key, partial(column_deps, module), module, result).metadata
                else:
                    found = dry_run_metadata(result)
                # Of several modules each has its own counts; the table's columns are those that the last one found.
                one = len(modules) == 1
                metadata |= {
                    name if one or name.startswith("dagster/") else f"{module.name}/{name}": value
                    for name, value in found.items()
                }
            if len(keys) > 1 and ran and all(result.record.status == "success" for result in ran):
                # Told at once: a backfill's page shows how far it is, and what was filled before a failure or a kill.
                yield dg.AssetMaterialization(asset_key, partition=key, metadata=metadata)
    if not ran:
        raise dg.Failure(
            f"Nothing was run: {', '.join(module.name for module in modules)} disabled in the definitions. Set `enabled: true`"
            " there and apply.",
            allow_retries=False,
        )
    if any(result.record.status != "success" for result in ran):
        context.log_event(dg.AssetObservation(asset_key, description="Dry run: nothing was moved.", metadata=metadata))
        return
    yield dg.MaterializeResult(asset_key=asset_key, metadata=UNTOLD if len(keys) > 1 else metadata)


def run_selected(
    context: dg.AssetExecutionContext, pipekit: "PipekitResource", modules: Mapping[str, "Module"]
) -> Iterator[Any]:
    """What was picked of `@pipekit_assets`: tables are materialized, and checks without their table are asked alone."""
    from pipekit_dagster.decorator import selected_tables

    for key, names in selected_tables(context):
        fill = [modules[name] for name in names if name in modules]
        check_names = table_check_names(fill)
        if key in context.selected_asset_keys:
            yield from materialize(context, pipekit, fill, key, lambda module, column: [], check_names)
        else:
            yield from _check(context, pipekit, fill, key, check_names)


def _check(
    context: Any,
    pipekit: "PipekitResource",
    modules: Sequence["Module"],
    asset_key: dg.AssetKey,
    check_names: CheckNames,
) -> Iterator[Any]:
    """Ask the checks that were picked, without a run of the modules."""
    selected = context.selected_asset_check_keys
    picked = {key.name for key in selected}
    for module in modules:
        names = [check.name for check in module.checks if check_names[module.name, check.name] in picked]
        if names:
            yield from check_results(pipekit.check(module.name, names), asset_key, check_names, selected)


def _found(
    pipekit: "PipekitResource", module: "Module", result: "RunResult | None", error: PipekitError | None
) -> "Sequence[CheckResult]":
    """What the module's checks found in a run that has ended."""
    record = result.record if result is not None else error.record if error is not None else None
    if not module.checks or record is None:
        return ()
    checks = pipekit.engine.store.checks
    found: Sequence[CheckResult] = checks.last(module.name, run_id=record.id).get(module.name, ())
    return found


def _execute(
    context: Any, pipekit: "PipekitResource", log: StepLog, module: str, partition: str | None = None
) -> "tuple[RunResult | None, PipekitError | None]":
    """Run a module and show it: its result, or the error with which it ended. An interrupt of the Dagster run is raised."""
    try:
        watcher = _Watcher(context, log)
        return _watch(
            lambda on_event: pipekit.run(module, partition=partition, on_event=on_event), pipekit.cancel, watcher
        ), None
    except RunCancelled as cancelled:
        log.error(str(cancelled))
        if pipekit.cancel.is_set():
            raise dg.DagsterExecutionInterruptedError(str(cancelled)) from cancelled
        return None, cancelled  # by `pipekit cancel`: this op ends, the Dagster run goes on
    except PipekitError as caught:
        log.error(describe_failure(caught))
        return None, caught


def _failure(error: PipekitError) -> dg.Failure:
    failure = dg.Failure(describe_failure(error), metadata=failure_metadata(error), allow_retries=False)
    failure.__cause__ = error
    return failure


class _Watcher:
    """Shows a run's events: every line in the op's stdout, milestones in Dagster's event log."""

    def __init__(self, context: Any, log: StepLog) -> None:
        self._context = context
        self._log = log
        self._last_milestone = time.monotonic()

    def __call__(self, event: "RunEvent") -> None:
        if event.kind == "phase":
            # A quick run needs no milestones: its phases stand in its stdout and its timings in the metadata.
            self._milestone(f"{event.module}: {event.phase}")
            return
        self._log.line(f"{datetime.now(timezone.utc):%H:%M:%S} {event.phase:<9} {event.message}")
        if event.kind == "progress":
            self._milestone(f"{event.module}: {event.phase}, {event.message} so far")

    def _milestone(self, text: str) -> None:
        now = time.monotonic()
        if now - self._last_milestone >= MILESTONE_INTERVAL_S:
            self._last_milestone = now
            with suppress(Exception):  # Dagster's storage may be away for a moment; the module's run needs no milestone
                self._context.log.info(text)


def _watch(
    work: "Callable[[Callable[[RunEvent], None]], RunResult]",
    cancel: threading.Event,
    on_event: "Callable[[RunEvent], None]",
) -> "RunResult":
    """Do `work` on a thread of its own while this thread passes its events on.

    The engine never waits for Dagster's storage, and an interrupt that reaches this thread (Dagster's in-process executor raises
    them here) cancels the work and is raised again once the work has ended.
    """
    events: EventQueue[RunEvent | None] = EventQueue()
    outcome: list[RunResult] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            outcome.append(work(events.put))
        except BaseException as error:
            errors.append(error)
        finally:
            events.put(None)

    worker = threading.Thread(target=body, name=f"{threading.current_thread().name} engine", daemon=True)
    worker.start()
    try:
        while True:
            try:
                event = events.get(_POLL_S)
            except queue.Empty:
                continue
            if event is None:
                break
            on_event(event)
    except BaseException:
        cancel.set()
        worker.join()
        raise
    worker.join()
    if errors:
        raise errors[0]
    return outcome[0]

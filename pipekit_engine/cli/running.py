"""`run`, `run-group`, `cancel`, `unlock`."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipekit_engine.cli.base import DryRunFlag, JsonFlag, note, settings
from pipekit_engine.common.signals import on_signals
from pipekit_engine.errors import ConfigurationError, LockedError, NotFoundError, PipekitError, RunCancelled, RunError

if TYPE_CHECKING:
    from pipekit_engine.models import DefinitionKind
    from pipekit_engine.store import Store

SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Give a watermark this value instead of resolving it (a backfill)."
    ),
]


PartitionOption = Annotated[
    str | None,
    typer.Option(
        metavar="PARTITION",
        help="The partition to run, such as 2024-05-31, of modules that have them; else the newest that has ended.",
    ),
]


def run(
    context: typer.Context,
    module: Annotated[str, typer.Argument(help="The module to run.", autocompletion=lambda: names_of("modules"))],
    dry_run: DryRunFlag = False,
    overrides: SetOption = None,
    partition: PartitionOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Run one module: source query, staging, merge, hooks.

    Exit status: 0 success, 1 the run failed, 2 configuration, 3 locked by another run, 130 cancelled.
    """
    from pipekit_engine import Engine
    from pipekit_engine.cli.output import print_json, print_text, results
    from pipekit_engine.cli.progress import Progress, summary

    watermarks = parse_overrides(overrides)
    with Engine(settings(context).config()) as engine, cancellable() as cancel:
        try:
            with Progress(engine.store, detailed=True) as progress:
                result = engine.run(
                    module,
                    dry_run=dry_run,
                    watermarks=watermarks,
                    partition=partition,
                    on_event=progress.event,
                    cancel=cancel,
                )
        except PipekitError as caught:
            error = _with_right_command(caught, engine.store, module, "groups", "run-group")
            if as_json:
                head = {"module": module} if error.record is None else error.record.as_json()
                print_json({**head, **_failure(error)})
            raise error from None
    plan = result.plan.render() if result.plan is not None and dry_run else None
    if as_json:
        print_json({**result.record.as_json(), **({"plan": plan} if plan else {})})
    elif plan is not None:
        print_text(plan)
    else:
        results().print(summary(result.record), soft_wrap=True)


def run_group(
    context: typer.Context,
    group: Annotated[str, typer.Argument(help="The group to run.", autocompletion=lambda: names_of("groups"))],
    dry_run: DryRunFlag = False,
    overrides: SetOption = None,
    partition: PartitionOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Run all members of a group in their order; a failed member does not stop the others unless the group says so.

    Exit status: 0 success, 1 a member failed, 2 configuration, 3 the group is running, 130 cancelled.
    """
    from pipekit_engine import Engine
    from pipekit_engine.cli.output import print_json, print_text, results, runs_table
    from pipekit_engine.cli.progress import Progress

    watermarks = parse_overrides(overrides)
    with Engine(settings(context).config()) as engine, cancellable() as cancel:
        try:
            with Progress(engine.store, detailed=False) as progress:
                result = engine.run_group(
                    group,
                    dry_run=dry_run,
                    watermarks=watermarks,
                    partition=partition,
                    on_event=progress.event,
                    # A failed member that has a run is told when that run ends; others are at the end of this command.
                    on_member=lambda event: progress.say(str(event)) if event.kind == "skipped" else None,
                    cancel=cancel,
                )
        except PipekitError as caught:
            error = _with_right_command(caught, engine.store, group, "modules", "run")
            if as_json:
                ended = error.group_record
                runs = engine.store.runs.list(group_run_id=ended.id, limit=None)[::-1] if ended else []
                head = ended.as_json() if ended else {"group": group}
                print_json({**head, **_failure(error), "runs": [item.as_json() for item in runs]})
            raise error from None
        # Without their logs, except for what a dry run planned.
        plans = [engine.store.runs.get(item.id).stdout for item in result.runs] if dry_run else []
    if as_json:
        members = [item.as_json() for item in result.runs]
        for member, plan in zip(members, plans, strict=False):
            member["plan"] = plan
        print_json({**result.record.as_json(), "runs": members, "skipped": result.skipped})
    else:
        if dry_run:
            for plan in plans:
                print_text(plan)
        runs_table(result.runs)
        line = f"group {result.record.group}: {result.record.status}  (group run {result.record.id})"
        results().print(line, markup=False, soft_wrap=True)
    if result.record.status == "error":
        # What the table does not show.
        for problem in result.problems:
            note(problem)
        raise typer.Exit(1)
    if result.record.status == "cancelled":
        raise typer.Exit(RunCancelled.exit_status)


def cancel(
    context: typer.Context,
    run: Annotated[int, typer.Argument(help="The run's number, as `pipekit runs list` shows it.")],
    group_run: Annotated[
        bool, typer.Option("--group-run", help="The number is a group run's: end all its members, and begin no other.")
    ] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the run's end.", min=0)] = 30,
) -> None:
    """Cancel a run, whichever process it runs in; the destination stays as it is if the merge had not committed."""
    from pipekit_engine import Engine

    def look() -> tuple[str, str | None, str]:
        """What it is, how it ended, and how far it is."""
        if group_run:
            group = engine.store.group_runs.get(run)
            return f"Group run {run} of {group.group}", group.status if group.finished_at else None, "running"
        record = engine.store.runs.get(run)
        return (
            f"Run {run} of {record.module}",
            record.status if record.finished_at else None,
            f"in phase {record.phase}",
        )

    with Engine(settings(context).config()) as engine:
        asked = engine.cancel_group(run) if group_run else engine.cancel(run)
        until = time.monotonic() + wait
        while True:
            label, status, stage = look()
            if status is not None:
                note(f"{label}: {status}." if asked else f"{label.partition(' of ')[0]} has ended already: {status}.")
                return
            if time.monotonic() >= until:
                break
            time.sleep(0.1)
    note(f"{label.partition(' of ')[0]} was asked to stop and is still {stage}.")
    raise typer.Exit(1)


def unlock(
    context: typer.Context,
    module: Annotated[str, typer.Argument(help="The module to unlock.", autocompletion=lambda: names_of("modules"))],
    force: Annotated[bool, typer.Option("--force", help="Take the lock from a live run, too.")] = False,
) -> None:
    """Free the lock that a dead process left on a module, and end its run as `error`."""
    from pipekit_engine import Engine

    with Engine(settings(context).config()) as engine:
        lease = engine.unlock(module, force=force)
    note(f"{module} was not locked." if lease is None else f"{module} is free; it was held by {lease.describe()}.")


def _with_right_command(
    error: PipekitError, store: Store, name: str, kind: DefinitionKind, command: str
) -> PipekitError:
    """The error; for a group's name given to `run`, or a module's to `run-group`, one that says the right command."""
    from pipekit_engine.models import singular

    if isinstance(error, NotFoundError) and name in store.definitions.load_checked()[0].of_kind(kind):
        return ConfigurationError(f"{name!r} is a {singular(kind)}: use `pipekit {command} {name}`.")
    return error


def parse_overrides(texts: list[str] | None) -> dict[str, str]:
    """`name=value` texts as a mapping; the value is all after the first `=`, kept as it is."""
    found: dict[str, str] = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--set")
        found[name.strip()] = value
    return found


@contextmanager
def cancellable() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM or SIGHUP sets, so that a run ends cleanly.

    A second signal raises KeyboardInterrupt in the main thread; a third one kills the process as if nobody listened.
    """
    event = threading.Event()

    def begin() -> None:
        event.set()
        note("Cancelling; once more to stop at once.")

    def at_once() -> None:
        raise KeyboardInterrupt

    with on_signals((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), begin, again=at_once):
        yield event


def _failure(error: PipekitError) -> dict[str, Any]:
    """An error as JSON. A run that was refused has no record, but a status that says so."""
    refused = "locked" if isinstance(error, LockedError) else "refused"
    begun = error.record is not None or error.group_record is not None
    status = {} if begun else {"status": "error" if isinstance(error, RunError) else refused}
    return {**status, "error": str(error), "error_type": type(error).__name__, "exit_status": error.exit_status}


def names_of(kind: DefinitionKind) -> list[str]:
    """Names for the shell's completion; none when the store cannot be read."""
    from pipekit_engine.cli.base import Settings

    try:
        with Settings().store() as store:
            return list(store.definitions.load_checked()[0].of_kind(kind))
    except PipekitError:
        return []

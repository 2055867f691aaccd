"""`partitions` and `backfill`: which partitions of a module are filled, and filling many of them."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer

from pipekit_engine.cli.base import JsonFlag, note, settings
from pipekit_engine.cli.running import cancellable, names_of
from pipekit_engine.errors import RunCancelled

if TYPE_CHECKING:
    from pipekit_engine.engine import BackfillResult, PartitionEvent

ModuleArgument = Annotated[
    str, typer.Argument(help="A module with partitions.", autocompletion=lambda: names_of("modules"))
]


def partitions(
    context: typer.Context,
    module: ModuleArgument,
    missing: Annotated[
        bool, typer.Option("--missing", help="Only those that are not filled, or were filled before their end.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """List a module's partitions that have ended: which are filled, when, by which run."""
    from pipekit_engine import Engine
    from pipekit_engine.cli.output import count, moment, print_json, print_table

    with Engine(settings(context).config()) as engine:
        states = engine.partitions(module)
    shown = [state for state in states if not missing or state.state != "filled"]
    if as_json:
        print_json(
            [
                {
                    "partition": state.item.key,
                    "state": state.state,
                    "run_id": state.filled and state.filled.run_id,
                    "rows": state.filled and state.filled.rows,
                    "filled_at": state.filled and state.filled.finished_at.isoformat(),
                }
                for state in shown
            ]
        )
        return
    rows = [
        (state.item.key, state.state)
        + (
            (moment(state.filled.finished_at), count(state.filled.rows), state.filled.run_id)
            if state.filled
            else ("",) * 3
        )
        for state in shown
    ]
    print_table(("PARTITION", "STATE", "FILLED AT", "ROWS", "RUN"), rows, right=("ROWS", "RUN"))
    filled = sum(state.state == "filled" for state in states)
    note(f"{filled:,} of {len(states):,} partitions of {module} are filled.")


def backfill(
    context: typer.Context,
    module: ModuleArgument,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="PARTITION", help="The first partition; the module's first if not given."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="PARTITION", help="The last partition, included; the last that has ended if not given."
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also those that are filled already.")] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Go on with the next partition after one that failed.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Fill many partitions of a module, one run each, in one process and one jrunner.

    Those that are filled already are left out, so the same command goes on where one that was ended stood. A module that
    somebody else runs is waited for.

    Exit status: 0 success, 1 a partition failed, 2 configuration, 130 cancelled.
    """
    from pipekit_engine import Engine
    from pipekit_engine.cli.output import print_json, results

    with Engine(settings(context).config()) as engine, cancellable() as cancel, _Progress() as progress:
        result = engine.backfill(
            module,
            since=since,
            until=until,
            again=again,
            keep_going=keep_going,
            on_partition=progress.event,
            cancel=cancel,
        )
    if as_json:
        print_json(
            {
                "module": module,
                "runs": [run.as_json() for run in result.runs],
                "skipped": result.skipped,
                "failed": result.failed,
                "left": result.left,
                "cancelled": result.cancelled,
            }
        )
    else:
        for key, problem in result.failed.items():
            note(f"{key}: {problem}")
        results().print(_summary(result), markup=False, soft_wrap=True)
    if result.cancelled:
        raise typer.Exit(RunCancelled.exit_status)
    if result.failed:
        raise typer.Exit(1)


def _summary(result: BackfillResult) -> str:
    done = [run for run in result.runs if run.status == "success"]
    facts = [f"{len(done):,} filled", f"{sum(run.rows_inserted or 0 for run in done):,} rows"]
    for what, keys in (("filled before", result.skipped), ("failed", result.failed), ("left", result.left)):
        if keys:
            facts.append(f"{len(keys):,} {what}")
    return f"{result.module}: partitions: {', '.join(facts)}" + ("; the same command goes on" if result.left else "")


class _Progress(AbstractContextManager["_Progress"]):
    """A bar on a terminal; through a pipe a line now and then. On stderr."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from pipekit_engine.cli.output import errors

        self._console = errors()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("")
        self._told = time.monotonic()

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def event(self, event: PartitionEvent) -> None:
        """Take an event of a backfill."""
        from pipekit_engine.cli.progress import PLAIN_INTERVAL_S

        done = event.number - (event.kind in ("started", "waiting"))
        self._bar.update(self._task, completed=done, total=event.of, description=event.key)
        text = f"{event.key} ({event.number:,} of {event.of:,}): {event.message or event.kind}"
        if event.kind in ("waiting", "failed"):
            self._console.print(text, markup=False, soft_wrap=True)
        elif event.kind == "done" and self._bar.disable and time.monotonic() - self._told >= PLAIN_INTERVAL_S:
            self._told = time.monotonic()
            self._console.print(text, markup=False, soft_wrap=True)

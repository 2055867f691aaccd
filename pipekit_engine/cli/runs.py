"""`runs list | show | tail | prune`: what ran, when, how long, how many rows, and why it failed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipekit_engine.cli.base import JsonFlag, family, note, settings
from pipekit_engine.errors import ConfigurationError, NotFoundError
from pipekit_engine.records.statuses import RUN_STATUSES

if TYPE_CHECKING:
    from pipekit_engine.models import RunRecord
    from pipekit_engine.records.checks import CheckResult
    from pipekit_engine.store import Store

app = family("runs", "Past and present runs.")
_POLL_S = 0.3


@app.command("list")
def list_runs(
    context: typer.Context,
    module: Annotated[str | None, typer.Argument(help="Only runs of this module.")] = None,
    status: Annotated[str | None, typer.Option(help=f"Only runs with this status: {', '.join(RUN_STATUSES)}.")] = None,
    group_run: Annotated[int | None, typer.Option(help="Only runs of this group run.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, newest first.")] = 20,
    as_json: JsonFlag = False,
) -> None:
    """List runs, newest first."""
    from pipekit_engine.cli.output import print_json, runs_table

    if status is not None and status not in RUN_STATUSES:
        raise typer.BadParameter(f"must be one of {', '.join(RUN_STATUSES)}", param_hint="--status")
    with settings(context).store() as store:
        records = store.runs.list(module=module, status=status, group_run_id=group_run, limit=limit)
        if module is not None and not records:
            # A module may be gone while its runs stay; one that never was is a mistake.
            store.definitions.module(module)
    if as_json:
        print_json([record.as_json() for record in records])
    else:
        runs_table(records)


@app.command("show")
def show_run(
    context: typer.Context,
    run: Annotated[int | None, typer.Argument(help="The run's number; the newest run when not given.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show one run: status, time per phase, counts, watermarks, the SQL that ran, the error."""
    from pipekit_engine.cli.output import print_json

    with settings(context).store() as store:
        record = store.runs.get(run if run is not None else _newest(store).id)
        checks = store.checks.last(record.module, run_id=record.id).get(record.module, [])
    if as_json:
        print_json({**record.as_json(logs=True), "checks": [result.as_json() for result in checks]})
    else:
        _print_run(record, checks)


@app.command("tail")
def tail_run(
    context: typer.Context,
    run: Annotated[int | None, typer.Argument(help="The run's number; the newest run when not given.")] = None,
) -> None:
    """Print a run's live log, and follow it until the run ends."""
    import sys

    from pipekit_engine.common.visible import visible

    with settings(context).store() as store:
        if run is None:
            run = _newest(store).id
        record = store.runs.get(run)
        position = 0
        while True:
            # Looked at before the log is read, so that nothing said in between is missed.
            running = record.finished_at is None
            text = store.runs.tail(run, position)
            sys.stdout.write(visible(text))
            sys.stdout.flush()
            position += len(text)
            if not running:
                break
            time.sleep(_POLL_S)
            record = store.runs.get(run)
    note(f"Run {run} of {record.module}: {record.status}.")


@app.command("prune")
def prune_runs(
    context: typer.Context,
    older_than: Annotated[
        str | None, typer.Option(help="Such as 90d, 12w or 48h; the configuration's retention when not given.")
    ] = None,
) -> None:
    """Delete finished runs older than this."""
    from pipekit_engine.config import parse_age

    wanted = older_than or settings(context).config().retention.runs
    if wanted is None:
        raise ConfigurationError(
            "Say how old, such as --older-than 90d, or set `retention: {runs: 90d}` in the config."
        )
    with settings(context).store() as store:
        gone = store.runs.prune(parse_age(wanted))
    note(f"Deleted {gone:,} run{'s' if gone != 1 else ''} older than {wanted}.")


def _newest(store: Store) -> RunRecord:
    records = store.runs.list(limit=1)
    if not records:
        raise NotFoundError("run", "(newest)")
    return records[0]


def _print_run(record: RunRecord, checks: list[CheckResult]) -> None:
    from rich.syntax import Syntax
    from rich.text import Text

    from pipekit_engine.cli.output import count, moment, results, seconds, size, status
    from pipekit_engine.records.checks import summary

    console = results()
    title = Text.assemble(("Run ", "bold"), (str(record.id), "bold"), " of ", (record.module, "bold"), ": ")
    console.print(title + status(record.status))
    facts: list[tuple[str, Any]] = [
        ("started", moment(record.started_at)),
        ("finished", moment(record.finished_at)),
        ("took", seconds(record.duration_s)),
        ("partition", record.partition),
        ("phase", record.phase if record.status in ("running", "error", "cancelled") else ""),
        ("by", record.triggered_by),
        ("group run", record.group_run_id),
        ("Dagster run", record.dagster_run_id),
        ("rows read", count(record.rows_read)),
        ("rows staged", count(record.rows_staged)),
        ("rows deleted", count(record.rows_deleted)),
        ("rows inserted", count(record.rows_inserted)),
        ("rows updated", count(record.rows_updated)),
        ("rows unchanged", count(record.rows_unchanged)),
        ("bytes", size(record.bytes)),
        ("checks", summary(checks)),
        ("phases", "  ".join(f"{phase} {seconds(took)}" for phase, took in record.timings.items())),
    ]
    for name, value in facts:
        if value not in (None, ""):
            console.print(f"  {name:<15}{value}", markup=False, soft_wrap=True)
    for name, mark in record.watermarks.items():
        line = f"  {'{' + name + '}':<15}{mark.value}  ({mark.origin})"
        console.print(line, markup=False, soft_wrap=True)
    for heading, sql in (("source query", record.source_sql), ("merge", record.merge_sql)):
        if sql:
            console.print(f"\n-- {heading}", style="bold")
            if console.is_terminal:
                console.print(Syntax(sql, "sql", word_wrap=True, background_color="default"))
            else:
                console.print(sql, markup=False, soft_wrap=True)
    for heading, text in (("error", record.error), ("stderr", record.stderr), ("stdout", record.stdout)):
        if text:
            console.print(f"\n-- {heading}", style="bold red" if heading == "error" else "bold")
            console.print(text.rstrip("\n"), markup=False, soft_wrap=True)
    if record.live_log:
        console.print(f"\nThe log: pipekit runs tail {record.id}", style="dim")

"""`wizard`: from a table to a module that syncs it, by questions or by flags."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipekit_engine.cli.base import JsonFlag, note, settings
from pipekit_engine.cli.wizard_flags import connect, group_wish, query_text, read_wishes, require, ways_in
from pipekit_engine.errors import PipekitError
from pipekit_engine.strategies import STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine import Engine
    from pipekit_engine.definitions.apply_plan import ApplyPlan
    from pipekit_engine.wizard.batch import Proposed
    from pipekit_engine.wizard.draft import Draft
    from pipekit_engine.wizard.workspace import Workspace
    from pipekit_engine.wizard.writing import Folder, Outcome

_FROM = "From where"
_TO = "To where"
_HOW = "How (proposed when not given)"
_WHEN = "When"
_WRITE = "What happens"


def wizard(
    context: typer.Context,
    source: Annotated[
        str | None, typer.Option(metavar="CONNECTION", help="Connection to copy from.", rich_help_panel=_FROM)
    ] = None,
    table: Annotated[
        str | None, typer.Option(metavar="NAME", help="Table or view, as in SQL: schema.table.", rich_help_panel=_FROM)
    ] = None,
    tables: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Many tables: 'sales.*', one module each; views by full name. Repeatable.",
            rich_help_panel=_FROM,
        ),
    ] = None,
    query: Annotated[
        str | None, typer.Option(metavar="SQL", help="A query instead of a table.", rich_help_panel=_FROM)
    ] = None,
    query_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file with the query; - is stdin.", rich_help_panel=_FROM)
    ] = None,
    source_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="JDBC URL: makes the connection --source names, tried live.", rich_help_panel=_FROM
        ),
    ] = None,
    source_user: Annotated[
        str | None, typer.Option(metavar="NAME", help="Login of the new source connection.", rich_help_panel=_FROM)
    ] = None,
    source_password: Annotated[
        str | None,
        typer.Option(
            metavar="$KEY", help="Secret with its password; $SOURCE_PASSWORD by its name if set.", rich_help_panel=_FROM
        ),
    ] = None,
    source_tls: Annotated[
        str | None,
        typer.Option(metavar="MODE[,ca=FILE]", help="Its encryption; cert=, key= too.", rich_help_panel=_FROM),
    ] = None,
    source_tunnel: Annotated[
        str | None,
        typer.Option(metavar="[USER@]HOST[:PORT]", help="SSH server before it; ,key=FILE.", rich_help_panel=_FROM),
    ] = None,
    dest: Annotated[
        str | None, typer.Option(metavar="CONNECTION", help="Connection to copy to.", rich_help_panel=_TO)
    ] = None,
    dest_table: Annotated[
        str | None, typer.Option(metavar="NAME", help="Destination table, as in SQL there.", rich_help_panel=_TO)
    ] = None,
    dest_schema: Annotated[
        str | None, typer.Option(metavar="NAME", help="Schema for the destination tables.", rich_help_panel=_TO)
    ] = None,
    dest_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="JDBC URL: makes the connection --dest names, tried live.", rich_help_panel=_TO
        ),
    ] = None,
    dest_user: Annotated[
        str | None, typer.Option(metavar="NAME", help="Login of the new destination connection.", rich_help_panel=_TO)
    ] = None,
    dest_password: Annotated[
        str | None, typer.Option(metavar="$KEY", help="Secret with its password.", rich_help_panel=_TO)
    ] = None,
    dest_tls: Annotated[
        str | None, typer.Option(metavar="MODE[,ca=FILE]", help="Its encryption; cert=, key= too.", rich_help_panel=_TO)
    ] = None,
    dest_tunnel: Annotated[
        str | None,
        typer.Option(metavar="[USER@]HOST[:PORT]", help="SSH server before it; ,key=FILE.", rich_help_panel=_TO),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The module's name.", rich_help_panel=_HOW)] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Only these columns, in this order.", rich_help_panel=_HOW)
    ] = None,
    exclude: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="All columns but these.", rich_help_panel=_HOW)
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=NAME", help="Another name there. Repeatable.", rich_help_panel=_HOW),
    ] = None,
    column_type: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="COLUMN=TYPE", help="Another type there. Repeatable.", rich_help_panel=_HOW),
    ] = None,
    strategy: Annotated[
        str | None, typer.Option(metavar="|".join(STRATEGIES), help="How rows get in.", rich_help_panel=_HOW)
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Columns that tell rows apart.", rich_help_panel=_HOW)
    ] = None,
    watermark: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Column that grows with every change; none reads all.", rich_help_panel=_HOW
        ),
    ] = None,
    default: Annotated[
        str | None, typer.Option(metavar="VALUE", help="Watermark of the first run.", rich_help_panel=_HOW)
    ] = None,
    lag: Annotated[
        str | None,
        typer.Option(
            metavar="10m|1d|1000", help="Read again this far back, for rows committed late.", rich_help_panel=_HOW
        ),
    ] = None,
    window: Annotated[
        bool, typer.Option("--window", help="End each window at the source's clock (half-open).", rich_help_panel=_HOW)
    ] = False,
    hook: Annotated[
        list[str] | None,
        typer.Option(metavar="SQL", help="SQL on the destination after a success. Repeatable.", rich_help_panel=_HOW),
    ] = None,
    group: Annotated[
        str | None, typer.Option(metavar="NAME", help="Group to join; made if it is new.", rich_help_panel=_WHEN)
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(metavar="CRON", help="Schedule of a group that has none.", rich_help_panel=_WHEN)
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Its time zone; this machine's when not given.", rich_help_panel=_WHEN),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where the YAML goes.", rich_help_panel=_WRITE)
    ] = Path("definitions"),
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing: write and apply.", rich_help_panel=_WRITE)
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the YAML; write nothing.", rich_help_panel=_WRITE)
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a module or file that is there.", rich_help_panel=_WRITE)
    ] = False,
    run: Annotated[bool, typer.Option("--run", help="Run the new modules at once.", rich_help_panel=_WRITE)] = False,
    as_json: JsonFlag = False,
) -> None:
    """Write a new sync: proposes strategy, key and watermark from a table, writes the YAML and applies it.

    On a terminal it asks for what no flag says. It adds and changes only what it names, and never deletes anything.

    Exit status: 0 success, 1 a table or the first run failed, 2 configuration, 3 locked, 130 cancelled (nothing was changed).
    """
    if sum(item is not None for item in (table, tables or None, query, query_file)) > 1:
        raise typer.BadParameter("give one of --table, --tables, --query and --query-file")
    if tables and (name or dest_table):
        raise typer.BadParameter(f"{'--name' if name else '--dest-table'} fits one table only; see --dest-schema")
    if schedule is not None and group is None:
        raise typer.BadParameter("needs --group: a schedule runs a group", param_hint="--schedule")
    asked_for = read_wishes(
        name=name, dest_table=dest_table, dest_schema=dest_schema, strategy=strategy, key=key, watermark=watermark,
        lag=lag, default=default, window=window, columns=columns, exclude=exclude, rename=rename, types=column_type,
        hooks=hook,
    )  # fmt: skip
    text = query_text(query, query_file)
    ask = not (yes or dry_run or as_json) and sys.stdin.isatty() and sys.stdout.isatty()
    ask = ask and os.environ.get("TERM") not in (None, "", "dumb")
    if not ask:
        require(source, table or tables or text, dest, ready=yes or dry_run)
    joined = group_wish(group, schedule, timezone)

    from pipekit_engine import Engine
    from pipekit_engine.wizard.workspace import Workspace
    from pipekit_engine.wizard.writing import Folder

    with Engine(settings(context).config()) as engine, Workspace(engine) as workspace:
        folder = Folder(output)
        if source is not None and source_url is not None:
            ways = ways_in(source_tls, source_tunnel)
            connect(workspace, source, source_url, source_user, source_password, ways, is_source=True)
        if dest is not None and dest_url is not None:
            ways = ways_in(dest_tls, dest_tunnel)
            connect(workspace, dest, dest_url, dest_user, dest_password, ways, is_source=False)
        if ask:
            from pipekit_engine.wizard.interview import Given

            given = Given(source, dest, table, tuple(tables or ()), text, asked_for, joined, force)
            status = _converse(engine, workspace, folder, given, run=run)
        else:
            from pipekit_engine.wizard.batch import Request

            assert source is not None
            assert dest is not None
            request = Request(source, dest, table, tuple(tables or ()), text, asked_for, joined, force)
            status = _at_once(engine, workspace, folder, request, dry_run=dry_run, run=run, as_json=as_json)
    if status:
        raise typer.Exit(status)


# By flags alone


def _at_once(
    engine: Engine, workspace: Workspace, folder: Folder, request: Any, *, dry_run: bool, run: bool, as_json: bool
) -> int:
    from pipekit_engine.cli.output import print_json, print_table, print_text
    from pipekit_engine.wizard.batch import outcome_of, propose_all
    from pipekit_engine.wizard.proposals import DELETED_STAY
    from pipekit_engine.wizard.tables import HEADINGS, proposal_row
    from pipekit_engine.wizard.writing import preview_yaml, save

    proposed = propose_all(workspace, request, folder)
    drafts = [item.draft for item in proposed if item.draft is not None]
    failed = [item for item in proposed if item.draft is None]
    outcome = outcome_of(workspace, drafts, request.group, folder)
    status = 1 if failed else 0
    plan: ApplyPlan | None = None
    files: list[Path] = []
    if drafts and not dry_run:
        plan, files = save(engine.store, folder, outcome, engine.config.secrets_file)
    if as_json:
        found = _json(proposed, folder, outcome, applied=plan is not None)
        if run and plan is not None:
            status = _run(engine, workspace, drafts, quiet=True) or status
            found["runs"] = [_run_json(engine, draft) for draft in drafts]
        print_json(found)
        return status
    if dry_run:
        print_text(preview_yaml(outcome))
    elif request.patterns:
        print_table(HEADINGS, [proposal_row(item.title, item.draft, item.problem or "") for item in proposed])
    for item in failed:
        note(f"not proposed: {item.title}: {item.problem}")
    if plan is None:
        note("Dry run: nothing was written." if dry_run else "Nothing was written.")
        return status
    _tell(plan, files)
    for item in proposed:
        # The log of a single run has them itself.
        for warning in item.plan.warnings if item.plan and not (run and len(drafts) == 1) else ():
            note(f"warning: {item.title}: {warning}")
    if request.patterns:
        if any(DELETED_STAY in draft.cautions for draft in drafts):
            note(f"note: {DELETED_STAY}, but for strategy full")
    else:
        for caution in (*drafts[0].cautions, *drafts[0].notes):
            note(f"note: {caution}")
    return (_run(engine, workspace, drafts) if run else 0) or status


def _json(proposed: Sequence[Proposed], folder: Folder, outcome: Outcome, *, applied: bool) -> dict[str, Any]:
    modules = []
    for item in proposed:
        draft = item.draft
        if draft is None or item.module is None:
            continue
        modules.append(
            {
                "table": item.title,
                **item.module.model_dump(mode="json"),
                "reason": draft.reason,
                "notes": [*draft.notes, *draft.cautions, *(item.plan.warnings if item.plan else ())],
                "file": str(folder.module_file(draft.name)),
            }
        )
    failed = [{"table": item.title, "problem": item.problem} for item in proposed if item.draft is None]
    return {
        "applied": applied,
        "modules": modules,
        "failed": failed,
        "connections": list(outcome.connections),
        "groups": {name: list(group.members) for name, group in outcome.groups.items()},
        "schedules": list(outcome.schedules),
    }


def _run_json(engine: Engine, draft: Draft) -> dict[str, Any]:

    record = next(iter(engine.store.runs.list(module=draft.name, limit=1)), None)
    return record.as_json() if record else {"module": draft.name, "status": "refused"}


# By questions


def _converse(engine: Engine, workspace: Workspace, folder: Folder, given: Any, *, run: bool) -> int:
    from pipekit_engine.wizard.batch import outcome_of
    from pipekit_engine.wizard.interview import Interview
    from pipekit_engine.wizard.prompts import Terminal
    from pipekit_engine.wizard.writing import save

    with Terminal() as terminal:
        answers = Interview(terminal, workspace, folder, given).hold()
    if answers is None:
        note("Nothing was written.")
        return 0
    outcome = outcome_of(workspace, answers.drafts, answers.group, folder)
    plan, files = save(engine.store, folder, outcome, engine.config.secrets_file)
    _tell(plan, files)
    if answers.run or run:
        return _run(engine, workspace, answers.drafts)
    note(f"First run: pipekit run {answers.drafts[0].name}")
    return 0


def _tell(plan: ApplyPlan, files: Sequence[Path]) -> None:
    from pipekit_engine.cli.output import results

    for file in files:
        results().print(f"wrote {file}", markup=False, soft_wrap=True)
    for line in plan.lines():
        style = "green" if line.startswith("+") else "yellow" if line.startswith("~") else None
        results().print(line, style=style, markup=False, soft_wrap=True)


def _run(engine: Engine, workspace: Workspace, drafts: Sequence[Draft], *, quiet: bool = False) -> int:
    """Run the new modules one after another; the first failure's exit status."""
    from pipekit_engine.cli.base import report
    from pipekit_engine.cli.output import results
    from pipekit_engine.cli.progress import Progress, summary
    from pipekit_engine.cli.running import cancellable
    from pipekit_engine.errors import RunCancelled

    status = 0
    workspace.leave()
    with ExitStack() as stack:
        cancel = stack.enter_context(cancellable())
        # The wizard's own session is warm, and has embedded databases open already.
        sessions = stack.enter_context(engine.session_pool()) if engine.config.jrunner.command else workspace.sessions
        for draft in drafts:
            try:
                with Progress(engine.store, detailed=len(drafts) == 1 and not quiet) as progress:
                    result = engine.run(draft.name, on_event=progress.event, cancel=cancel, sessions=sessions)
            except RunCancelled:
                raise
            except PipekitError as error:
                report(error)
                status = status or error.exit_status
                continue
            if not quiet:
                results().print(summary(result.record), soft_wrap=True)
    return status
